"""Readers who ask for a score at a steady pace, and note when each answer came, how long it took and what it was."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

READERS = 2
EVERY_SECONDS = 0.02  # between two questions of a reader: a load that leaves the processors to others
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer; `status` is 0 where none came."""

    at: float  # when it was asked, by a monotonic clock
    seconds: float
    status: int
    run_id: int  # 0 where it tells none


@contextmanager
def asking(address: str, token: str, users: Sequence[str], *, readers: int = READERS) -> Iterator[list[Heard]]:
    """What has been heard so far; it grows until the block is left."""
    heard, stop = list[Heard](), threading.Event()
    threads = [
        threading.Thread(target=_ask, args=(address, token, users, heard, stop, reader)) for reader in range(readers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def print_heard(parts: dict[str, list[Heard]]) -> None:
    """A line for each span of time; `back` counts answers of an older run than one heard before."""
    print("| readers | answers | p50 ms | p99 ms | longest ms | failed | runs | back |")
    print("|---|---|---|---|---|---|---|---|")
    newest = 0
    for name, heard in parts.items():
        if not heard:
            print(f"| {name} | 0 | | | | | | |")
            continue
        p50, p99, longest = np.percentile([one.seconds * 1000 for one in heard], [50, 99, 100])
        answered = sorted((one for one in heard if one.run_id), key=lambda one: one.at + one.seconds)
        back = 0
        for one in answered:
            back += one.run_id < newest
            newest = max(newest, one.run_id)
        runs = len({one.run_id for one in answered})
        failed = sum(one.status not in {200, 404} for one in heard)  # 404: not in the population
        print(f"| {name} | {len(heard):,} | {p50:,.1f} | {p99:,.1f} | {longest:,.1f} | {failed} | {runs} | {back} |")


def _ask(
    address: str, token: str, users: Sequence[str], heard: list[Heard], stop: threading.Event, reader: int
) -> None:
    dice, headers = random.Random(reader), {"authorization": f"Bearer {token}"}  # noqa: S311 (users to ask for)
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=_TIMEOUT_SECONDS)) as connection:
        while not stop.wait(EVERY_SECONDS):
            began = time.monotonic()
            try:
                connection.request("GET", f"/v1/users/{dice.choice(users)}/score", headers=headers)
                answer = connection.getresponse()
                found = json.loads(answer.read())
                heard.append(Heard(began, time.monotonic() - began, answer.status, int(found.get("run_id", 0))))
            except (OSError, http.client.HTTPException):
                connection.close()  # the next question opens it again
                heard.append(Heard(began, time.monotonic() - began, 0, 0))
