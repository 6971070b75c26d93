"""The service as a process of its own in front of a store, for tests that ask it while something else happens."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from features.windows import utc
from serving.settings import DataFolder
from serving.store import ScoreStore

ROOT = Path(__file__).parents[1]
START = """
import sys
from serving.run import serve
from serving.settings import ServiceSettings
from serving.settings import DataFolder
from pathlib import Path
folders = {"": DataFolder(*map(Path, sys.argv[3:]))} if sys.argv[3:] else {}
serve(ServiceSettings(sys.argv[1], port=int(sys.argv[2]), access_log=False, folders=folders))
"""


@dataclass(frozen=True)
class Live:
    address: str
    token: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"authorization": f"Bearer {self.token}"}, timeout=10)


@contextmanager
def live(store_file: Path, *, folder: DataFolder | None = None) -> Iterator[Live]:
    """A service that answers from the store, until the block is left; it computes with what lies in the folder."""
    url = f"sqlite:///{store_file}"
    store = ScoreStore.open(url)
    token = store.create_key("everything", ["admin"], now=utc("2026-06-01")).token
    store.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    data = [] if folder is None else [str(folder.champion), str(folder.events)]
    process = subprocess.Popen(
        [sys.executable, "-c", START, url, str(port), *data],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        found = Live(f"http://127.0.0.1:{port}", token)
        _wait_for(found.address)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(address: str) -> None:
    for _ in range(400):
        try:
            httpx.get(address + "/livez", timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the service did not start")
