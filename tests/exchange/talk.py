"""talk.py - what a client says to each venue, in the words of the engine's adapters: for the simulator's own test.

Usage:     for text in SUBSCRIBE["kraken"]([BOOK], ["BTC/USD"]): socket.send(text)
           UNSUBSCRIBE[name](channels, symbols, heard): heard are the venue's control messages so far
Non-goals: being the adapters: the tests of the whole engine have the real ones.
"""
import gzip
import json

from venue import BOOK, QUOTE, TRADE


def unpack(message):
    return gzip.decompress(message).decode() if isinstance(message, bytes) else message


def binance(method):
    suffix = {TRADE: "trade", QUOTE: "bookTicker", BOOK: "depth@100ms"}
    return lambda channels, symbols, heard=(): [json.dumps({"method": method, "id": number, "params": [
        f"{symbol.lower()}@{suffix[channel]}" for symbol in symbols]}) for number, channel in enumerate(channels, 1)]


def coinbase_exchange(kind):
    name = {TRADE: "matches", QUOTE: "ticker", BOOK: "level2_batch"}
    return lambda channels, symbols, heard=(): [json.dumps({"type": kind, "product_ids": symbols, "channels": [
        name[channel]]}) for channel in channels]


def coinbase(kind):
    name = {TRADE: "market_trades", QUOTE: "ticker", BOOK: "level2"}
    return lambda channels, symbols, heard=(): [json.dumps({"type": kind, "product_ids": symbols,
                                                            "channel": name[channel]}) for channel in channels]


def kraken(method):
    name = {TRADE: "trade", QUOTE: "ticker", BOOK: "book"}
    return lambda channels, symbols, heard=(): [json.dumps({"method": method, "req_id": 1, "params": {
        "channel": name[channel], "symbol": symbols, **({"depth": 1000} if channel == BOOK else {})}})
        for channel in channels]


def kraken_v1(event):
    name = {TRADE: "trade", QUOTE: "spread", BOOK: "book"}
    return lambda channels, symbols, heard=(): [json.dumps({"event": event, "pair": symbols, "reqid": 1, "subscription": {
        "name": name[channel], **({"depth": 1000} if channel == BOOK else {})}}) for channel in channels]


SUBSCRIBE = {"binance": binance("SUBSCRIBE"), "binanceusdm": binance("SUBSCRIBE"),
             "coinbaseexchange": coinbase_exchange("subscribe"), "coinbase": coinbase("subscribe"),
             "kraken": kraken("subscribe"), "kraken_v1": kraken_v1("subscribe")}
UNSUBSCRIBE = {"binance": binance("UNSUBSCRIBE"), "binanceusdm": binance("UNSUBSCRIBE"),
               "coinbaseexchange": coinbase_exchange("unsubscribe"), "coinbase": coinbase("unsubscribe"),
               "kraken": kraken("unsubscribe"), "kraken_v1": kraken_v1("unsubscribe")}
