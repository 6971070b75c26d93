"""A run of an earlier version is served again: at once, whole, and by a service that is running."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from features.errors import Busy
from features.windows import Interval, days, utc
from serving.store import Absence, RunFacts, Score, ScoreStore
from tests.live import Live, live

MakeScore = Callable[..., Score]
NOW = utc("2026-06-02T02:00:00Z")
READERS = 4
EXPECTED = {"3": ("3", 0.25), "4": ("4", 0.75)}
USERS = [f"user-{number:04}" for number in range(2_000)]


@pytest.fixture
def two(store: ScoreStore, facts: RunFacts, make_score: MakeScore) -> ScoreStore:
    """Run 1 of version 3 with ada to dalia, emil outside; run 2 of version 4 with ada alone."""
    store.write_run(replace(facts, model_version="4"), [make_score("ada", 0.2)], outside=["bert"], now=NOW)
    return store


def test_the_newest_run_of_a_version_is_served_again(two: ScoreStore) -> None:
    shown = two.show_again("3", now=NOW)
    assert shown is not None
    assert (shown.run_id, shown.facts.model_version) == (1, "3")
    assert two.current_run() is not None
    assert two.score("ada").churn_probability == 0.9  # type: ignore[union-attr] # she has a score
    assert two.score("emil") is Absence.OUTSIDE  # its list of users outside was kept


def test_a_version_without_a_kept_run_changes_nothing(two: ScoreStore) -> None:
    assert two.show_again("7", now=NOW) is None
    assert two.score("ada").churn_probability == 0.2  # type: ignore[union-attr] # as above


def test_the_next_run_takes_the_place_of_one_that_is_served_again(
    two: ScoreStore, facts: RunFacts, make_score: MakeScore
) -> None:
    two.show_again("3", now=NOW)
    assert two.write_run(facts, [make_score("ada", 0.4)], now=NOW) == 3
    assert two.score("ada").churn_probability == 0.4  # type: ignore[union-attr] # as above


def test_a_run_is_not_shown_while_another_is_written(two: ScoreStore) -> None:
    with two.database.write_lock(), pytest.raises(Busy, match="another process is writing"):
        two.show_again("3", now=NOW)


def test_a_run_that_is_not_confirmed_is_never_seen(two: ScoreStore, facts: RunFacts, make_score: MakeScore) -> None:
    def refuse() -> None:
        raise Busy("the champion is another one now.")

    with pytest.raises(Busy, match="another one now"):
        two.write_run(facts, [make_score("frida")], now=NOW, confirm=refuse)
    run = two.current_run()
    assert run is not None
    assert run.run_id == 2
    assert two.score("frida") is Absence.UNKNOWN


@pytest.fixture
def nights(tmp_path: Path, facts: RunFacts) -> Path:
    """A store in which version 3 says 0.25 of everybody, and version 4, which is served, 0.75."""
    file, later = tmp_path / "store.db", utc("2026-06-08")
    store = ScoreStore.open(f"sqlite:///{file}")
    store.write_run(facts, [Score(user, 0.25, 50.0, "low", ()) for user in USERS], now=NOW)
    newer = replace(facts, cutoff=later, horizon=Interval(later, later + days(30)), model_version="4")
    store.write_run(newer, [Score(user, 0.75, 50.0, "low", ()) for user in USERS], now=NOW)
    store.close()
    return file


def test_a_running_service_follows_under_load_and_no_answer_mixes_versions(nights: Path) -> None:
    store, readers = ScoreStore.open(f"sqlite:///{nights}"), Readers()
    with live(nights) as service, readers.asking(service):
        for version in ("3", "4") * 5:
            store.show_again(version, now=NOW)
            shown = time.monotonic()
            time.sleep(0.3)
            assert {said for asked, said in readers.answers if asked > shown} <= {frozenset({EXPECTED[version]})}
    store.close()
    assert readers.failures == []
    assert {said for _, said in readers.answers} == {frozenset({one}) for one in EXPECTED.values()}


class Readers:
    """Clients that ask all the time; an answer is when it was asked for, and which versions and scores were in it."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, frozenset[tuple[str, float]]]] = []
        self.failures: list[str] = []

    @contextmanager
    def asking(self, service: Live) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(service, stop)) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, service: Live, stop: threading.Event) -> None:
        with service.client() as client:
            while not stop.is_set():
                for ask in (self._lookup, self._page):
                    asked = time.monotonic()
                    answer = ask(client)
                    if answer.status_code != httpx.codes.OK:
                        self.failures.append(answer.text)
                        continue
                    said = {(one["model_version"], one["churn_probability"]) for one in answer.json()["scores"]}
                    self.answers.append((asked, frozenset(said)))

    def _lookup(self, client: httpx.Client) -> httpx.Response:
        return client.post("/v1/scores/lookup", json={"user_ids": USERS[:200]})

    def _page(self, client: httpx.Client) -> httpx.Response:
        return client.get("/v1/users/at-risk?limit=100")
