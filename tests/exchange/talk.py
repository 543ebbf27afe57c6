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
    return lambda channels, symbols, heard=(): [json.dumps({
        "event": event, "pair": symbols, "reqid": 1, "subscription": {
        "name": name[channel], **({"depth": 1000} if channel == BOOK else {})}}) for channel in channels]


def okx(op):
    name = {TRADE: "trades", QUOTE: "bbo-tbt", BOOK: "books"}
    return lambda channels, symbols, heard=(): [json.dumps({"op": op, "args": [
        {"channel": name[channel], "instId": symbol} for symbol in symbols]}) for channel in channels]


def bybit(op):
    name = {TRADE: "publicTrade", QUOTE: "orderbook.1", BOOK: "orderbook.200"}
    return lambda channels, symbols, heard=(): [json.dumps({"op": op, "req_id": "1", "args": [
        f"{name[channel]}.{symbol}" for symbol in symbols]}) for channel in channels]


def bitstamp(event):
    name = {TRADE: "live_trades_", BOOK: "diff_order_book_"}
    return lambda channels, symbols, heard=(): [json.dumps({"event": event, "data": {
        "channel": name[channel] + symbol}}) for channel in channels for symbol in symbols]


def deribit(method):
    name = {TRADE: "trades.%s.100ms", QUOTE: "quote.%s", BOOK: "book.%s.100ms"}
    return lambda channels, symbols, heard=(): [json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {
        "channels": [name[channel] % symbol for symbol in symbols]}}) for channel in channels]


def bitmex(op):
    name = {TRADE: "trade", QUOTE: "quote", BOOK: "orderBookL2"}
    return lambda channels, symbols, heard=(): [json.dumps({"op": op, "args": [f"{name[channel]}:{symbol}"]})
                                                for channel in channels for symbol in symbols]


def gemini(kind):
    return lambda channels, symbols, heard=(): [json.dumps({"type": kind, "subscriptions": [
        {"name": "l2", "symbols": symbols}]})] if BOOK in channels else []


def htx(verb):
    name = {TRADE: "trade.detail", QUOTE: "bbo", BOOK: "depth.step0"}
    return lambda channels, symbols, heard=(): [json.dumps({verb: f"market.{symbol}.{name[channel]}", "id": "1"})
                                                for channel in channels for symbol in symbols]


def kucoin(kind):
    name = {TRADE: "/market/match", QUOTE: "/market/ticker", BOOK: "/market/level2"}
    return lambda channels, symbols, heard=(): [json.dumps({"id": "1", "type": kind, "topic":
                                                            f"{name[channel]}:{','.join(symbols)}", "response": True})
                                                for channel in channels]


def gate(event):
    name = {TRADE: "spot.trades", QUOTE: "spot.book_ticker", BOOK: "spot.order_book_update"}
    return lambda channels, symbols, heard=(): [json.dumps({
        "time": 1, "id": 1, "channel": name[channel], "event": event,
        "payload": [symbol, "100ms"] if channel == BOOK else [symbol]}) for channel in channels for symbol in symbols]


def bitfinex_subscribe(channels, symbols, heard=()):
    name = {TRADE: "trades", QUOTE: "ticker", BOOK: "book"}
    return ['{"event":"conf","flags":65536}'] + [
        json.dumps({"event": "subscribe", "channel": name[channel], "symbol": symbol})
        for channel in channels for symbol in symbols]


def bitfinex_unsubscribe(channels, symbols, heard=()):
    name = {TRADE: "trades", QUOTE: "ticker", BOOK: "book"}
    numbers = {}
    for text in heard:
        message = json.loads(text)
        if isinstance(message, dict) and message.get("event") == "subscribed":
            numbers[message["channel"], message["symbol"]] = message["chanId"]
    return [json.dumps({"event": "unsubscribe", "chanId": numbers[name[channel], symbol]})
            for channel in channels for symbol in symbols]


SUBSCRIBE, UNSUBSCRIBE = {}, {}
for _names, _talk, _subscribe, _unsubscribe in (
        (("binance", "binanceusdm"), binance, "SUBSCRIBE", "UNSUBSCRIBE"),
        (("coinbaseexchange",), coinbase_exchange, "subscribe", "unsubscribe"),
        (("coinbase",), coinbase, "subscribe", "unsubscribe"), (("kraken",), kraken, "subscribe", "unsubscribe"),
        (("kraken_v1",), kraken_v1, "subscribe", "unsubscribe"), (("okx",), okx, "subscribe", "unsubscribe"),
        (("bybit", "bybit_spot"), bybit, "subscribe", "unsubscribe"),
        (("bitstamp",), bitstamp, "bts:subscribe", "bts:unsubscribe"),
        (("deribit",), deribit, "public/subscribe", "public/unsubscribe"),
        (("bitmex",), bitmex, "subscribe", "unsubscribe"),
        (("gemini",), gemini, "subscribe", "unsubscribe"), (("htx",), htx, "sub", "unsub"),
        (("kucoin",), kucoin, "subscribe", "unsubscribe"), (("gate",), gate, "subscribe", "unsubscribe")):
    for _name in _names:
        SUBSCRIBE[_name], UNSUBSCRIBE[_name] = _talk(_subscribe), _talk(_unsubscribe)
SUBSCRIBE["bitfinex"], UNSUBSCRIBE["bitfinex"] = bitfinex_subscribe, bitfinex_unsubscribe
