"""peers.py - the other servers: what there is, what is installed, how each is started.

Installed: by bench/peers/install.sh into build/peers: a virtual environment and a node_modules folder, versions pinned.
A peer:    sends every line that comes on standard input to everybody, and prints "listening PORT" when it can be
           reached. With --http BODY it answers GET requests with the contents of that file instead.
Feed:      bench/peer_feed writes the lines when they are due, on the peer's core; that and reading them costs a peer some
           5 us per message, which is what receiving market data from anywhere costs it. Between iterations it rests.
"""
import json
import os
import signal
import subprocess

from harness import servers

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
# name: program, arguments, Python packages or node modules that must be there, what it is
PEERS = {
    "websockets": ("ws_websockets.py", [], ["websockets"], "websockets: broadcast()"),
    "aiohttp": ("ws_aiohttp.py", [], ["aiohttp"], "aiohttp: WebSocketResponse, gather"),
    "tornado": ("ws_tornado.py", [], ["tornado"], "tornado: WebSocketHandler.write_message"),
    "starlette": ("ws_starlette.py", ["--app", "starlette"], ["starlette", "uvicorn", "wsproto"],
                  "Starlette on uvicorn, wsproto"),
    "fastapi": ("ws_starlette.py", ["--app", "fastapi"], ["fastapi", "uvicorn", "websockets"],
                "FastAPI's ConnectionManager on uvicorn, websockets"),
    "uvicorn": ("ws_starlette.py", ["--app", "plain"], ["uvicorn", "websockets", "uvloop", "httptools"],
                "bare ASGI on uvicorn with uvloop"),
    "flask": ("ws_flask.py", [], ["flask", "flask_sock"], "Flask with flask-sock: a thread per client"),
    "socketify": ("ws_socketify.py", [], ["socketify"], "socketify: uWebSockets in Python, publish()"),
    "ws": ("ws_node.js", [], ["ws"], "ws on Node: one send per client"),
}


def folder_of(root):
    return os.path.join(root, "build", "peers")


def python_of(root):
    return os.path.join(folder_of(root), "venv", "bin", "python3")


def versions(root):
    """{package: version} of what is installed; {} if nothing is."""
    out = {}
    python = python_of(root)
    if os.path.exists(python):
        code = ("import importlib.metadata as m\n"
                "for d in m.distributions(): print(d.metadata['Name'].lower().replace('-', '_'), d.version)")
        result = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        out.update(line.split() for line in result.stdout.splitlines() if len(line.split()) == 2)
    for module in ("ws",):
        path = os.path.join(folder_of(root), "node_modules", module, "package.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                out["node:" + module] = json.load(file)["version"]
    return out


def available(root, wanted):
    """([names that can run], {name: why not})"""
    there, good, missing = versions(root), [], {}
    for name in wanted:
        program, _, needs, _ = PEERS[name]
        prefix = "node:" if program.endswith(".js") else ""
        lacking = [need for need in needs if prefix + need not in there]
        if lacking:
            missing[name] = f"{', '.join(lacking)} is not installed; bench/peers/install.sh does it"
        else:
            good.append(name)
    return good, missing


def parse(text):
    """'all' or a list of names. ValueError names what is unknown."""
    names = list(PEERS) if text == "all" else [name for name in text.split(",") if name]
    for name in names:
        if name not in PEERS:
            raise ValueError(f"--peers: no peer '{name}'; there are {', '.join(PEERS)}, or all")
    return names


def command(root, name, arguments):
    program, extra, _, _ = PEERS[name]
    path = os.path.join(FOLDER, program)
    if program.endswith(".js"):
        return ["node", path, *extra, *arguments]
    return [python_of(root), path, *extra, *arguments]


class Peer(servers.Server):
    """A server and its feed, which rests between pause() and run()."""

    def __init__(self, stable, process, url, feed):
        super().__init__(stable, process, url, True)
        self.feed = feed

    def run(self):
        self.feed.send_signal(signal.SIGUSR1)

    def pause(self):
        self.feed.send_signal(signal.SIGUSR2)

    def end(self):
        """At once: what is queued in it for nobody is of no interest."""
        self.stable.end(self.feed, at_once=True)
        self.stable.end(self.process, at_once=True)


def start_server(stable, name, arguments, core, stdin=subprocess.DEVNULL):
    """(process, port)"""
    root = os.path.dirname(os.path.dirname(FOLDER))
    process = stable.start(command(root, name, arguments), core, folder=folder_of(root), stdin=stdin)
    try:
        found, _ = servers.wait_line(process, r"listening (\d+)")
    except servers.ServerError:
        stable.end(process)
        raise
    return process, int(found.group(1))


def start(stable, build, cell, core, messages):
    feed = stable.start([os.path.join(build, "bin/peer_feed"), "--messages", messages, "--rate", str(cell["rate"])], core)
    try:
        process, port = start_server(stable, cell["server"], [], core, feed.stdout)
    except servers.ServerError:
        stable.end(feed)
        raise
    return Peer(stable, process, f"ws://127.0.0.1:{port}/", feed)
