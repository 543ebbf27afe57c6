"""venues_swap.py - OKX, Bybit, Deribit, BitMEX and Bitfinex as they speak: books whose snapshot comes in the stream.

Job:       see venue.py. Facts are from the venues' public documentation and from recorded traffic.
Non-goals: channels that the engine does not subscribe to.
"""
import json
import re
from dataclasses import replace

from books import ASK, BID, canonical, okx_checksum
from venue import (BOOK, QUOTE, TRADE, Change, Frame, Part, Trade, Venue, compact, exact, iso, ms_of_iso, pairs,
                   rows_text)

MONTHS = {name: number for number, name in enumerate(
    ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1)}


# ---- OKX ----

class Okx(Venue):
    name = "okx"
    path = "/ws/v5/public"
    checksum = True
    shutdown_text = ('{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service '
                     'upgrade. Please reconnect.","connId":"a4d3ae55"}')
    symbols = [("BTC-USDT", "BTC/USDT"), ("ETH-USDT-SWAP", "ETH/USDT:USDT")]
    channels = {"books": BOOK, "trades": TRADE, "bbo-tbt": QUOTE}

    def unified(self, symbol):
        parts = symbol.split("-")
        if len(parts) == 2:
            return "/".join(parts)
        settle = parts[1] if parts[1] in ("USDT", "USDC") else parts[0]
        tail = "" if parts[2] == "SWAP" else "-" + "-".join(parts[2:])
        return f"{parts[0]}/{parts[1]}:{settle}{tail}"

    def decode(self, text):
        text = text.replace('"books-l2-tbt"', '"books"')
        if not text.startswith("{"):
            return None
        message = json.loads(text)
        if "data" not in message:
            return None
        channel, symbol = self.channels.get(message["arg"]["channel"]), message["arg"]["instId"]
        parts = []
        for one in message["data"]:
            if channel == BOOK:
                change = Change(message["action"] == "snapshot", pairs(one["bids"]), pairs(one["asks"]),
                                last=one.get("seqId", 0), previous=one.get("prevSeqId"))
                parts.append(Part(BOOK, symbol, change=change))
            elif channel == TRADE:
                trade = Trade(one["tradeId"], one["px"], one["sz"], one["side"], int(one["ts"]))
                parts.append(Part(TRADE, symbol, [trade]))
            elif channel == QUOTE:
                bid, ask = (one["bids"] or [("", "")])[0], (one["asks"] or [("", "")])[0]
                parts.append(Part(QUOTE, symbol, quote=(bid[0], bid[1], ask[0], ask[1])))
        return Frame(text, parts) if parts else None

    def rows(self, rows):
        return "[" + ",".join(f'["{price}","{amount}","0","1"]' for price, amount in rows) + "]"

    def book_text(self, action, symbol, bids, asks, book, seq, previous):
        return (f'{{"arg":{{"channel":"books","instId":"{symbol}"}},"action":"{action}","data":[{{'
                f'"asks":{self.rows(asks)},"bids":{self.rows(bids)},"ts":"1700000000000",'
                f'"checksum":{okx_checksum(book)},"prevSeqId":{previous},"seqId":{seq}}}]}}')

    def snapshot(self, symbol, book, history=()):
        return self.book_text("snapshot", symbol, book.rows(BID), book.rows(ASK), book, book.seq, -1)

    def delta(self, symbol, change, book, ms):
        return self.book_text("update", symbol, change.bids, change.asks, book, change.last, change.previous)

    def trade(self, symbol, trade):
        return compact({"arg": {"channel": "trades", "instId": symbol}, "data": [
            {"instId": symbol, "tradeId": trade.id, "px": trade.price, "sz": trade.amount, "side": trade.side,
             "ts": str(trade.ms), "count": "1"}]})

    def quote(self, symbol, quote, ms):
        return compact({"arg": {"channel": "bbo-tbt", "instId": symbol}, "data": [
            {"bids": [[quote[0], quote[1], "0", "1"]], "asks": [[quote[2], quote[3], "0", "1"]], "ts": str(ms),
             "seqId": ms}]})

    def corrupt(self, text):
        return re.sub(r'"checksum":(-?\d+)', lambda match: f'"checksum":{int(match.group(1)) ^ 1}', text, count=1)

    def on_text(self, connection, text):
        if text == "ping":
            connection.reply("pong")
            return
        message = json.loads(text)
        for one in message["args"]:
            channel, symbol = self.channels.get(one["channel"]), one["instId"]
            if channel is None or not connection.simulator.knows(symbol):
                connection.reply(compact({"event": "error", "code": "60018", "connId": "a4d3ae55", "msg":
                                          f"Wrong URL or channel:{one['channel']},instId:{symbol} doesn't exist."}))
                continue
            connection.reply(compact({"event": message["op"], "arg": one, "connId": "a4d3ae55"}))
            if message["op"] == "subscribe":
                connection.subscribe(channel, symbol)
            else:
                connection.unsubscribe(channel, symbol)


    def answer_key(self, path, query):
        return path, query.get("instType"), query.get("instFamily", query.get("uly"))

    def rest_other(self, simulator, method, path, query):
        if path != "/api/v5/public/instruments":
            return None
        rows = []
        for symbol, base, quote, settle in self.listed(simulator):
            tail = symbol.split("-")[2:]
            kind = "SPOT" if not tail else "SWAP" if tail == ["SWAP"] else "FUTURES" if len(tail) == 1 else "OPTION"
            if kind != query.get("instType") or query.get("instFamily", f"{base}-{quote}") != f"{base}-{quote}":
                continue
            expiry = "" if kind in ("SPOT", "SWAP") else str(ms_of_iso(f"20{tail[0][:2]}-{tail[0][2:4]}-{tail[0][4:]}"
                                                                       "T08:00:00Z"))
            rows.append({"instType": kind, "instId": symbol, "uly": "" if kind == "SPOT" else f"{base}-{quote}",
                         "baseCcy": base if kind == "SPOT" else "", "quoteCcy": quote if kind == "SPOT" else "",
                         "settleCcy": settle or "", "ctVal": "1", "ctMult": "1", "ctType": "linear" if settle == quote
                         else "inverse", "expTime": expiry, "stk": tail[1] if kind == "OPTION" else "",
                         "optType": tail[2] if kind == "OPTION" else "", "tickSz": "0.01", "lotSz": "0.00001",
                         "minSz": "0.00001", "state": "live"})
        return 200, compact({"code": "0", "data": rows, "msg": ""})


# ---- Bybit ----

class Bybit(Venue):
    name = "bybit"
    path = "/v5/public/linear"
    depth = 200
    symbols = [("BTCUSDT", "BTC/USDT:USDT"), ("ETHUSDT", "ETH/USDT:USDT")]

    def unified(self, symbol):
        pair = super().unified(symbol)
        return pair if self.path.endswith("spot") else f"{pair}:{pair.split('/')[1]}"

    def shown(self, symbol):
        return f"{self.path.rsplit('/', 1)[1]}:{symbol}"

    def wants(self, record):
        return record.kind != "received" or record.url.endswith(self.path)

    def split(self, topic):
        """(channel, symbol) of a topic; None for channels that nobody here reads."""
        kind, _, rest = topic.partition(".")
        if kind == "publicTrade":
            return TRADE, rest
        if kind != "orderbook":
            return None
        depth, _, symbol = rest.partition(".")
        return (QUOTE, symbol) if depth == "1" else (BOOK, symbol) if depth == str(self.depth) else None

    def decode(self, text):
        message = json.loads(text)
        stream = self.split(message.get("topic", ""))
        if stream is None:
            return None
        (channel, symbol), data = stream, message["data"]
        if channel == TRADE:
            trades = [Trade(one["i"], one["p"], one["v"], one["S"].lower(), one["T"]) for one in data]
            return Frame(text, [Part(TRADE, symbol, trades)])
        if channel == QUOTE:
            bid, ask = (data["b"] or [("", "")])[0], (data["a"] or [("", "")])[0]
            return Frame(text, [Part(QUOTE, symbol, quote=(*bid, *ask))])
        snapshot = message["type"] == "snapshot" or data["u"] == 1
        return Frame(text, [Part(BOOK, symbol, change=Change(snapshot, pairs(data["b"]), pairs(data["a"]), data["u"],
                                                             data["u"]))])

    def book_text(self, kind, symbol, bids, asks, u, depth):
        return (f'{{"topic":"orderbook.{depth}.{symbol}","type":"{kind}","ts":1700000000001,"data":{{"s":"{symbol}",'
                f'"b":{rows_text(bids)},"a":{rows_text(asks)},"u":{u},"seq":{u + 7}}},"cts":1700000000000}}')

    def snapshot(self, symbol, book, history=()):
        return self.book_text("snapshot", symbol, book.rows(BID), book.rows(ASK), book.seq, self.depth)

    def delta(self, symbol, change, book, ms):
        return self.book_text("delta", symbol, change.bids, change.asks, change.last, self.depth)

    def trade(self, symbol, trade):
        return compact({"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": trade.ms, "data": [
            {"T": trade.ms, "s": symbol, "S": trade.side.capitalize(), "v": trade.amount, "p": trade.price,
             "L": "PlusTick", "i": f"a9188a0a-82bc-50de-be60-{int(trade.id):012x}", "BT": False}]})

    def quote(self, symbol, quote, ms):
        return self.book_text("snapshot", symbol, [quote[:2]], [quote[2:]], ms, 1)

    def on_text(self, connection, text):
        message = json.loads(text)
        answer = {"success": True, "ret_msg": "", "conn_id": "c", "req_id": message.get("req_id", ""),
                  "op": message["op"]}
        if message["op"] == "ping":
            connection.reply(compact({**answer, "ret_msg": "pong"}))
            return
        streams = [self.split(topic) for topic in message["args"]]
        wrong = [topic for topic, stream in zip(message["args"], streams)
                 if stream is None or not connection.simulator.knows(stream[1])]
        if wrong:
            connection.reply(compact({**answer, "success": False, "ret_msg":
                                      f"error:handler not found,topic:{wrong[0]}"}))
            return
        connection.reply(compact(answer))
        for channel, symbol in streams:
            if message["op"] == "subscribe":
                connection.subscribe(channel, symbol)
            else:
                connection.unsubscribe(channel, symbol)


    def answer_key(self, path, query):
        return path, query.get("category")

    def rest_other(self, simulator, method, path, query):
        if path != "/v5/market/instruments-info":
            return None
        here = query.get("category") == self.path.rsplit("/", 1)[1]
        rows = [{"symbol": symbol, "baseCoin": base, "quoteCoin": quote, "status": "Trading", "deliveryTime": "0",
                 "priceFilter": {"tickSize": "0.01"}, "lotSizeFilter":
                 {"basePrecision": "0.00001", "qtyStep": "0.00001"},
                 **({"contractType": "LinearPerpetual", "settleCoin": settle} if settle else {})}
                for symbol, base, quote, settle in (self.listed(simulator) if here else ())]
        return 200, compact({"retCode": 0, "retMsg": "OK", "result": {"category": query.get("category"), "list": rows,
                                                                      "nextPageCursor": ""}})


class BybitSpot(Bybit):
    exchange = "bybit"
    name = "bybit_spot"
    path = "/v5/public/spot"
    symbols = [("BTCUSDT", "BTC/USDT"), ("ETHUSDT", "ETH/USDT")]


# ---- Deribit ----

class Deribit(Venue):
    name = "deribit"
    path = "/ws/api/v2"
    symbols = [("BTC-PERPETUAL", "BTC/USD:BTC"), ("ETH-PERPETUAL", "ETH/USD:ETH")]
    prefixes = {"book": BOOK, "trades": TRADE, "quote": QUOTE}

    def unified(self, symbol):
        parts = symbol.split("-")
        base, _, quote = parts[0].partition("_")
        settle = quote or base
        pair = f"{base}/{quote or 'USD'}:{settle}"
        if parts[1] == "PERPETUAL":
            return pair
        day, month, year = re.fullmatch(r"(\d+)([A-Z]{3})(\d\d)", parts[1]).groups()
        return "-".join([pair, f"{year}{MONTHS[month]:02d}{int(day):02d}", *parts[2:]])

    def decode(self, text):
        text = text.replace('.raw"', '.100ms"', 1)
        message = exact(text)
        if message.get("method") != "subscription":
            return None
        kind, symbol = message["params"]["channel"].split(".")[:2]
        channel, data = self.prefixes.get(kind), message["params"]["data"]
        if channel == BOOK:
            sides = [[(price, "0" if action == "delete" else amount) for action, price, amount in data[side]]
                     for side in ("bids", "asks")]
            change = Change(data["type"] == "snapshot", *sides, last=int(data["change_id"]),
                            previous=int(data.get("prev_change_id") or 0))
            return Frame(text, [Part(BOOK, symbol, change=change)])
        if channel == TRADE:
            trades = [Trade(one["trade_id"], one["price"], one["amount"], one["direction"], int(one["timestamp"]))
                      for one in data]
            return Frame(text, [Part(TRADE, symbol, trades)])
        if channel == QUOTE:
            return Frame(text, [Part(QUOTE, symbol, quote=(data["best_bid_price"], data["best_bid_amount"],
                                                           data["best_ask_price"], data["best_ask_amount"]))])
        return None

    def wrap(self, channel, body):
        return f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{body}}}}}'

    def rows(self, rows):
        return "[" + ",".join(f'["{"delete" if canonical(amount) == "0" else "new"}",{price},{amount}]'
                              for price, amount in rows) + "]"

    def snapshot(self, symbol, book, history=()):
        return self.wrap(f"book.{symbol}.100ms", f'{{"type":"snapshot","timestamp":1700000000000,"instrument_name":'
                         f'"{symbol}","change_id":{book.seq},"bids":{self.rows(book.rows(BID))},'
                         f'"asks":{self.rows(book.rows(ASK))}}}')

    def delta(self, symbol, change, book, ms):
        return self.wrap(f"book.{symbol}.100ms", f'{{"type":"change","timestamp":{ms},"prev_change_id":'
                         f'{change.previous},"instrument_name":"{symbol}","change_id":{change.last},'
                         f'"bids":{self.rows(change.bids)},"asks":{self.rows(change.asks)}}}')

    def trade(self, symbol, trade):
        return self.wrap(f"trades.{symbol}.100ms", f'[{{"trade_seq":1,"trade_id":"{trade.id}","timestamp":{trade.ms},'
                         f'"tick_direction":0,"price":{trade.price},"instrument_name":"{symbol}",'
                         f'"direction":"{trade.side}","amount":{trade.amount}}}]')

    def quote(self, symbol, quote, ms):
        return self.wrap(f"quote.{symbol}", f'{{"timestamp":{ms},"instrument_name":"{symbol}","best_bid_price":'
                         f'{quote[0]},"best_bid_amount":{quote[1]},"best_ask_price":{quote[2]},'
                         f'"best_ask_amount":{quote[3]}}}')

    def on_text(self, connection, text):
        message = json.loads(text)
        method, answer = message["method"], {"jsonrpc": "2.0", "id": message["id"]}
        if method == "public/set_heartbeat":
            connection.state["interval"] = message["params"]["interval"]
        if method not in ("public/subscribe", "public/unsubscribe"):
            connection.state["tests"] = connection.state.get("tests", 0) + (method == "public/test")
            connection.reply(compact({**answer, "result": {"version": "1.2.26"} if method == "public/test" else "ok"}))
            return
        good = []
        for name in message["params"]["channels"]:
            kind, symbol = name.split(".")[:2]
            if kind in self.prefixes and connection.simulator.knows(symbol):
                good.append((name, self.prefixes[kind], symbol))
        connection.reply(compact({**answer, "result": [name for name, _, _ in good], "usIn": 1, "usOut": 2, "usDiff": 1,
                                  "testnet": False}))
        for _, channel, symbol in good:
            if method == "public/subscribe":
                connection.subscribe(channel, symbol)
            else:
                connection.unsubscribe(channel, symbol)

    def heartbeat(self, connection, now):
        if "interval" in connection.state:
            connection.reply('{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}')


    def answer_key(self, path, query):
        return path, query.get("currency")

    def rest_other(self, simulator, method, path, query):
        if path != "/api/v2/public/get_instruments":
            return None
        rows = []
        for symbol, base, quote, settle in self.listed(simulator):
            tail = simulator.tape.names[symbol].split("-")[1:]
            row = {"instrument_name": symbol, "base_currency": base, "quote_currency": quote, "counter_currency": quote,
                   "settlement_currency": settle, "settlement_period": "month" if tail else "perpetual",
                   "kind": "option" if len(tail) == 3 else "future", "is_active": True, "tick_size": 0.01,
                   "min_trade_amount": 1, "contract_size": 1, "expiration_timestamp": 32503708800000}
            if tail:
                date = tail[0]
                row["expiration_timestamp"] = ms_of_iso(f"20{date[:2]}-{date[2:4]}-{date[4:]}T08:00:00Z")
            if len(tail) == 3:
                row.update({"strike": int(tail[1]), "option_type": "call" if tail[2] == "C" else "put"})
            rows.append(row)
        return 200, compact({"jsonrpc": "2.0", "result": rows})


# ---- BitMEX ----

class Bitmex(Venue):
    name = "bitmex"
    doubts = True
    path = "/realtime"
    notices_loss = notices_order = False  # only an id that is not known shows one
    symbols = [("XBTUSD", "BTC/USD:BTC"), ("ETHUSDT", "ETH/USDT:USDT")]
    tables = {"orderBookL2": BOOK, "trade": TRADE, "quote": QUOTE}

    def __init__(self):
        super().__init__()
        self.prices, self.ids, self.present, self.names = {}, {}, set(), {}

    def prepare(self, records):
        """Names come from the recorded list: an id does not tell in which currency it settles, nor on which day."""
        for record in records:
            if record.kind == "http" and record.url.endswith("/instrument/active"):
                for one in json.loads(record.data):
                    self.names[one["symbol"]] = self.name_of(one)

    def name_of(self, one):
        code = {"XBT": "BTC", "XBt": "BTC", "USDt": "USDT"}
        base, quote, settle = (code.get(one[key], one[key]) for key in ("underlying", "quoteCurrency", "settlCurrency"))
        tail = "" if one["typ"] == "FFWCSX" else "-" + one["expiry"][2:10].replace("-", "")
        return f"{base}/{quote}:{settle}{tail}"

    def unified(self, symbol):
        return self.names.get(symbol, symbol)

    def rest_other(self, simulator, method, path, query):
        if path != "/api/v1/instrument/active":
            return None
        code = {"BTC": "XBt", "USDT": "USDt"}
        return 200, compact([{
            "symbol": symbol, "underlying": "XBT" if base == "BTC" else base, "quoteCurrency": quote, "state": "Open",
            "settlCurrency": code.get(settle, settle), "typ": "FFWCSX", "expiry": None, "lotSize": 1, "tickSize": 0.01,
            "isInverse": settle == base, "isQuanto": settle not in (base, quote)}
            for symbol, base, quote, settle in self.listed(simulator)])

    def decode(self, text):
        if not text.startswith("{"):
            return None
        message = exact(text)
        channel, action = self.tables.get(message.get("table")), message.get("action")
        if channel is None:
            return None
        parts = []
        for one in message["data"]:
            symbol = one["symbol"]
            if channel == TRADE:
                parts.append(Part(TRADE, symbol, [Trade(one["trdMatchID"], one["price"], one["size"],
                                                        one["side"].lower(), ms_of_iso(one["timestamp"]),
                                                        action == "partial")]))
            elif channel == QUOTE:
                parts.append(Part(QUOTE, symbol, quote=tuple(one.get(key) for key in (
                    "bidPrice", "bidSize", "askPrice", "askSize"))))
            else:
                if not parts or parts[-1].symbol != symbol:
                    parts.append(Part(BOOK, symbol, change=Change(action == "partial", [], [])))
                key = (symbol, one["id"])
                if "price" in one:
                    self.prices[key] = one["price"]
                    self.ids[symbol, canonical(one["price"])] = one["id"]
                side = parts[-1].change.bids if one["side"] == "Buy" else parts[-1].change.asks
                side.append((self.prices[key], "0" if action == "delete" else one["size"]))
        if not message["data"]:
            symbol = message.get("filter", {}).get("symbol")
            parts = [Part(channel, symbol, change=Change(True, [], []) if channel == BOOK else None)] if symbol else []
        return Frame(text, parts) if parts else None

    def id_of(self, symbol, price):
        known = self.ids.get((symbol, canonical(price)))
        return known or str(8_800_000_000 - int(price.replace(".", "")))

    def row(self, symbol, side, price, amount, action):
        text = f'{{"symbol":"{symbol}","id":{self.id_of(symbol, price)},"side":"{side}"'
        if action != "delete":
            text += f',"size":{amount}'
        if action in ("insert", "partial"):
            text += f',"price":{price}'
        return text + "}"

    def table(self, table, action, rows, symbol):
        extra = f'"keys":["symbol","id","side"],"filter":{{"symbol":"{symbol}"}},' if action == "partial" else ""
        return f'{{"table":"{table}","action":"{action}",{extra}"data":[{",".join(rows)}]}}'

    def snapshot(self, symbol, book, history=()):
        rows = []
        for side, name in ((ASK, "Sell"), (BID, "Buy")):
            for price, amount in book.rows(side):
                self.present.add((symbol, side, canonical(price)))
                rows.append(self.row(symbol, name, price, amount, "partial"))
        return self.table("orderBookL2", "partial", rows, symbol)

    def opening(self, symbol, book, history):
        return [self.snapshot(symbol, book), self.trade(symbol, replace(history[-1], history=True))]

    def delta(self, symbol, change, book, ms):
        """Up to three messages: an update and a delete name a level by its id."""
        actions = {"delete": [], "update": [], "insert": []}
        for side, name, rows in ((BID, "Buy", change.bids), (ASK, "Sell", change.asks)):
            for price, amount in rows:
                key = (symbol, side, canonical(price))
                if canonical(amount) == "0":
                    if key not in self.present:
                        continue
                    self.present.discard(key)
                    action = "delete"
                else:
                    action = "update" if key in self.present else "insert"
                    self.present.add(key)
                actions[action].append(self.row(symbol, name, price, amount, action))
        return [self.table("orderBookL2", action, rows, symbol) for action, rows in actions.items() if rows]

    def trade(self, symbol, trade):
        match = trade.id if "-" in trade.id else f"00000000-0000-4000-8000-{int(trade.id):012x}"
        row = {"timestamp": iso(trade.ms, 3), "symbol": symbol, "side": trade.side.capitalize(), "size": "SIZE",
               "price": "PRICE", "tickDirection": "PlusTick", "trdMatchID": match}
        text = compact(row).replace('"SIZE"', trade.amount).replace('"PRICE"', trade.price)
        return self.table("trade", "partial" if trade.history else "insert", [text], symbol)

    def quote(self, symbol, quote, ms):
        return self.table("quote", "insert", [f'{{"timestamp":"{iso(ms, 3)}","symbol":"{symbol}","bidSize":{quote[1]},'
                                              f'"bidPrice":{quote[0]},"askPrice":{quote[2]},"askSize":{quote[3]}}}'],
                          symbol)

    def hello(self, connection):
        connection.reply('{"info":"Welcome to the BitMEX Realtime API.","version":"2.0.0","timestamp":'
                         '"2024-01-01T00:00:00.000Z","docs":"https://www.bitmex.com/app/wsAPI",'
                         '"limit":{"remaining":39}}')

    def on_text(self, connection, text):
        if text == "ping":
            connection.reply("pong")
            return
        message = json.loads(text)
        for name in message["args"]:
            table, _, symbol = name.partition(":")
            if table not in self.tables or not connection.simulator.knows(symbol):
                connection.reply(compact({"status": 400, "error": "Unknown or expired symbol.", "meta": {},
                                          "request": message}))
                continue
            connection.reply(compact({"success": True, message["op"]: name, "request": message}))
            if message["op"] == "subscribe":
                connection.subscribe(self.tables[table], symbol)
            else:
                connection.unsubscribe(self.tables[table], symbol)

    def subscribed(self, connection, channel, symbol):
        super().subscribed(connection, channel, symbol)
        last = connection.simulator.history(symbol, 1)
        if channel == TRADE and last:
            connection.reply(self.trade(symbol, replace(last[-1], history=True)))


# ---- Bitfinex ----

class Bitfinex(Venue):
    name = "bitfinex"
    breaks_all = True
    path = "/ws/2"
    shutdown_text = '{"event":"info","code":20051,"msg":"Stopping. Please try to reconnect"}'
    symbols = [("tBTCUSD", "BTC/USD"), ("tETHUSD", "ETH/USD")]
    channels = {"book": BOOK, "trades": TRADE, "ticker": QUOTE}
    codes = {"UST": "USDT", "IOT": "IOTA", "MNA": "MANA", "DOG": "MDOGE"}
    SEQUENCE = 65536

    def __init__(self):
        super().__init__()
        self.keys = {}  # number of a channel in the tape -> (channel, symbol)
        self.made = {(channel, symbol): 1000 + 10 * index + place for index, (symbol, _) in enumerate(self.symbols)
                     for place, channel in enumerate((BOOK, TRADE, QUOTE))}
        self.keys.update({str(number): key for key, number in self.made.items()})

    def unified(self, symbol):
        base, colon, quote = symbol[1:].partition(":")
        if not colon:
            base, quote = symbol[1:-3], symbol[-3:]
        return "/".join(self.codes.get(code, code) for code in (base, quote))

    def prepare(self, records):
        for record in records:
            if record.kind == "received" and record.data.startswith('{"event":"subscribed"'):
                message = json.loads(record.data)
                self.learn(message)

    def learn(self, message):
        self.keys[str(message["chanId"])] = (self.channels.get(message["channel"]), message["symbol"])

    def decode(self, text):
        message = exact(text)
        if isinstance(message, dict):
            if message.get("event") == "subscribed":
                self.learn(message)
            return None
        key = self.keys.get(message[0])
        if key is None or message[1] in ("hb", "cs") or key[0] is None:
            return None
        channel, symbol = key
        if channel == TRADE:
            if message[1] == "tu":
                return Frame(text, [Part(TRADE, symbol)])
            rows = [message[2]] if message[1] == "te" else list(reversed(message[1]))
            trades = [Trade(row[0], row[3], row[2].lstrip("-"), "sell" if row[2].startswith("-") else "buy",
                            int(row[1]), message[1] != "te") for row in rows]
            return Frame(text, [Part(TRADE, symbol, trades)])
        if channel == QUOTE:
            return Frame(text, [Part(QUOTE, symbol, quote=tuple(message[1][:4]))])
        snapshot = not message[1] or isinstance(message[1][0], list)
        sides = ([], [])
        for price, count, amount in message[1] if snapshot else [message[1]]:
            sides[ASK if amount.startswith("-") else BID].append((price, amount.lstrip("-") if count != "0" else "0"))
        return Frame(text, [Part(BOOK, symbol, change=Change(snapshot, *sides))])

    def row(self, side, price, amount):
        if canonical(amount) == "0":
            return f"[{price},0,{'-1' if side == ASK else '1'}]"
        return f"[{price},2,{'-' if side == ASK else ''}{amount}]"

    def key_number(self, channel, symbol):
        return next((number for number, key in self.keys.items() if key == (channel, symbol)), None)

    def snapshot(self, symbol, book, history=()):
        rows = [self.row(side, *row) for side in (BID, ASK) for row in book.rows(side)]
        return f"[{self.key_number(BOOK, symbol)},[{','.join(rows)}],0]"

    def trades_text(self, symbol, trades):
        rows = [f"[{one.id},{one.ms},{'-' if one.side == 'sell' else ''}{one.amount},{one.price}]"
                for one in reversed(trades)]
        return f"[{self.key_number(TRADE, symbol)},[{','.join(rows)}],0]"

    def opening(self, symbol, book, history):
        return [self.snapshot(symbol, book), self.trades_text(symbol, history)]

    def delta(self, symbol, change, book, ms):
        """One message per level."""
        number = self.key_number(BOOK, symbol)
        rows = [self.row(BID, *row) for row in change.bids] + [self.row(ASK, *row) for row in change.asks]
        rows.sort(key=lambda row: ",0," not in row)  # what goes first, so that no step is crossed
        return [f"[{number},{row},0]" for row in rows]

    def trade(self, symbol, trade):
        sign = "-" if trade.side == "sell" else ""
        return f'[{self.key_number(TRADE, symbol)},"te",[{trade.id},{trade.ms},{sign}{trade.amount},{trade.price}],0]'

    def quote(self, symbol, quote, ms):
        return f"[{self.key_number(QUOTE, symbol)},[{','.join(quote)},0.1,0.001,{quote[0]},100,2,1],0]"

    def number(self, connection, text):
        """The connection's own channel numbers, and its count of frames in place of the tape's."""
        head, _, rest = text[1:].partition(",")
        number = connection.state["numbers"][self.keys[head]]
        body = rest[:rest.rindex(",")]
        if not connection.state.get("flags", 0) & self.SEQUENCE:
            return f"[{number},{body}]"
        count = connection.state["count"] = connection.state.get("count", 0) + 1
        return f"[{number},{body},{count}]"

    def hello(self, connection):
        connection.state["numbers"] = {}
        connection.reply('{"event":"info","version":2,"serverId":"s","platform":{"status":1}}')

    def on_text(self, connection, text):
        message, state = json.loads(text), connection.state
        event = message.get("event")
        if event == "conf":
            state["flags"] = message["flags"]
            connection.reply(compact({"event": "conf", "status": "OK", "flags": message["flags"]}))
        elif event == "ping":
            connection.reply(compact({"event": "pong", "ts": 1, "cid": message.get("cid")}))
        elif event == "unsubscribe":
            found = [key for key, number in state["numbers"].items() if number == message["chanId"]]
            if not found or found[0] not in connection.streams:
                connection.reply(compact({"event": "error", "msg": "unsubscribe: invalid", "code": 10400,
                                          "chanId": message["chanId"]}))
                return
            connection.reply(compact({"event": "unsubscribed", "status": "OK", "chanId": message["chanId"]}))
            connection.unsubscribe(*found[0])
        elif event == "subscribe":
            self.on_subscribe(connection, message)

    def on_subscribe(self, connection, message):
        channel, symbol = self.channels.get(message["channel"]), message.get("symbol", "")
        if channel is None or not connection.simulator.knows(symbol):
            connection.reply(compact({"event": "error", "msg": "symbol: invalid", "code": 10300,
                                      "channel": message["channel"], "symbol": symbol}))
            return
        given = connection.state["given"] = connection.state.get("given", 20_000 + 500 * connection.number) + 7
        connection.state["numbers"][channel, symbol] = given
        answer = {"event": "subscribed", "channel": message["channel"], "chanId": given, "symbol": symbol,
                  "pair": symbol[1:]}
        if channel == BOOK:
            answer.update({"prec": "P0", "freq": "F0", "len": message.get("len", "25")})
        connection.reply(compact(answer))
        connection.subscribe(channel, symbol)

    def subscribed(self, connection, channel, symbol):
        super().subscribed(connection, channel, symbol)
        history = connection.simulator.history(symbol, 30)
        if channel == TRADE and history:
            connection.reply(self.trades_text(symbol, history), numbered=True)

    def rest_other(self, simulator, method, path, query):
        """Pairs are listed by name alone; futures of the tape, if any, are in their own list."""
        names = [symbol[1:] for symbol, _ in simulator.markets()]
        if path == "/v2/conf/pub:list:pair:exchange":
            return 200, compact([[name for name in names if "F0" not in name]])
        if path == "/v2/conf/pub:list:pair:futures":
            return 200, compact([[name for name in names if "F0" in name]])
        return None
