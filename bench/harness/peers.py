"""peers.py - the other servers: what there is, what is installed, how each is started.

Installed: by bench/peers/install.sh into build/peers: a virtual environment and a node_modules folder, versions pinned.
A peer:    reads messages (--messages FILE), sends them to everybody at --rate per second from its own schedule while anybody
           is connected, stamps the intended time as recv_ns, and prints "listening PORT" when it can be reached.
           With --http BODY it answers GET requests with the contents of that file instead.
"""
import os
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
            import json
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


def start(stable, cell, core, messages):
    root = os.path.dirname(os.path.dirname(FOLDER))
    process = stable.start(command(root, cell["server"], ["--messages", messages, "--rate", str(cell["rate"])]), core,
                           folder=folder_of(root))
    try:
        found, _ = servers.wait_line(process, r"listening (\d+)")
    except servers.ServerError:
        stable.end(process)
        raise
    return servers.Server(stable, process, f"ws://127.0.0.1:{found.group(1)}/", True)
