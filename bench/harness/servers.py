"""servers.py - starts what is measured (engine, fanout_limit, peers), pins it, samples it, ends it.

Use:       processes live in a Stable, which ends them all, also on Ctrl-C: nothing outlives the program.
Tickwire:  a fresh engine per iteration (it starts in some 30 ms), so that what differs from start to start is in the spread.
Peers:     started once and kept: interpreters take long to start and are faster when warm. Their feed rests between
           iterations, so that one that waits costs nothing.
Sampling:  CPU time in nanoseconds and resident memory of the whole process; on other systems from ps, in steps of 10 ms.
"""
import os
import re
import select
import signal
import subprocess
import time

from harness import machine

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
CPUCLOCK_SCHED = 2
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ServerError(Exception):
    pass


class Stable:
    """Every process that was started and has not been ended."""

    def __init__(self):
        self.processes = []
        self.is_starting = False  # a signal waits until the new process is known
        self.interrupted = False

    def watch_signals(self):
        """SIGINT and SIGTERM as KeyboardInterrupt, but never between the start of a process and its place in the list."""
        def on_signal(*_):
            self.interrupted = True
            if not self.is_starting:
                raise KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)

    def start(self, command, core=None, folder=None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
              stdin=subprocess.DEVNULL):
        """A child inherits the core: set for the moment of the start, so that no code runs between fork and exec."""
        before = os.sched_getaffinity(0) if core is not None else None
        if core is not None:
            os.sched_setaffinity(0, {core} if isinstance(core, int) else set(core))
        self.is_starting = True
        try:
            process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=folder,
                                       start_new_session=True)
            self.processes.append(process)
        except OSError as error:
            raise ServerError(f"{command[0]}: {error.strerror}") from None
        finally:
            self.is_starting = False
            if before is not None:
                os.sched_setaffinity(0, before)
        if self.interrupted:
            raise KeyboardInterrupt
        return process

    def end(self, process, at_once=False):
        """SIGTERM, then SIGKILL to the whole group."""
        if process.poll() is None and not at_once:
            self.signal(process, signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                pass
        self.signal(process, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
        if process in self.processes:
            self.processes.remove(process)

    @staticmethod
    def signal(process, number):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def end_all(self, at_once=False):
        for process in list(self.processes):
            self.end(process, at_once)

    def end_now(self):
        """After a signal; another one in the middle of it would leave processes behind."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self.end_all(at_once=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)


def wait_line(process, pattern, timeout_s=START_TIMEOUT_S):
    """The first match of the pattern in what the process prints."""
    deadline = time.monotonic() + timeout_s
    seen = ""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], 0.5)
        if ready:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            seen += piece.decode(errors="replace")
        found = re.search(pattern, seen)
        if found:
            return found, seen
    last = seen.strip().splitlines()[-6:]
    raise ServerError(f"{os.path.basename(process.args[0])} did not start: {' | '.join(last) or 'it said nothing'}")


# ---- sampling ----

def children(pid):
    out = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in (machine.text_of(f"/proc/{pid}/task/{task}/children") or "").split():
            out += children(int(child))
    return out


def sample_linux(pid):
    cpu = memory = 0
    for process in children(pid):
        cpu += time.clock_gettime((~process << 3) | CPUCLOCK_SCHED)  # as clock_getcpuclockid() does; ended threads count
        memory += int((machine.text_of(f"/proc/{process}/statm") or "0 0").split()[1]) * PAGE_BYTES
    return cpu, memory


def sample_ps(pid):
    words = (machine.output_of(["ps", "-o", "time=,rss=", "-p", str(pid)]) or "0:00.00 0").split()
    cpu = 0.0
    for part in words[0].replace("-", ":").split(":"):
        cpu = cpu * 60 + float(part)
    return cpu, int(words[1]) * 1024


def sample(pid):
    """(CPU seconds used so far by the process and its children, resident bytes)."""
    try:
        return sample_linux(pid) if machine.IS_LINUX else sample_ps(pid)
    except (OSError, IndexError, ValueError):
        return 0.0, 0


# ---- servers ----

class Server:
    """What bots connect to. `raw`: it is no Tickwire and answers no requests."""

    def __init__(self, stable, process, url, raw):
        self.stable, self.process, self.url, self.raw = stable, process, url, raw

    def run(self):
        """The bots are connected."""

    def pause(self):
        """It is over, and the server stays."""

    def alive(self):
        return self.process.poll() is None

    def end(self):
        self.stable.end(self.process)


def power_of_two(number):
    return 1 << (int(number) - 1).bit_length()


def engine_settings(cell, payloads):
    """Flags of the engine that a cell stands for."""
    settings = {key if "." in key else f"feed.{key}": value for key, value in payloads[cell["payload"]].items()
                if key not in ("channels", "log_bytes")}
    settings["feed.rate"] = cell["rate"]
    settings["feed.instruments"] = cell["instruments"]
    settings["engine.loop"] = cell["loop"]
    settings["engine.threads"] = cell["threads"]
    settings["engine.idle"] = cell["idle"]
    settings["limits.connections_max"] = cell["clients"] + 64
    settings.update(cell["settings"])
    return settings


def start_engine(stable, build, settings, core, level="error"):
    command = [os.path.join(build, "bin/engine"), "--port=0", f"--logging.level={level}"]
    command += [f"--{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items()]
    process = stable.start(command, core)
    try:
        found, said = wait_line(process, r"listening on (ws://\S+)[\s\S]*\nready")
    except ServerError:
        stable.end(process)
        raise
    server = Server(stable, process, found.group(1), False)
    server.said = said
    return server


def start_limit(stable, build, cell, core, messages, extra=()):
    """Sends the same bytes and does nothing else. Linux only."""
    method = "io_uring" if cell["loop"] == "io_uring" else "send"
    command = [os.path.join(build, "bin/fanout_limit"), "--listen", "127.0.0.1:0", "--clients", str(cell["clients"]),
               "--method", method, "--messages", messages, "--log-bytes", str(16 << 20), *extra]
    if core is not None:
        command += ["--core", str(core)]
    process = stable.start(command, core)
    try:
        found, _ = wait_line(process, r"listening [^\s:]+:(\d+)")
    except ServerError:
        stable.end(process)
        raise
    return Server(stable, process, f"ws://127.0.0.1:{found.group(1)}/v1/stream", True)


def probe_loops(stable, build):
    """Loops that the engine can be run with here, best first, and what it says of each."""
    loops, said = [], {}
    for loop in ("io_uring", "epoll", "kqueue"):
        try:
            server = start_engine(stable, build, {"engine.loop": loop}, None, "info")
        except ServerError as error:
            said[loop] = str(error)
            continue
        line = [line for line in server.said.splitlines() if " loop: " in line]
        said[loop] = line[0].split(" loop: ", 1)[1] if line else ""
        loops.append(loop)
        server.end()
    return loops, said
