"""progress.py - a bar with the time that is left, on a terminal; a line now and then elsewhere."""
import sys
import time

WIDTH = 30
QUIET_INTERVAL_S = 30


def clock(seconds):
    """12 s, 3 min 05 s, 1 h 02 min."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds // 60 % 60:02} min"


class Progress:
    """total_s is what the steps are expected to take together; a step says what it was expected to take."""

    def __init__(self, total_s, steps, out=sys.stderr):
        self.total_s, self.steps, self.out = max(total_s, 1e-9), max(steps, 1), out
        self.began, self.shown = time.monotonic(), 0.0
        self.done_s, self.done = 0.0, 0
        self.on_terminal = out.isatty()

    def left_s(self):
        spent = time.monotonic() - self.began
        pace = spent / self.done_s if self.done_s > 0 else 1
        return (self.total_s - self.done_s) * pace

    def step(self, expected_s, what):
        self.done_s += expected_s
        self.done += 1
        self.show(what)

    def show(self, what):
        now = time.monotonic()
        if not self.on_terminal and now - self.shown < QUIET_INTERVAL_S and self.done < self.steps:
            return
        self.shown = now
        share = min(1, self.done_s / self.total_s)
        bar = "#" * round(WIDTH * share) + "." * (WIDTH - round(WIDTH * share))
        text = f"[{bar}] {100 * share:5.1f} %  {self.done}/{self.steps}  {clock(self.left_s())} left  {what}"
        self.out.write(f"\r{text[:118]}\033[K" if self.on_terminal else text + "\n")
        self.out.flush()

    def clear(self):
        if self.on_terminal:
            self.out.write("\r\033[K")
            self.out.flush()
