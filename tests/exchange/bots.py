"""bots.py - subscribers of the engine in Python, and the judge of what they got.

Job:       Bot reads the engine's JSON stream, checks topic numbers, rebuilds books, keeps what came, in order.
           judge() compares that with what the venue's tape says (tape.Expected): trades and quotes one by one, the book
           after every message, and no change that pretends to continue after a break.
Usage:     bot = Bot(url); await bot.open(channels); ...; problems = judge(bot, symbol, expected, required)
"""
import asyncio
import json
from dataclasses import dataclass, field

import wire
from books import Book, canonical
from tape import plain


@dataclass
class View:
    """What a bot knows of one symbol."""
    trades: list = field(default_factory=list)    # (id, price, amount, side, ms, history)
    quotes: list = field(default_factory=list)
    timeline: list = field(default_factory=list)  # ("book", snapshot, fingerprint) and ("status", state, reason)
    book: Book = field(default_factory=Book)
    state: str = None

    def statuses(self, start=0):
        return [entry for entry in self.timeline[start:] if entry[0] == "status"]


class Bot:
    def __init__(self, url, name="bot"):
        self.url, self.name = url, name
        self.views, self.seqs, self.problems, self.errors = {}, {}, [], []
        self.messages = 0
        self.task = None
        self.changed = asyncio.Event()

    async def open(self, channels, symbols=("*",)):
        host, port = self.url.split("://", 1)[1].split("/")[0].rsplit(":", 1)
        self.socket = await wire.connect(host.strip("[]"), int(port), "/v1/stream", server_name="localhost")
        self.socket.send(json.dumps({"op": "subscribe", "id": 1, "channels": list(channels), "symbols": list(symbols)}))
        subscribed = asyncio.get_running_loop().create_future()
        self.task = asyncio.get_running_loop().create_task(self.read(subscribed))
        answer = await asyncio.wait_for(subscribed, 10)
        self.errors += answer.get("errors", [])
        return answer

    async def close(self):
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.socket.abort()

    def view(self, symbol):
        return self.views.setdefault(symbol, View())

    async def read(self, subscribed):
        try:
            while True:
                message = json.loads(await self.socket.receive(), parse_float=str)
                if "op" in message:
                    if message["op"] == "subscribed":
                        for topic in message["topics"]:
                            self.seqs[topic["symbol"], topic["channel"]] = topic["seq"]
                        subscribed.set_result(message)
                    elif message["op"] == "error":
                        self.problems.append(f"error {message}")
                    continue
                self.messages += 1
                self.take(message)
                self.changed.set()
        except wire.Closed as error:
            self.problems.append(f"the engine closed the stream: {error}")
            self.changed.set()

    def take(self, message):
        kind, symbol = message["type"], message["symbol"]
        if kind == "loss":
            self.problems.append(f"loss {message}")
            return
        self.count(kind, symbol, message)
        view = self.view(symbol)
        if kind == "trade":
            number = message.get("id")
            view.trades.append((number if number is None else str(number), canonical(str(message["price"])),
                                canonical(str(message["amount"])), message["side"], message["timestamp"],
                                bool(message.get("history"))))
        elif kind == "quote":
            view.quotes.append(plain([message["bid"], message["bidVolume"], message["ask"], message["askVolume"]]))
        elif kind == "book":
            rows = [[(str(price), str(amount)) for price, amount in message[side]] for side in ("bids", "asks")]
            if message.get("snapshot"):
                view.book.replace(*rows)
            else:
                view.book.apply(*rows)
            view.timeline.append(("book", bool(message.get("snapshot")), view.book.fingerprint))
        elif kind == "status":
            view.state = message["state"]
            view.timeline.append(("status", message["state"], message.get("reason") or ""))

    def count(self, kind, symbol, message):
        """Every topic's numbers: the same one with its first snapshot, then one by one."""
        seq, last = message["seq"], self.seqs.get((symbol, kind))
        self.seqs[symbol, kind] = seq
        if last is None or seq == last + 1:
            return
        first_state = seq == last and (message.get("snapshot") or kind in ("quote", "status"))
        if not first_state:
            self.problems.append(f"{symbol} {kind}: number {seq} after {last}")

    async def until(self, predicate, seconds):
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not predicate():
            self.changed.clear()
            left = deadline - loop.time()
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self.changed.wait(), min(left, 0.05))
            except asyncio.TimeoutError:
                pass
        return True


# ---- judging ----

def told_soon(timeline, number):
    """Whether the next word about the book's state after this message is that it has a gap."""
    return next((entry[1] for entry in timeline[number:] if entry[0] == "status"), None) == "gap"


def judge_books(name, timeline, expected, notices_late):
    """The book after every message is one that the venue had, and the next is the venue's next. A venue may have had
    one book several times: all places where the reader can be are followed."""
    problems, places, fresh, least = [], set(), False, 0
    whole = False  # a whole book came, and no break since
    books, where = expected.books, {}
    for index, fingerprint in enumerate(books):
        where.setdefault(fingerprint, []).append(index)
    for number, entry in enumerate(timeline):
        if len(problems) > 5:
            break
        if entry[0] == "status":
            if entry[1] in ("gap", "stale", "crossed", "syncing"):
                whole, places = False, set()
            continue
        _, snapshot, fingerprint = entry
        if snapshot and fingerprint == 0 and fingerprint not in where:
            whole, places = False, set()  # cleared
            continue
        if snapshot:
            places, whole, fresh = {index for index in where.get(fingerprint, []) if index >= least}, True, True
            if not places:
                problems.append(f"{name}: message {number}: a whole book that the venue did not have"
                                f"{' any more' if where.get(fingerprint) else ''}")
        elif not whole:
            problems.append(f"{name}: message {number}: a change without a whole book before it, or after a break")
        elif places:
            after = {place + 1 for place in places if place + 1 < len(books) and books[place + 1] == fingerprint}
            if fresh:  # the delta that ends where the snapshot stands
                after |= {place for place in places if books[place] == fingerprint}
            fresh = False
            if not after and not (notices_late and told_soon(timeline, number)):
                problems.append(f"{name}: message {number}: the book is not the one that followed at the venue "
                                f"({min(places)} of {len(books)})")
            places = after
        if places:
            least = max(least, min(places))
    return problems


def judge_trades(name, got, expected, required):
    """In order, none twice, none that was not, none of `required` (numbers in expected.trades) missing. History that a
    venue repeats after a new connection may come again if it says so."""
    problems, at = [], 0
    wanted = [(one.id, canonical(one.price), canonical(one.amount), one.side, one.ms) for one in expected.trades]
    seen = set()
    for number, trade in enumerate(got):
        key, history = trade[:5], trade[5]
        if history and key in seen:
            continue
        found = next((index for index in range(at, len(wanted)) if same_trade(wanted[index], key)), None)
        if found is None:
            problems.append(f"{name}: trade {number} {key} was not, or came twice or too late")
            if len(problems) > 5:
                break
            continue
        missing = [index for index in range(at, found) if index in required]
        if missing:
            problems.append(f"{name}: trades missing: {[wanted[index] for index in missing[:3]]}")
        at = found + 1
        seen.add(key)
    missing = [index for index in range(at, len(wanted)) if index in required]
    if missing and len(problems) < 5:
        problems.append(f"{name}: the last {len(missing)} of {len(wanted)} trades are missing")
    return problems


def same_trade(wanted, got):
    return all(a == b or (index in (0, 4) and a is None) for index, (a, b) in enumerate(zip(wanted, got)))


def judge(bot, symbol, expected, required, late=False, quotes=True, notices_late=False):
    """Problems in words; empty: all as the venue's tape says. required: numbers of trades that must have come. late:
    the bot came in the middle. notices_late: the venue lets a loss be seen only some messages after it."""
    name, view = f"{bot.name} {symbol}", bot.view(symbol)
    problems = judge_books(name, view.timeline, expected, notices_late)
    if late:
        return problems
    problems += judge_trades(name, view.trades, expected, required)
    wanted = [plain(quote) for quote in expected.quotes]
    if quotes and view.quotes != wanted:
        first = next((index for index, pair in enumerate(zip(view.quotes, wanted)) if pair[0] != pair[1]), None)
        what = f"quote {first}: {view.quotes[first]} instead of {wanted[first]}" if first is not None else \
            f"{len(view.quotes)} quotes instead of {len(wanted)}"
        problems.append(f"{name}: {what}")
    return problems
