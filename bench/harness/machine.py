"""machine.py - what was measured on: processor, kernel, governor, loops, commit; which cores servers and bots get.

Non-goals: changing anything. Where a fact cannot be had (macOS, a container), it is None and the report says so.
"""
import os
import platform
import re
import resource
import subprocess
import sys

IS_LINUX = sys.platform.startswith("linux")


def text_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def output_of(command, folder=None):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=folder).stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def processor():
    if IS_LINUX:
        found = re.search(r"^model name\s*:\s*(.*)$", text_of("/proc/cpuinfo") or "", re.M)
        return found.group(1) if found else platform.machine()
    return output_of(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor()


def memory_bytes():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def facts(root, build):
    """For machine.json. Nothing about people or places: no host name, no user, no path."""
    status = output_of(["git", "status", "--porcelain"], root)
    cpu0 = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "system": platform.system(),
        "kernel": platform.release(),
        "governor": text_of(cpu0),
        "turbo": text_of("/sys/devices/system/cpu/cpufreq/boost"),
        "hypervisor": bool(re.search(r"\bhypervisor\b", text_of("/proc/cpuinfo") or "")) if IS_LINUX else None,
        "clocksource": text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "io_uring_disabled": text_of("/proc/sys/kernel/io_uring_disabled"),
        "transparent_huge_pages": text_of("/sys/kernel/mm/transparent_hugepage/enabled"),
        "mitigations_off": "mitigations=off" in (text_of("/proc/cmdline") or ""),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "commit": output_of(["git", "rev-parse", "HEAD"], root),
        "commit_dirty": bool(status) if status is not None or output_of(["git", "rev-parse", "HEAD"], root) else None,
        "engine": output_of([os.path.join(build, "bin/engine"), "--version"]),
    }


def siblings(core):
    """The hardware threads of the same core."""
    text = text_of(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list") or str(core)
    out = set()
    for part in text.split(","):
        ends = part.split("-")
        out.update(range(int(ends[0]), int(ends[-1]) + 1))
    return out


def cores(wanted=None):
    """(server's core, bots' core, why there is none or what is odd). None where pinning is not possible."""
    if not hasattr(os, "sched_setaffinity"):
        return None, None, "this system cannot pin threads: the scheduler decides (pinning needs Linux)"
    allowed = sorted(os.sched_getaffinity(0))
    if wanted:
        missing = [core for core in wanted if core not in allowed]
        if missing:
            raise ValueError(f"--cores: this process may not run on core {missing[0]}; it may on {allowed}")
        return wanted[0], wanted[1], None
    if len(allowed) < 2:
        return None, None, "only one core: server and bots share it, nothing is pinned"
    first = allowed[0]
    apart = [core for core in allowed[1:] if core not in siblings(first)]
    if apart:
        return first, apart[0], None
    return first, allowed[1], "server and bots are on two hardware threads of one core and slow each other"


def raise_files_limit():
    """Servers and bots inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            pass  # macOS has a lower limit of its own; bot and engine say if they need more
