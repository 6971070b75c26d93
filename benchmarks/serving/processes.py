"""Servers as processes of their own, and what they cost while they are asked."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from benchmarks.serving.lookup import Figure, cpu_seconds, load

ROOT = Path(__file__).parents[2]
QUIET = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "OMP_WAIT_POLICY": "PASSIVE"}
_SECONDS_TO_START = 180
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    port: int
    process: int  # the parent's id

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def processes(self) -> list[int]:
        """The ids of the parent and of all that it started; none where the system does not tell."""
        found, waiting = [], [self.process]
        while waiting:
            one = waiting.pop()
            listing = Path(f"/proc/{one}/task/{one}/children")
            if listing.exists():
                found.append(one)
                waiting += map(int, listing.read_text().split())
        return found

    @property
    def cpu_seconds(self) -> float:
        """The processor time of all of them so far."""
        return sum(map(cpu_seconds, self.processes))

    @property
    def resident_mb(self) -> float:
        """The memory of all of them, in megabytes; pages that they share count for each."""
        return sum(map(_resident_mb, self.processes))


@contextmanager
def running(
    command: Sequence[str], *, ready: str = "/livez", environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A server that was started with `--port` behind the command, until the block is left; `ready` answers 200."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=os.environ | QUIET | dict(environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}{ready}", process)
        yield Running(port, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module."""
    return [sys.executable, "-m", module, *arguments]


def measured(server: Running, path: str, script: Path, *, seconds: int, connections: int) -> Figure:
    """One round of a script of wrk, after a second to warm up."""
    target, extra = server.address + path, ["-s", str(script)]
    load(target, extra, seconds=1, connections=connections)
    before = server.cpu_seconds
    figure = load(target, extra, seconds=seconds, connections=connections)
    requests = max(figure.per_second * seconds, 1.0)
    return replace(figure, cpu_us=(server.cpu_seconds - before) / requests * 1e6)


def first_answer(server: Running, path: str, body: str, *, token: str = "") -> str:
    """The answer to a body that is posted; raises `RuntimeError` where it is no score. A model may still be loading."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    answer = httpx.post(server.address + path, content=body, headers=headers, timeout=60)
    if '"churn_probability":' not in answer.text:
        raise RuntimeError(f"an answer without a score: {answer.text[:200]!r}")
    return answer.text


def posting(path: Path, bodies: Sequence[str], *, token: str = "") -> Path:
    """A script that makes wrk post the bodies in turns."""
    if any("]==]" in body for body in bodies):
        raise ValueError("a body ends Lua's quotation; expected plain JSON.")
    headers = 'wrk.headers["Content-Type"] = "application/json"\n'
    if token:
        headers += f'wrk.headers["Authorization"] = "Bearer {token}"\n'
    quoted = ",\n".join(f"[==[{body}]==]" for body in bodies)
    turns = "request = function()\n  turn = turn % #bodies + 1\n  return wrk.format(nil, nil, nil, bodies[turn])\nend\n"
    path.write_text(f'wrk.method = "POST"\n{headers}local bodies = {{{quoted}}}\nlocal turn = 0\n{turns}')
    return path


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it answered on {address}")
        with suppress(httpx.TransportError):
            if httpx.get(address, timeout=2).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing answered on {address} within {_SECONDS_TO_START} seconds")


def _resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/statm")
    pages = int(status.read_text().split()[1]) if status.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE
