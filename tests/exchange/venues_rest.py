"""venues_rest.py - Bitstamp, Gemini, HTX, KuCoin and Gate as they speak.

Job:       see venue.py. Facts are from the venues' public documentation and from recorded traffic.
Non-goals: channels that the engine does not subscribe to.
Depth:     KuCoin and Gate cut the books that REST serves to 100 levels; here they are served whole, so that a book can
           be compared with that of an unbroken run.
"""
import gzip
import json

from books import ASK, BID, Book, canonical
from venue import BOOK, QUOTE, TRADE, Change, Frame, Part, Trade, Venue, compact, exact, pairs, rows_text


# ---- Bitstamp ----

class Bitstamp(Venue):
    name = "bitstamp"
    doubts = True
    repair = "fetch"
    joins_rest = True
    notices_loss = False  # differences have a time, but no number
    notices_late = True
    quotes = False
    shutdown_text = '{"event":"bts:request_reconnect","channel":"","data":""}'
    splits = ("USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH")
    symbols = [("btcusd", "BTC/USD"), ("etheur", "ETH/EUR")]
    channels = {"live_trades": TRADE, "diff_order_book": BOOK}
    book_path = "/api/v2/order_book/"

    def stale(self, change, seq):
        return change.last <= seq

    def decode(self, text):
        message = json.loads(text)
        name, _, symbol = message["channel"].rpartition("_")
        channel, data = self.channels.get(name), message["data"]
        if message["event"] == "trade" and channel == TRADE:
            return Frame(text, [Part(TRADE, symbol, [Trade(str(data["id"]), data["price_str"], data["amount_str"],
                                                           "sell" if data["type"] == 1 else "buy",
                                                           int(data["microtimestamp"]) // 1000)])])
        if message["event"] == "data" and channel == BOOK:
            micro = int(data["microtimestamp"])
            return Frame(text, [Part(BOOK, symbol, change=Change(False, pairs(data["bids"]), pairs(data["asks"]), micro,
                                                                 micro))])
        return None

    def delta(self, symbol, change, book, ms):
        return (f'{{"data":{{"timestamp":"{change.last // 1000000}","microtimestamp":"{change.last}","bids":'
                f'{rows_text(change.bids)},"asks":{rows_text(change.asks)}}},"channel":"diff_order_book_{symbol}",'
                f'"event":"data"}}')

    def trade(self, symbol, trade):
        return compact({"data": {"id": int(trade.id), "timestamp": str(trade.ms // 1000), "amount": 1.0,
                                 "amount_str": trade.amount, "price": 1.0, "price_str": trade.price,
                                 "type": int(trade.side == "sell"), "microtimestamp": f"{trade.ms}000",
                                 "buy_order_id": 1, "sell_order_id": 2},
                        "channel": f"live_trades_{symbol}", "event": "trade"})

    def on_text(self, connection, text):
        message = json.loads(text)
        event = message["event"]
        if event == "bts:heartbeat":
            connection.reply('{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}')
            return
        full = message["data"]["channel"]
        name, _, symbol = full.rpartition("_")
        if name not in self.channels or not connection.simulator.knows(symbol):
            connection.reply(compact({"event": "bts:error", "channel": full, "data": {
                "code": None, "message": "Incorrect JSON format."}}))
            return
        leaving = event == "bts:unsubscribe"
        connection.reply(compact({"event": "bts:unsubscription_succeeded" if leaving else "bts:subscription_succeeded",
                                  "channel": full, "data": {}}))
        if leaving:
            connection.unsubscribe(self.channels[name], symbol)
        else:
            connection.subscribe(self.channels[name], symbol)

    def is_book_request(self, path, query):
        return path.startswith(self.book_path)

    def book_symbol(self, path, query):
        return path[len(self.book_path):].strip("/")

    def book_target(self, symbol):
        return f"{self.book_path}{symbol}/"

    def rest_book(self, symbol, book):
        return (f'{{"timestamp":"{book.seq // 1000000}","microtimestamp":"{book.seq}",'
                f'"bids":{rows_text(book.rows(BID))},"asks":{rows_text(book.rows(ASK))}}}')

    def read_rest_book(self, path, query, body):
        message = json.loads(body)
        book = Book()
        book.replace(pairs(message["bids"]), pairs(message["asks"]))
        book.seq = int(message["microtimestamp"])
        return self.book_symbol(path, query), book


    def rest_other(self, simulator, method, path, query):
        if path != "/api/v2/markets/":
            return None
        return 200, compact([{"market_symbol": symbol, "name": f"{base}/{quote}", "base_decimals": 8,
                              "counter_decimals": 2, "minimum_order_value": "10", "trading": "Enabled"}
                             for symbol, base, quote, _ in self.listed(simulator)])


# ---- Gemini ----

class Gemini(Venue):
    name = "gemini"
    doubts = True
    path = "/v2/marketdata"
    notices_loss = notices_order = False  # no sequence, no time
    quotes = False
    book_carries_trades = True
    splits = ("GUSD", "USDT", "USDC", "USD", "BTC", "ETH", "EUR", "GBP", "SGD", "DAI", "BCH", "LTC", "FIL")
    symbols = [("BTCUSD", "BTC/USD"), ("ETHEUR", "ETH/EUR")]

    def __init__(self):
        super().__init__()
        self.seen = set()

    def trade_of(self, one, history):
        return Trade(str(one["event_id"]), one["price"], one["quantity"], one["side"], one["timestamp"], history)

    def decode(self, text):
        message = json.loads(text)
        symbol = message.get("symbol")
        if message.get("type") == "trade":
            return Frame(text, [Part(TRADE, symbol, [self.trade_of(message, False)], stream=(BOOK, symbol))])
        if message.get("type") != "l2_updates":
            return None
        sides = {"buy": [], "sell": []}
        for side, price, amount in message["changes"]:
            sides[side].append((price, amount))
        change = Change("trades" in message, sides["buy"], sides["sell"])
        trades = [self.trade_of(one, True) for one in reversed(message.get("trades", []))]
        return Frame(text, [Part(BOOK, symbol, trades, change)])

    def changes(self, bids, asks):
        return [["buy", *row] for row in bids] + [["sell", *row] for row in asks]

    def trade_body(self, symbol, trade):
        return {"type": "trade", "symbol": symbol, "event_id": int(trade.id), "timestamp": trade.ms,
                "price": trade.price, "quantity": trade.amount, "side": trade.side}

    def snapshot(self, symbol, book, history=()):
        return compact({"type": "l2_updates", "symbol": symbol, "changes": self.changes(book.rows(BID), book.rows(ASK)),
                        "trades": [self.trade_body(symbol, one) for one in reversed(history)], "auction_events": []})

    def opening(self, symbol, book, history):
        return [self.snapshot(symbol, book, history)]

    def delta(self, symbol, change, book, ms):
        return compact({"type": "l2_updates", "symbol": symbol, "changes": self.changes(change.bids, change.asks)})

    def trade(self, symbol, trade):
        return compact(self.trade_body(symbol, trade))

    def on_text(self, connection, text):
        message = json.loads(text)
        for one in message["subscriptions"]:
            for symbol in one["symbols"]:
                if one["name"] != "l2" or not connection.simulator.knows(symbol):
                    connection.reply(compact({"result": "error", "reason": f"InvalidSymbol {symbol}"}))
                elif message["type"] == "subscribe":
                    connection.subscribe(BOOK, symbol)
                else:
                    connection.unsubscribe(BOOK, symbol)

    def heartbeat(self, connection, now):
        connection.reply(compact({"type": "heartbeat", "timestamp": int(now * 1000)}))


    def rest_other(self, simulator, method, path, query):
        if path != "/v1/symbols":
            return None
        return 200, compact([symbol.lower() for symbol, _ in simulator.markets()])


# ---- HTX ----

class Htx(Venue):
    name = "htx"
    path = "/ws"
    repair = "wait"
    notices_loss = notices_order = False  # every message is a whole book: the next one repairs
    symbols = [("btcusdt", "BTC/USDT"), ("ethbtc", "ETH/BTC")]
    channels = {"depth.step0": BOOK, "trade.detail": TRADE, "bbo": QUOTE}

    def stale(self, change, seq):
        return False

    def apply(self, book, change):
        if change.last and change.last < book.seq:
            return False
        return super().apply(book, change)

    def split(self, name):
        _, symbol, suffix = name.split(".", 2)
        return self.channels.get(suffix), symbol

    def decode(self, text):
        if isinstance(text, bytes):
            text = gzip.decompress(text).decode()
        message = exact(text)
        if "ch" not in message:
            return None
        (channel, symbol), tick = self.split(message["ch"]), message["tick"]
        if channel == BOOK:
            return Frame(text, [Part(BOOK, symbol, change=Change(True, pairs(tick["bids"]), pairs(tick["asks"]),
                                                                 last=int(tick["version"])))])
        if channel == TRADE:
            trades = [Trade(one["tradeId"], one["price"], one["amount"], one["direction"], int(one["ts"]))
                      for one in tick["data"]]
            return Frame(text, [Part(TRADE, symbol, trades)])
        if channel == QUOTE:
            quote = (tick["bid"], tick["bidSize"], tick["ask"], tick["askSize"])
            return Frame(text, [Part(QUOTE, symbol, quote=quote)])
        return None

    def pack(self, text):
        return gzip.compress(text.encode(), 1)

    def wrap(self, symbol, suffix, ms, body):
        return f'{{"ch":"market.{symbol}.{suffix}","ts":{ms},"tick":{body}}}'

    def snapshot(self, symbol, book, history=()):
        return self.wrap(symbol, "depth.step0", 1700000000000, f'{{"bids":{rows_text(book.rows(BID), bare=True)},'
                         f'"asks":{rows_text(book.rows(ASK), bare=True)},"version":{book.seq},"ts":1700000000000}}')

    def delta(self, symbol, change, book, ms):
        return self.snapshot(symbol, book)

    def trade(self, symbol, trade):
        return self.wrap(symbol, "trade.detail", trade.ms, f'{{"id":1,"ts":{trade.ms},"data":[{{"id":'
                         f'12345678901234567890123{trade.id[-4:]},"ts":{trade.ms},"tradeId":{trade.id},'
                         f'"amount":{trade.amount},"price":{trade.price},"direction":"{trade.side}"}}]}}')

    def quote(self, symbol, quote, ms):
        return self.wrap(symbol, "bbo", ms, f'{{"seqId":{ms},"ask":{quote[2]},"askSize":{quote[3]},"bid":{quote[0]},'
                         f'"bidSize":{quote[1]},"quoteTime":{ms},"symbol":"{symbol}"}}')

    def on_text(self, connection, text):
        message = json.loads(text)
        if "pong" in message:
            connection.state["pongs"] = connection.state.get("pongs", 0) + 1
            return
        verb = "sub" if "sub" in message else "unsub"
        channel, symbol = self.split(message[verb])
        if channel is None or not connection.simulator.knows(symbol):
            connection.reply(compact({"status": "error", "ts": 1, "id": message["id"], "err-code": "bad-request",
                                      "err-msg": f"invalid topic {message[verb]}"}))
            return
        connection.reply(compact({"id": message["id"], "status": "ok", f"{verb}bed": message[verb], "ts": 1}))
        if verb == "sub":
            connection.subscribe(channel, symbol)
        else:
            connection.unsubscribe(channel, symbol)

    def heartbeat(self, connection, now):
        connection.reply(f'{{"ping":{int(now * 1000)}}}')


    def rest_other(self, simulator, method, path, query):
        if path != "/v1/common/symbols":
            return None
        return 200, compact({"status": "ok", "data": [
            {"symbol": symbol, "base-currency": base.lower(), "quote-currency": quote.lower(), "price-precision": 2,
             "amount-precision": 8, "state": "online"} for symbol, base, quote, _ in self.listed(simulator)]})


# ---- KuCoin ----

class Kucoin(Venue):
    name = "kucoin"
    dials_token = True
    path = "/endpoint"
    repair = "fetch"
    joins_rest = True
    row_sequences = True
    symbols = [("BTC-USDT", "BTC/USDT"), ("ETH-BTC", "ETH/BTC")]
    topics = {"/market/match": TRADE, "/market/ticker": QUOTE, "/market/level2": BOOK}

    def unified(self, symbol):
        base, quote = symbol.split("-")
        return f"{'BSV' if base == 'BCHSV' else base}/{quote}"

    def stale(self, change, seq):
        return change.last <= seq

    def apply(self, book, change):
        if self.stale(change, book.seq):
            return False
        shows = False
        for side, rows, numbers in ((BID, change.bids, change.row_seqs[0]), (ASK, change.asks, change.row_seqs[1])):
            for (price, amount), number in zip(rows, numbers):
                if number > book.seq and canonical(price) != "0":
                    book.set(side, price, amount)
                    shows = True
        book.seq = change.last
        return shows

    def decode(self, text):
        message = json.loads(text)
        if message.get("type") != "message":
            return None
        topic, _, symbol = message["topic"].partition(":")
        channel, data = self.topics.get(topic), message["data"]
        if channel == BOOK:
            rows = [[(price, size) for price, size, _ in data["changes"][side]] for side in ("bids", "asks")]
            numbers = [[int(number) for _, _, number in data["changes"][side]] for side in ("bids", "asks")]
            change = Change(False, *rows, data["sequenceStart"], data["sequenceEnd"], row_seqs=numbers)
            return Frame(text, [Part(BOOK, symbol, change=change)])
        if channel == TRADE:
            return Frame(text, [Part(TRADE, symbol, [Trade(data["tradeId"], data["price"], data["size"], data["side"],
                                                           int(data["time"]) // 1000000)])])
        if channel == QUOTE:
            return Frame(text, [Part(QUOTE, symbol, quote=(data["bestBid"], data["bestBidSize"], data["bestAsk"],
                                                           data["bestAskSize"]))])
        return None

    def wrap(self, topic, symbol, subject, data):
        return compact({"data": data, "subject": subject, "topic": f"{topic}:{symbol}", "type": "message"})

    def delta(self, symbol, change, book, ms):
        number, rows = change.first, {"asks": [], "bids": []}
        for side, its in (("bids", change.bids), ("asks", change.asks)):
            for price, amount in its:
                rows[side].append([price, amount, str(number)])
                number += 1
        return self.wrap("/market/level2", symbol, "trade.l2update", {
            "sequenceStart": change.first, "symbol": symbol, "changes": rows, "sequenceEnd": change.last})

    def trade(self, symbol, trade):
        return self.wrap("/market/match", symbol, "trade.l3match", {
            "symbol": symbol, "sequence": "1", "side": trade.side, "size": trade.amount, "price": trade.price,
            "takerOrderId": "t", "makerOrderId": "m", "time": f"{trade.ms}000000", "type": "match",
            "tradeId": f"6085c097{int(trade.id):016x}" if trade.id.isdigit() and len(trade.id) < 16 else trade.id})

    def quote(self, symbol, quote, ms):
        return self.wrap("/market/ticker", symbol, "trade.ticker", {
            "sequence": str(ms), "bestAsk": quote[2], "bestAskSize": quote[3], "bestBid": quote[0],
            "bestBidSize": quote[1], "price": quote[0], "size": quote[1], "time": ms})

    def hello(self, connection):
        connection.reply('{"id":"NSkIrWGB1s","type":"welcome"}')

    def on_text(self, connection, text):
        message = json.loads(text)
        kind, number = message["type"], message["id"]
        if kind == "ping":
            connection.reply(compact({"id": number, "type": "pong"}))
            return
        topic, _, names = message["topic"].partition(":")
        if topic not in self.topics:
            connection.reply(compact({"id": number, "type": "error", "code": 404,
                                      "data": f"topic {topic} is not found"}))
            return
        connection.reply(compact({"id": number, "type": "ack"}))
        for symbol in names.split(","):
            if kind == "subscribe":
                connection.subscribe(self.topics[topic], symbol)
            else:
                connection.unsubscribe(self.topics[topic], symbol)

    def is_book_request(self, path, query):
        return "/market/orderbook/level2" in path

    def book_target(self, symbol):
        return f"/api/v1/market/orderbook/level2_100?symbol={symbol}"

    def rest_book(self, symbol, book):
        return (f'{{"code":"200000","data":{{"time":1700000000000,"sequence":"{book.seq}",'
                f'"bids":{rows_text(book.rows(BID))},"asks":{rows_text(book.rows(ASK))}}}}}')

    def read_rest_book(self, path, query, body):
        data = json.loads(body)["data"]
        book = Book()
        book.replace(pairs(data["bids"]), pairs(data["asks"]))
        book.seq = int(data["sequence"])
        return query["symbol"], book

    def rest_other(self, simulator, method, path, query):
        if path == "/api/v2/symbols":
            return 200, compact({"code": "200000", "data": [
                {"symbol": symbol, "baseCurrency": symbol.split("-")[0], "quoteCurrency": quote, "baseIncrement":
                 "0.00000001", "priceIncrement": "0.01", "baseMinSize": "0.001", "enableTrading": True}
                for symbol, _, quote, _ in self.listed(simulator)]})
        if path != "/api/v1/bullet-public" or method != "POST":
            return None
        secure = "s" if simulator.context else ""
        return 200, compact({"code": "200000", "data": {"token": "2neAiuYvAU61ZDXANAGAsiL4", "instanceServers": [
            {"endpoint": f"ws{secure}://localhost:{simulator.port}{self.path}", "encrypt": bool(secure),
             "protocol": "websocket", "pingInterval": 18000, "pingTimeout": 10000}]}})


# ---- Gate ----

class Gate(Venue):
    name = "gate"
    path = "/ws/v4/"
    repair = "fetch"
    joins_rest = True
    wide_sequences = True
    symbols = [("BTC_USDT", "BTC/USDT"), ("ETH_BTC", "ETH/BTC")]
    channels = {"spot.trades": TRADE, "spot.book_ticker": QUOTE, "spot.order_book_update": BOOK}

    def unified(self, symbol):
        return symbol.replace("_", "/")

    def stale(self, change, seq):
        return change.last <= seq

    def decode(self, text):
        message = json.loads(text)
        channel, data = self.channels.get(message["channel"]), message.get("result")
        if message.get("event") != "update" or channel is None:
            return None
        if channel == BOOK:
            change = Change(False, pairs(data["b"]), pairs(data["a"]), data["U"], data["u"])
            return Frame(text, [Part(BOOK, data["s"], change=change)])
        if channel == TRADE:
            return Frame(text, [Part(TRADE, data["currency_pair"], [
                Trade(str(data["id"]), data["price"], data["amount"], data["side"],
                      int(data["create_time_ms"].split(".")[0]))])])
        return Frame(text, [Part(QUOTE, data["s"], quote=(data["b"], data["B"], data["a"], data["A"]))])

    def wrap(self, channel, ms, result):
        return f'{{"time":{ms // 1000},"channel":"{channel}","event":"update","result":{result}}}'

    def delta(self, symbol, change, book, ms):
        return self.wrap("spot.order_book_update", ms, f'{{"t":{ms},"e":"depthUpdate","E":{ms // 1000},"s":"{symbol}",'
                         f'"U":{change.first},"u":{change.last},"b":{rows_text(change.bids)},'
                         f'"a":{rows_text(change.asks)}}}')

    def trade(self, symbol, trade):
        return self.wrap("spot.trades", trade.ms, compact({
            "id": int(trade.id), "create_time": trade.ms // 1000, "create_time_ms": f"{trade.ms}.2642",
            "side": trade.side, "currency_pair": symbol, "amount": trade.amount, "price": trade.price}))

    def quote(self, symbol, quote, ms):
        return self.wrap("spot.book_ticker", ms, compact({"t": ms, "u": ms, "s": symbol, "b": quote[0], "B": quote[1],
                                                          "a": quote[2], "A": quote[3]}))

    def on_text(self, connection, text):
        message = json.loads(text)
        name, event = message["channel"], message.get("event")
        answer = {"time": message["time"], "channel": name, "event": event}
        if name == "spot.ping":
            connection.reply(compact({"time": message["time"], "channel": "spot.pong", "event": "", "result": None}))
            return
        if "id" in message:
            answer["id"] = message["id"]
        symbols = message["payload"][:1] if name == "spot.order_book_update" else message["payload"]
        unknown = [symbol for symbol in symbols if not connection.simulator.knows(symbol)]
        if name not in self.channels or unknown:
            connection.reply(compact({**answer, "error": {"code": 2, "message":
                                                          f"unknown currency pair {(unknown or [name])[0]}"}}))
            return
        connection.reply(compact({**answer, "result": {"status": "success"}}))
        for symbol in symbols:
            if event == "subscribe":
                connection.subscribe(self.channels[name], symbol)
            else:
                connection.unsubscribe(self.channels[name], symbol)

    def is_book_request(self, path, query):
        return path == "/api/v4/spot/order_book"

    def book_symbol(self, path, query):
        return query.get("currency_pair", "")

    def book_target(self, symbol):
        return f"/api/v4/spot/order_book?currency_pair={symbol}&limit=100&with_id=true"

    def rest_book(self, symbol, book):
        return (f'{{"id":{book.seq},"current":1700000000000,"update":1700000000000,"asks":{rows_text(book.rows(ASK))},'
                f'"bids":{rows_text(book.rows(BID))}}}')

    def read_rest_book(self, path, query, body):
        message = json.loads(body)
        book = Book()
        book.replace(pairs(message["bids"]), pairs(message["asks"]))
        book.seq = message["id"]
        return query["currency_pair"], book

    def rest_other(self, simulator, method, path, query):
        if path != "/api/v4/spot/currency_pairs":
            return None
        return 200, compact([{"id": symbol, "base": base, "quote": quote, "precision": 2, "amount_precision": 8,
                              "trade_status": "tradable"} for symbol, base, quote, _ in self.listed(simulator)])
