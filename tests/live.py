"""The service as a process of its own in front of a store, for tests that ask it while something else happens."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.windows import utc
from serving.settings import DataFolder
from serving.store import ScoreStore

ROOT = Path(__file__).parents[1]
START = """
import json, sys
from pathlib import Path
from serving.run import serve
from serving.settings import DataFolder, ServiceSettings
settings = json.loads(sys.argv[1])
settings["folders"] = {"": DataFolder(*map(Path, settings["folders"]))} if settings["folders"] else {}
settings["jobs_folder"] = Path(settings["jobs_folder"]) if "jobs_folder" in settings else None
serve(ServiceSettings(**settings))
"""


@dataclass(frozen=True)
class Live:
    address: str
    token: str
    process: "subprocess.Popen[bytes]"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers=self.headers, timeout=10)

    def wait_for_the_champion(self) -> None:
        """Until the service can compute scores."""
        with self.client() as client:
            until = time.monotonic() + 60
            while any(check["name"] == "champion" for check in client.get("/readyz").json()["checks"]):
                assert time.monotonic() < until, client.get("/readyz").text
                time.sleep(0.1)

    def workers(self) -> list[int]:
        """The processes that answer, by their ids."""
        own = self.process.pid
        return [int(child) for child in Path(f"/proc/{own}/task/{own}/children").read_text().split()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell the service to stop, and wait; how it ended."""
        workers = self.workers()
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        until = time.monotonic() + 30
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < until, "a worker outlived the service"
            time.sleep(0.05)
        return code


@contextmanager
def live(
    store: Path | str, *, folder: DataFolder | None = None, log: Path | None = None, **settings: Any
) -> Iterator[Live]:
    """A service that answers from the store, until the block is left; it computes with what lies in the folder.

    `store` is a file or a URL. What the service writes to stderr is added to the file `log`.
    """
    url = store if isinstance(store, str) else f"sqlite:///{store}"
    opened = ScoreStore.open(url)
    token = opened.create_key(f"everything {time.time_ns()}", ["admin"], now=utc("2026-06-01")).token
    opened.close()
    found = replace(start(url, folder=folder, log=log, **settings), token=token)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.end()


def start(
    url: str, *, folder: DataFolder | None = None, log: Path | None = None, port: int | None = None, **settings: Any
) -> Live:
    """The same, for who ends it himself; there is no key yet that it could be asked with."""
    port = port or free_port()
    data = [] if folder is None else [str(folder.champion), str(folder.events)]
    told = {"store_url": url, "port": port, "access_log": False, "folders": data, **settings}
    with Path(os.devnull if log is None else log).open("ab") as noted:
        process = subprocess.Popen(
            [sys.executable, "-c", START, json.dumps(told)],
            stderr=noted,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    found = Live(f"http://127.0.0.1:{port}", "", process)
    _wait_for(found.address)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            httpx.get(address + "/livez", timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the service did not start")
