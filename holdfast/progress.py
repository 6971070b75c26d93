"""What is going on, on stderr: one line a stage on a terminal, a line every few seconds in a log file."""

import math
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

QUIET_SECONDS = 2.0  # what is over sooner needs no progress
LOG_SECONDS = 5.0  # between two lines where they cannot be overwritten
_CLEAR = "\r\x1b[K"
_SURE_SECONDS = 3.0  # of work seen before anything is said about the rest of it
_MINUTE, _HOUR = 60, 3600


class Report(Protocol):
    """What a stage calls to say how far it is; calling it is optional."""

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """`done` of `total`; (rows, 0) where nobody knows how many there will be; `what` is being done just now."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How long a stage took."""

    name: str
    seconds: float


@dataclass(slots=True)
class _Running:
    """A stage under way; `done` of `total` once it reports."""

    name: str
    started: float
    done: int = 0
    total: int = 0
    what: str = ""
    first_done: int = 0  # how far it was at its first report, and when: what lay there before took no time
    first_at: float | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def report(self, done: int, total: int, what: str) -> None:
        """Take note; another thing that is being done starts its own reckoning."""
        if self.first_at is None or what != self.what or done < self.done:
            self.first_done, self.first_at = done, time.monotonic()
        self.done, self.total, self.what = done, total, what

    def line(self) -> str:
        """What to show."""
        share = f" {self.done / self.total:.0%}" if self.total else f" {self.done:,} rows" if self.done else ""
        what = f" {self.what}" if self.what else ""
        return f"{self.name} …{what}{share} ({time.monotonic() - self.started:.0f} s{self._left()})"

    def _left(self) -> str:
        """How long the rest takes at the mean pace so far; nothing while nobody can know."""
        if self.first_at is None or not self.total or self.done <= self.first_done:
            return ""
        spent = time.monotonic() - self.first_at
        seconds = spent / (self.done - self.first_done) * (self.total - self.done)
        return f", about {rounded(seconds)} left" if spent >= _SURE_SECONDS and seconds >= 1 else ""


class Progress:
    """Stages of a command: shows the ones that last, remembers all."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[Report]:
        """Time a stage; what it yields says how far it is."""
        running = _Running(name, started=time.monotonic())
        shower = threading.Thread(target=self._show, args=(running,), daemon=True)
        shower.start()

        def report(done: int, total: int, what: str = "") -> None:
            running.report(done, total, what)

        try:
            yield report
        finally:
            running.over.set()
            shower.join()
        seconds = time.monotonic() - running.started
        self.stages.append(Stage(name, seconds))
        if seconds >= QUIET_SECONDS:
            print(f"{name}: {seconds:.1f} s", file=self._stream, flush=True)

    def _show(self, running: _Running) -> None:
        pause = QUIET_SECONDS
        while not running.over.wait(pause):
            ends = {"end": ""} if self._terminal else {"end": "\n"}
            print(f"{_CLEAR if self._terminal else ''}{running.line()}", file=self._stream, flush=True, **ends)
            pause = 0.5 if self._terminal else LOG_SECONDS
        if self._terminal:
            print(_CLEAR, end="", file=self._stream, flush=True)


def rounded(seconds: float) -> str:
    """A span of time with no more digits than an estimate deserves.

    >>> [rounded(seconds) for seconds in (7, 48, 200, 9000)]
    ['10 s', '50 s', '3 min', '2 h 30 min']
    """
    if seconds < _MINUTE - 5:
        return f"{math.ceil(seconds / 10) * 10} s"
    minutes = max(1, round(seconds / _MINUTE))
    return f"{minutes} min" if seconds < _HOUR else f"{minutes // 60} h {minutes % 60} min"


def peak_megabytes() -> float:
    """The most memory that this process, or one of its finished children, has held at once, in MB."""
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kilobytes / (1024**2 if sys.platform == "darwin" else 1024)  # macOS counts bytes
