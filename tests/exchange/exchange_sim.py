#!/usr/bin/env python3
"""exchange_sim.py - serves recorded or made market data as a venue would, and breaks it on request.

Usage:     exchange_sim.py --venue binance [--recording FOLDER | --seed N --steps N] [--tls --folder DIR | --cert --key]
                           [--break KIND@FRAME ...] [--speed max|N] [--streams N] [--port N] [--once]
Output:    one line with the addresses (stream_url=... rest_url=... ca_file=...), at the end one line of figures.
Exit:      0 after the tape's end or Ctrl-C, 2 for wrong arguments.
Non-goals: several venues in one process: start it twice. The tests drive simulator.py directly.
"""
import argparse
import asyncio
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import breaks
import wire
from simulator import Simulator
from tape import load, synthesize
from venues import VENUES


def arguments():
    parser = argparse.ArgumentParser(
        prog="exchange_sim.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serves a recording, or a market made from a seed, as a venue would, on one port.",
        epilog="examples:\n  exchange_sim.py --venue kraken --seed 1\n"
               "  exchange_sim.py --venue binance --recording DIR --tls --speed 1 --break drop@200 --break rest429=2\n"
               f"\nbreaks, at a frame: {' '.join(breaks.AT_FRAME)}\n"
               f"breaks, of requests: {' '.join(breaks.OF_REQUESTS)}\n"
               "FRAME@N:SYMBOL chooses the victim. breaks.py says what each does.")
    parser.add_argument("--venue", required=True, choices=sorted(VENUES))
    parser.add_argument("--recording", metavar="FILE", help="file or folder; without it a market is made from --seed")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="frames to take of it, 0: all")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--steps", type=int, default=1000, metavar="N", help="frames to make")
    parser.add_argument("--symbols", type=int, default=2, metavar="N", help="instruments to make")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="0: any free one")
    parser.add_argument("--tls", action="store_true", help="wss and https, with a certificate made now by openssl")
    parser.add_argument("--folder", metavar="DIR", help="where to make it; without it a folder for temporary files")
    parser.add_argument("--cert", metavar="FILE", help="PEM, instead of a made one")
    parser.add_argument("--key", metavar="FILE")
    parser.add_argument("--speed", default="max", metavar="max|N", help="N: times as fast as it was recorded")
    parser.add_argument("--streams", type=int, default=1, metavar="N", help="begin when so many streams are subscribed")
    parser.add_argument("--break", dest="breaks", action="append", default=[], metavar="KIND@N")
    parser.add_argument("--once", action="store_true", help="end after the tape's last frame")
    parser.add_argument("--verbose", action="store_true", help="log connections to standard error")
    chosen = parser.parse_args()
    try:
        chosen.breaks = [breaks.parse(text) for text in chosen.breaks]
        chosen.speed = 0.0 if chosen.speed == "max" else float(chosen.speed)
    except ValueError as error:
        parser.error(str(error))
    if bool(chosen.cert) != bool(chosen.key):
        parser.error("--cert and --key go together")
    return chosen


async def play(simulator, speed):
    """With a speed: the recorded distances between frames, divided by it."""
    if speed <= 0:
        await simulator.play()
        return
    frames = simulator.tape.frames
    begun, first = asyncio.get_running_loop().time(), frames[0].time if frames else 0
    while simulator.position < len(frames):
        due = begun + (frames[simulator.position].time - first) / speed
        ahead = due - asyncio.get_running_loop().time()
        if ahead > 0:
            await asyncio.sleep(ahead)
        await simulator.play(until=simulator.position + 1)


async def serve(chosen):
    venue = VENUES[chosen.venue]()
    if chosen.recording:
        tape = load(venue, chosen.recording, chosen.limit)
    else:
        tape = synthesize(venue, chosen.seed, chosen.steps, chosen.symbols)
    log = (lambda text: print(text, file=sys.stderr, flush=True)) if chosen.verbose else None
    simulator = Simulator(venue, tape, log)
    for one in chosen.breaks:
        simulator.breaks.add(**one)
    tls, ca = None, ""
    if chosen.cert:
        tls = (chosen.cert, chosen.key)
    elif chosen.tls:
        ca, *tls = wire.make_certificates(chosen.folder or tempfile.mkdtemp(prefix="exchange_sim."))
    await simulator.start(port=chosen.port, tls=tls)
    secure = "s" if tls else ""
    host = f"localhost:{simulator.port}"
    print(f"stream_url=ws{secure}://{host}{venue.path} rest_url=http{secure}://{host} ca_file={ca} "
          f"frames={len(tape.frames)} symbols={','.join(sorted(tape.names.values()))}", flush=True)
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)

    async def run():
        while not await simulator.until(lambda: len(simulator.subscribed_streams()) >= chosen.streams, 3600):
            pass
        await play(simulator, chosen.speed)
        if chosen.once:
            stopped.set()

    simulator.spawn(run())
    await stopped.wait()
    fired = " ".join(f"{one.kind}@{one.fired}" for one in simulator.breaks.all if one.fired is not None)
    print(f"played {simulator.position} delivered {len(simulator.delivered)} connections {len(simulator.everyone)} "
          f"refused {simulator.refused} requests {len(simulator.requests)} breaks {fired or '-'}", flush=True)
    await simulator.stop()


def main():
    chosen = arguments()
    try:
        asyncio.run(serve(chosen))
    except (OSError, ValueError) as error:
        print(f"exchange_sim.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
