"""What is going on, on stderr: one line a stage on a terminal, a line every few seconds in a log file."""

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
    over: threading.Event = field(default_factory=threading.Event)

    def line(self) -> str:
        """What to show."""
        share = f" {self.done / self.total:.0%}" if self.total else f" {self.done:,} rows" if self.done else ""
        what = f" {self.what}" if self.what else ""
        return f"{self.name} …{what}{share} ({time.monotonic() - self.started:.0f} s)"


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
            running.done, running.total, running.what = done, total, what

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


def peak_megabytes() -> float:
    """The most memory that this process, or one of its finished children, has held at once, in MB."""
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kilobytes / (1024**2 if sys.platform == "darwin" else 1024)  # macOS counts bytes
