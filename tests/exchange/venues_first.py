"""venues_first.py - Binance spot and USD-M, Coinbase Exchange and Advanced Trade, Kraken v2 and v1 as they speak.

Job:       see venue.py. Facts are from the venues' public documentation and from recorded traffic.
Non-goals: channels that the engine does not subscribe to.
"""
import json
from dataclasses import replace

from books import ASK, BID, Book, kraken_checksum
from venue import (BOOK, QUOTE, TRADE, Change, Frame, Part, Trade, Venue, compact, exact, iso, ms_of_iso, ms_of_seconds,
                   pairs, rows_text)


# ---- Binance ----

class Binance(Venue):
    name = "binance"
    path = "/stream"
    repair = "fetch"
    joins_rest = True
    wide_sequences = True
    shutdown_text = '{"e":"serverShutdown","E":1770123456789}'
    symbols = [("BTCUSDT", "BTC/USDT"), ("ETHUSDT", "ETH/USDT")]
    suffixes = {"trade": TRADE, "aggTrade": TRADE, "bookTicker": QUOTE, "depth@100ms": BOOK, "depth@0ms": BOOK,
                "depth": BOOK}
    futures = False
    only = None
    depth_path = "/api/v3/depth"
    info_path = "/api/v3/exchangeInfo"

    def prepare(self, records):
        received = [record.data for record in records if record.kind == "received"]
        self.aggregates = not any("@trade" in data[:60] for data in received)
        self.only = json.loads(received[0])["data"]["s"] if received else None  # recordings of one symbol name no URL

    def stale(self, change, seq):
        return change.last <= seq

    def decode(self, text):
        message = json.loads(text)
        data = message.get("data")
        if not isinstance(data, dict):
            return None
        kind, symbol = data.get("e", "bookTicker"), data.get("s")
        if kind == "depthUpdate":
            change = Change(False, pairs(data["b"]), pairs(data["a"]), data["U"], data["u"], data.get("pu"))
            return Frame(text, [Part(BOOK, symbol, change=change)])
        if kind == "trade" or (kind == "aggTrade" and self.aggregates):
            if data.get("X", "MARKET") != "MARKET":
                return Frame(text, [Part(TRADE, symbol)])
            number = data["t"] if kind == "trade" else data["a"]
            side = "sell" if data["m"] else "buy"
            return Frame(text, [Part(TRADE, symbol, [Trade(str(number), data["p"], data["q"], side, data["T"])])])
        if kind == "bookTicker":
            return Frame(text, [Part(QUOTE, symbol, quote=(data["b"], data["B"], data["a"], data["A"]))])
        return None

    def wrap(self, symbol, stream, body):
        return f'{{"stream":"{symbol.lower()}@{stream}","data":{body}}}'

    def extra(self, ms):
        return f'"T":{ms},' if self.futures else ""

    def delta(self, symbol, change, book, ms):
        previous = f'"pu":{change.previous},' if self.futures else ""
        return self.wrap(symbol, "depth@100ms", f'{{"e":"depthUpdate","E":{ms},{self.extra(ms)}"s":"{symbol}",'
                         f'"U":{change.first},"u":{change.last},{previous}"b":{rows_text(change.bids)},'
                         f'"a":{rows_text(change.asks)}}}')

    def trade(self, symbol, trade):
        origin = '"X":"MARKET",' if self.futures else '"M":true,'
        maker = "true" if trade.side == "sell" else "false"
        return self.wrap(symbol, "trade", f'{{"e":"trade","E":{trade.ms},"T":{trade.ms},"s":"{symbol}","t":{trade.id},'
                         f'"p":"{trade.price}","q":"{trade.amount}",{origin}"m":{maker}}}')

    def quote(self, symbol, quote, ms):
        event = f'"e":"bookTicker","T":{ms},"E":{ms},' if self.futures else ""
        return self.wrap(symbol, "bookTicker", f'{{{event}"u":{ms},"s":"{symbol}","b":"{quote[0]}","B":"{quote[1]}",'
                         f'"a":"{quote[2]}","A":"{quote[3]}"}}')

    def on_text(self, connection, text):
        message = json.loads(text)
        wanted = []
        for stream in message.get("params", []):
            symbol, _, suffix = stream.partition("@")
            wanted.append((self.suffixes.get(suffix), symbol.upper()))
        method, number = message.get("method"), message.get("id")
        known = method in ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS")
        if not known or any(not channel for channel, _ in wanted):
            connection.reply(f'{{"error":{{"code":2,"msg":"Invalid request: invalid stream"}},"id":{number}}}')
            return
        connection.reply(f'{{"result":null,"id":{number}}}')
        for channel, symbol in wanted:
            if method == "SUBSCRIBE":
                connection.subscribe(channel, symbol)  # an unknown symbol is acknowledged, and nothing comes
            else:
                connection.unsubscribe(channel, symbol)

    def heartbeat(self, connection, now):
        connection.ping(str(int(now * 1000)).encode())

    def is_book_request(self, path, query):
        return path == self.depth_path

    def book_target(self, symbol):
        return f"{self.depth_path}?symbol={symbol}&limit=1000"

    def rest_book(self, symbol, book):
        times = '"E":1,"T":1,' if self.futures else ""
        return (f'{{"lastUpdateId":{book.seq},{times}"bids":{rows_text(book.rows(BID))},'
                f'"asks":{rows_text(book.rows(ASK))}}}')

    def read_rest_book(self, path, query, body):
        message = json.loads(body)
        book = Book()
        book.replace(pairs(message["bids"]), pairs(message["asks"]))
        book.seq = message["lastUpdateId"]
        return query.get("symbol", self.only), book

    def rest_other(self, simulator, method, path, query):
        if path != self.info_path:
            return None
        listed = []
        for symbol, unified in simulator.markets():
            base, quote = unified.split(":")[0].split("/")
            market = {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01", "minPrice": "0.01", "maxPrice": "1000000"},
                {"filterType": "LOT_SIZE", "stepSize": "0.00001", "minQty": "0.00001", "maxQty": "9000"}]}
            if self.futures:
                market.update({"contractType": "PERPETUAL", "marginAsset": quote})
            listed.append(market)
        return 200, compact({"timezone": "UTC", "symbols": listed})


class BinanceUsdm(Binance):
    name = "binanceusdm"
    path = "/public/stream"
    futures = True
    symbols = [("BTCUSDT", "BTC/USDT:USDT"), ("ETHUSDT", "ETH/USDT:USDT")]
    depth_path = "/fapi/v1/depth"
    info_path = "/fapi/v1/exchangeInfo"

    def unified(self, symbol):
        pair = super().unified(symbol)
        return f"{pair}:{pair.split('/')[1]}"

    def stale(self, change, seq):
        return change.last < seq


# ---- Coinbase ----

def as_history(trade):
    return replace(trade, history=True)


OTHER_SIDE = {"buy": "sell", "sell": "buy"}


class CoinbaseExchange(Venue):
    name = "coinbaseexchange"
    doubts = True
    huge_breaks = False
    notices_loss = notices_order = False  # level2 has no sequence
    symbols = [("BTC-USD", "BTC/USD"), ("ETH-EUR", "ETH/EUR")]
    channels = {"level2_batch": BOOK, "matches": TRADE, "ticker": QUOTE, "heartbeat": "heartbeat"}

    def unified(self, symbol):
        return symbol.replace("-", "/")

    def decode(self, text):
        message = json.loads(text)
        kind, symbol = message.get("type"), message.get("product_id")
        if kind == "snapshot":
            change = Change(True, pairs(message["bids"]), pairs(message["asks"]))
            return Frame(text, [Part(BOOK, symbol, change=change)])
        if kind == "l2update":
            sides = {"buy": [], "sell": []}
            for side, price, size in message["changes"]:
                sides[side].append((price, size))
            return Frame(text, [Part(BOOK, symbol, change=Change(False, sides["buy"], sides["sell"]))])
        if kind in ("match", "last_match"):
            trade = Trade(str(message["trade_id"]), message["price"], message["size"], OTHER_SIDE[message["side"]],
                          ms_of_iso(message["time"]), kind == "last_match")
            return Frame(text, [Part(TRADE, symbol, [trade])])
        if kind == "ticker":
            quote = (message["best_bid"], message.get("best_bid_size"), message["best_ask"],
                     message.get("best_ask_size"))
            return Frame(text, [Part(QUOTE, symbol, quote=quote)])
        return None

    def snapshot(self, symbol, book, history=()):
        return (f'{{"type":"snapshot","product_id":"{symbol}","asks":{rows_text(book.rows(ASK))},'
                f'"bids":{rows_text(book.rows(BID))}}}')

    def opening(self, symbol, book, history):
        return [self.snapshot(symbol, book), self.trade(symbol, as_history(history[-1]))]

    def delta(self, symbol, change, book, ms):
        rows = [["buy", *row] for row in change.bids] + [["sell", *row] for row in change.asks]
        return compact({"type": "l2update", "product_id": symbol, "changes": rows, "time": iso(ms)})

    def trade(self, symbol, trade):
        return compact({"type": "last_match" if trade.history else "match", "trade_id": int(trade.id),
                        "maker_order_id": "m", "taker_order_id": "t", "side": OTHER_SIDE[trade.side],
                        "size": trade.amount, "price": trade.price, "product_id": symbol, "sequence": int(trade.id) * 7,
                        "time": iso(trade.ms)})

    def quote(self, symbol, quote, ms):
        return compact({"type": "ticker", "sequence": ms, "product_id": symbol, "price": quote[0], "best_bid": quote[0],
                        "best_bid_size": quote[1], "best_ask": quote[2], "best_ask_size": quote[3], "side": "buy",
                        "time": iso(ms), "trade_id": 1, "last_size": quote[1]})

    def on_text(self, connection, text):
        message = json.loads(text)
        kind, products = message.get("type"), message.get("product_ids", [])
        names = [name if isinstance(name, str) else name["name"] for name in message.get("channels", [])]
        unknown = [product for product in products if not connection.simulator.knows(product)]
        wrong = [name for name in names if name not in self.channels]
        if unknown or wrong or kind not in ("subscribe", "unsubscribe"):
            what = f"{unknown[0]} is not a valid product" if unknown else \
                f"{(wrong or [kind])[0]} is not a valid channel"
            connection.reply(compact({"type": "error", "message": "Failed to subscribe", "reason": what}))
            return
        wanted = [(self.channels[name], product) for name in names for product in products]
        for channel, product in wanted:
            if kind == "unsubscribe":
                connection.unsubscribe(channel, product)
            else:
                connection.enter(channel, product)
        streams = sorted(connection.streams)
        listed = [{"name": name, "product_ids": [symbol for its, symbol in streams if its == channel]}
                  for name, channel in self.channels.items()]
        connection.reply(compact({"type": "subscriptions", "channels": [one for one in listed if one["product_ids"]]}))
        for channel, product in wanted:
            if kind == "subscribe":
                self.subscribed(connection, channel, product)

    def subscribed(self, connection, channel, symbol):
        super().subscribed(connection, channel, symbol)
        last = connection.simulator.history(symbol, 1)
        if channel == TRADE and last:
            connection.reply(self.trade(symbol, as_history(last[-1])))

    def heartbeat(self, connection, now):
        for channel, symbol in sorted(connection.streams):
            if channel == "heartbeat":
                connection.reply(compact({"type": "heartbeat", "sequence": 1, "last_trade_id": 1, "product_id": symbol,
                                          "time": iso(int(now * 1000))}))

    def rest_other(self, simulator, method, path, query):
        if path != "/products":
            return None
        return 200, compact([{"id": symbol, "base_currency": unified.split("/")[0],
                              "quote_currency": unified.split("/")[1], "quote_increment": "0.01",
                              "base_increment": "0.00000001", "status": "online"}
                             for symbol, unified in simulator.markets()])


class Coinbase(Venue):
    name = "coinbase"
    huge_breaks = False
    repair = "relink"
    breaks_all = True
    symbols = [("BTC-USD", "BTC/USD"), ("ETH-EUR", "ETH/EUR")]
    channels = {"level2": BOOK, "market_trades": TRADE, "ticker": QUOTE, "heartbeats": "heartbeats"}
    MARK = '"sequence_num":0,'

    def unified(self, symbol):
        return symbol.replace("-", "/")

    def envelope(self, channel, ms, event):
        return f'{{"channel":"{channel}","timestamp":"{iso(ms, 9)}",{self.MARK}"events":[{event}]}}'

    def decode(self, text):
        message = json.loads(text)
        parts = []
        for event in message.get("events", []):
            snapshot = event.get("type") == "snapshot"
            if message["channel"] == "l2_data":
                sides = {"bid": [], "offer": []}
                for row in event["updates"]:
                    sides[row["side"]].append((row["price_level"], row["new_quantity"]))
                parts.append(Part(BOOK, event["product_id"], change=Change(snapshot, sides["bid"], sides["offer"])))
            elif message["channel"] == "market_trades":
                for one in reversed(event["trades"]):
                    trade = Trade(str(one["trade_id"]), one["price"], one["size"], OTHER_SIDE[one["side"].lower()],
                                  ms_of_iso(one["time"]), snapshot)
                    parts.append(Part(TRADE, one["product_id"], [trade]))
            elif message["channel"] == "ticker":
                for one in event["tickers"]:
                    parts.append(Part(QUOTE, one["product_id"], quote=(one["best_bid"], one["best_bid_quantity"],
                                                                       one["best_ask"], one["best_ask_quantity"])))
        return Frame(text, parts) if parts else None

    def level_text(self, snapshot, symbol, bids, asks, ms):
        rows = [("bid", row) for row in bids] + [("offer", row) for row in asks]
        updates = [{"side": side, "event_time": iso(ms), "price_level": price, "new_quantity": amount}
                   for side, (price, amount) in rows]
        return self.envelope("l2_data", ms, compact({"type": "snapshot" if snapshot else "update", "product_id": symbol,
                                                     "updates": updates}))

    def snapshot(self, symbol, book, history=()):
        return self.level_text(True, symbol, book.rows(BID), book.rows(ASK), 1700000000000)

    def opening(self, symbol, book, history):
        return [self.snapshot(symbol, book), self.trades_text(symbol, [as_history(one) for one in history], "snapshot")]

    def delta(self, symbol, change, book, ms):
        return self.level_text(False, symbol, change.bids, change.asks, ms)

    def trades_text(self, symbol, trades, kind):
        rows = [{"trade_id": one.id, "product_id": symbol, "price": one.price, "size": one.amount, "time": iso(one.ms),
                 "side": OTHER_SIDE[one.side].upper()} for one in reversed(trades)]
        return self.envelope("market_trades", trades[-1].ms if trades else 0, compact({"type": kind, "trades": rows}))

    def trade(self, symbol, trade):
        return self.trades_text(symbol, [trade], "snapshot" if trade.history else "update")

    def quote(self, symbol, quote, ms):
        return self.envelope("ticker", ms, compact({"type": "update", "tickers": [
            {"type": "ticker", "product_id": symbol, "price": quote[0], "best_bid": quote[0],
             "best_bid_quantity": quote[1], "best_ask": quote[2], "best_ask_quantity": quote[3]}]}))

    def number(self, connection, text):
        number = connection.state.setdefault("sequence", 0)
        connection.state["sequence"] = number + 1
        return text.replace(self.MARK, f'"sequence_num":{number},', 1)

    def on_text(self, connection, text):
        message = json.loads(text)
        kind, name, products = message.get("type"), message.get("channel"), message.get("product_ids", [])
        unknown = [product for product in products if not connection.simulator.knows(product)]
        if name not in self.channels or kind not in ("subscribe", "unsubscribe") or unknown:
            connection.reply(compact({"type": "error", "message": f"{(unknown or [name])[0]} is not valid"}))
            return
        for product in products or [""]:
            if kind == "unsubscribe":
                connection.unsubscribe(self.channels[name], product)
            else:
                connection.enter(self.channels[name], product)
                self.subscribed(connection, self.channels[name], product)  # data comes before its acknowledgement
        listed = {name: [symbol for its, symbol in sorted(connection.streams) if its == channel]
                  for name, channel in self.channels.items()}
        connection.reply(self.envelope("subscriptions", 0, compact({"subscriptions": {
            name: symbols for name, symbols in listed.items() if symbols}})), numbered=True)

    def subscribed(self, connection, channel, symbol):
        super().subscribed(connection, channel, symbol)
        history = connection.simulator.history(symbol, 100)
        if channel == TRADE and history:
            connection.reply(self.trades_text(symbol, history, "snapshot"), numbered=True)

    def heartbeat(self, connection, now):
        if ("heartbeats", "") in connection.streams:
            count = connection.state["beats"] = connection.state.get("beats", 0) + 1
            connection.reply(self.envelope("heartbeats", int(now * 1000), compact(
                {"current_time": iso(int(now * 1000)), "heartbeat_counter": count})), numbered=True)

    def rest_other(self, simulator, method, path, query):
        if path != "/api/v3/brokerage/market/products":
            return None
        return 200, compact({"products": [
            {"product_id": symbol, "base_currency_id": unified.split("/")[0], "status": "online",
             "product_type": "SPOT", "quote_currency_id": unified.split("/")[1], "price_increment": "0.01",
             "base_increment": "0.00000001"}
            for symbol, unified in simulator.markets()]})


# ---- Kraken ----

class Kraken(Venue):
    name = "kraken"
    doubts = True
    path = "/v2"
    checksum = True
    depth = 1000
    symbols = [("BTC/USD", "BTC/USD"), ("ETH/EUR", "ETH/EUR")]
    channels = {"book": BOOK, "trade": TRADE, "ticker": QUOTE}

    def unified(self, symbol):
        return symbol

    def decode(self, text):
        message = exact(text)
        channel, parts = self.channels.get(message.get("channel")), []
        snapshot = message.get("type") == "snapshot"
        for one in message.get("data", []) if channel else []:
            symbol = one["symbol"]
            if channel == BOOK:
                change = Change(snapshot, [(row["price"], row["qty"]) for row in one.get("bids", [])],
                                [(row["price"], row["qty"]) for row in one.get("asks", [])])
                parts.append(Part(BOOK, symbol, change=change))
            elif channel == TRADE:
                parts.append(Part(TRADE, symbol, [Trade(one["trade_id"], one["price"], one["qty"], one["side"],
                                                        ms_of_iso(one["timestamp"]), snapshot)]))
            else:
                parts.append(Part(QUOTE, symbol, quote=(one["bid"], one["bid_qty"], one["ask"], one["ask_qty"])))
        return Frame(text, parts) if parts else None

    def levels(self, rows):
        return "[" + ",".join(f'{{"price":{price},"qty":{amount}}}' for price, amount in rows) + "]"

    def book_text(self, kind, symbol, bids, asks, book):
        return (f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":{self.levels(bids)},'
                f'"asks":{self.levels(asks)},"checksum":{kraken_checksum(book)},'
                f'"timestamp":"{iso(1700000000000)}"}}]}}')

    def snapshot(self, symbol, book, history=()):
        return self.book_text("snapshot", symbol, book.rows(BID), book.rows(ASK), book)

    def delta(self, symbol, change, book, ms):
        return self.book_text("update", symbol, change.bids, change.asks, book)

    def trade(self, symbol, trade):
        return (f'{{"channel":"trade","type":"{"snapshot" if trade.history else "update"}","data":[{{'
                f'"symbol":"{symbol}","side":"{trade.side}","price":{trade.price},"qty":{trade.amount},'
                f'"ord_type":"market","trade_id":{trade.id},"timestamp":"{iso(trade.ms)}"}}]}}')

    def quote(self, symbol, quote, ms):
        return (f'{{"channel":"ticker","type":"update","data":[{{"symbol":"{symbol}","bid":{quote[0]},'
                f'"bid_qty":{quote[1]},"ask":{quote[2]},"ask_qty":{quote[3]},"last":{quote[0]},"volume":1.5}}]}}')

    def corrupt(self, text):
        head, mark, rest = text.partition('"checksum":')
        if not mark:
            return None
        digits = rest[:len(rest) - len(rest.lstrip("0123456789"))]
        return f"{head}{mark}{int(digits) ^ 1}{rest[len(digits):]}"

    def hello(self, connection):
        connection.reply('{"channel":"status","type":"update","data":[{"api_version":"v2","connection_id":1,'
                         '"system":"online","version":"2.0.8"}]}')

    def on_text(self, connection, text):
        message = json.loads(text)
        method, number, wanted = message.get("method"), message.get("req_id", 0), message.get("params", {})
        if method == "ping":
            connection.reply(f'{{"method":"pong","req_id":{number},"time_in":"{iso(0)}","time_out":"{iso(0)}"}}')
            return
        name = wanted.get("channel")
        for symbol in wanted.get("symbol", []):
            answer = {"method": method, "req_id": number, "time_in": iso(0), "time_out": iso(0)}
            good = name in self.channels and connection.simulator.knows(symbol)
            good = good and (name != "book" or wanted.get("depth", 10) in (10, 25, 100, 500, 1000))
            if not good:
                connection.reply(compact({**answer, "error": f"Currency pair not supported {symbol}", "success": False,
                                          "symbol": symbol}))
                continue
            result = {"channel": name, "symbol": symbol}
            if name == "book":
                result.update({"depth": wanted.get("depth", 10), "snapshot": True})
            channel = self.channels[name]
            if method == "subscribe" and (channel, symbol) in connection.streams:
                connection.reply(compact({**answer, "error": "Already subscribed", "success": False, "symbol": symbol}))
                continue
            connection.reply(compact({**answer, "result": result, "success": True}))
            if method == "subscribe":
                connection.subscribe(channel, symbol)
            else:
                connection.unsubscribe(channel, symbol)

    def heartbeat(self, connection, now):
        connection.reply('{"channel":"heartbeat"}')

    def rest_other(self, simulator, method, path, query):
        if path != "/0/public/AssetPairs":
            return None
        listed = {}
        for symbol, unified in simulator.markets():
            base, quote = unified.split("/")
            ws_name = symbol.replace("BTC/", "XBT/")
            listed[base + quote] = {"altname": base + quote, "wsname": ws_name, "base": base, "quote": quote,
                                    "pair_decimals": 2, "lot_decimals": 8, "status": "online"}
        return 200, compact({"error": [], "result": listed})


class KrakenV1(Kraken):
    name = "kraken_v1"
    path = "/"
    symbols = [("XBT/USD", "BTC/USD"), ("ETH/EUR", "ETH/EUR")]
    channels = {"book": BOOK, "trade": TRADE, "spread": QUOTE}

    def unified(self, symbol):
        return "/".join({"XBT": "BTC", "XDG": "DOGE"}.get(code, code) for code in symbol.split("/"))

    def decode(self, text):
        message = exact(text)
        if not isinstance(message, list):
            return None
        symbol, name, payloads = message[-1], message[-2], message[1:-2]
        channel = self.channels.get(name.split("-")[0])
        if channel == BOOK:
            members = {}
            for payload in payloads:
                members.update(payload)
            snapshot = "as" in members
            change = Change(snapshot, pairs(members.get("bs", members.get("b", []))),
                            pairs(members.get("as", members.get("a", []))))
            return Frame(text, [Part(BOOK, symbol, change=change)])
        if channel == TRADE:
            trades = [Trade(None, row[0], row[1], "buy" if row[3] == "b" else "sell", ms_of_seconds(row[2]))
                      for row in payloads[0]]
            return Frame(text, [Part(TRADE, symbol, trades)])
        if channel == QUOTE:
            bid, ask, _, bid_amount, ask_amount = payloads[0]
            return Frame(text, [Part(QUOTE, symbol, quote=(bid, bid_amount, ask, ask_amount))])
        return None

    def rows(self, rows):
        return "[" + ",".join(f'["{price}","{amount}","1700000000.000000"]' for price, amount in rows) + "]"

    def snapshot(self, symbol, book, history=()):
        return (f'[336,{{"as":{self.rows(book.rows(ASK))},"bs":{self.rows(book.rows(BID))}}},'
                f'"book-{self.depth}","{symbol}"]')

    def delta(self, symbol, change, book, ms):
        sides = [f'"{letter}":{self.rows(rows)}' for letter, rows in (("a", change.asks), ("b", change.bids)) if rows]
        sides[-1] += f',"c":"{kraken_checksum(book)}"'
        return f'[336,{",".join("{" + side + "}" for side in sides)},"book-{self.depth}","{symbol}"]'

    def trade(self, symbol, trade):
        seconds = f"{trade.ms // 1000}.{trade.ms % 1000:03d}000"
        return (f'[337,[["{trade.price}","{trade.amount}","{seconds}","{trade.side[0]}","m",""]],"trade","{symbol}"]')

    def quote(self, symbol, quote, ms):
        return (f'[338,["{quote[0]}","{quote[2]}","{ms // 1000}.{ms % 1000:03d}000","{quote[1]}","{quote[3]}"],'
                f'"spread","{symbol}"]')

    def corrupt(self, text):
        head, mark, rest = text.partition('"c":"')
        if not mark:
            return None
        digits, _, tail = rest.partition('"')
        return f'{head}{mark}{int(digits) ^ 1}"{tail}'

    def hello(self, connection):
        connection.reply('{"connectionID":1,"event":"systemStatus","status":"online","version":"1.9.6"}')

    def on_text(self, connection, text):
        message = json.loads(text)
        event, options = message.get("event"), message.get("subscription", {})
        if event == "ping":
            connection.reply('{"event":"pong"}')
            return
        name = options.get("name")
        for symbol in message.get("pair", []):
            shown = f"book-{options.get('depth', 10)}" if name == "book" else name
            answer = {"channelID": 336, "channelName": shown, "event": "subscriptionStatus", "pair": symbol,
                      "subscription": options}
            if name not in self.channels or not connection.simulator.knows(symbol):
                answer.update({"status": "error", "errorMessage": f"Currency pair not supported {symbol}"})
                connection.reply(compact(answer))
                continue
            connection.reply(compact({**answer, "status": event + "d"}))
            if event == "subscribe":
                connection.subscribe(self.channels[name], symbol)
            else:
                connection.unsubscribe(self.channels[name], symbol)

    def heartbeat(self, connection, now):
        connection.reply('{"event":"heartbeat"}')
