"""Score runs: atomic for readers, safe from interruptions, bounded."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from features.errors import BadInput, Busy, NotReady
from features.fifths import DatedFifths
from features.windows import utc
from serving.store import Absence, Place, RunFacts, Score, ScoreStore, StoredScore, Wanted, writer
from serving.store.records import Before
from tests.postgres import BOTH

NOW = utc("2026-06-02")
MakeScore = Callable[..., Score]


pytestmark = BOTH


def count(store: ScoreStore, table: str) -> int:
    with store.database.engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())  # noqa: S608


def probability(store: ScoreStore, user_id: str) -> float:
    found = store.score(user_id)
    assert isinstance(found, StoredScore)
    return found.churn_probability


def test_a_score_comes_back_as_it_was_written(store: ScoreStore, facts: RunFacts) -> None:
    found = store.score("ada")
    assert isinstance(found, StoredScore)
    assert (found.user_id, found.churn_probability, found.percentile, found.risk_tier) == ("ada", 0.9, 90.0, "high")
    assert found.run.facts == facts
    assert (found.run.users, found.run.outside) == (4, 1)
    assert orjson.loads(found.reasons_in())[1] == {
        "code": "spend.spend_28d",
        "sentence": "spent 3 € in the last 28 days",
        "contribution": 0.2,
    }
    assert [told["sentence"] for told in orjson.loads(found.reasons_in("zh"))] == [
        "24 天前最后一次活动",
        "最近 28 天消费 3 €",
    ]
    assert found.changes_in() == "[]"


def test_the_fifths_of_a_run_are_kept_with_it(empty_store: ScoreStore, facts: RunFacts, cast: list[Score]) -> None:
    dated = DatedFifths(facts.cutoff, "fs-0a1b2c3d4e5f", ((1 / 3, 2.0, 2.0, 1e300),))
    empty_store.write_run(replace(facts, fifths=dated), cast, now=NOW)
    found = empty_store.current_run()
    assert found is not None
    assert found.facts.fifths == dated


def test_a_user_without_a_score_is_unknown_or_outside_the_population(store: ScoreStore) -> None:
    assert store.score("nobody") is Absence.UNKNOWN
    assert store.score("emil") is Absence.OUTSIDE


def test_a_lookup_keeps_the_order_and_answers_an_id_sent_twice_twice(store: ScoreStore) -> None:
    found = store.lookup(["chen", "nobody", "ada", "chen", "emil"])
    told = [answer if isinstance(answer, Absence) else answer.user_id for answer in found.answers]
    assert told == ["chen", Absence.UNKNOWN, "ada", "chen", Absence.OUTSIDE]


def test_before_the_first_run_every_question_says_that_there_are_no_scores(empty_store: ScoreStore) -> None:
    assert empty_store.current_run() is None
    for ask in (lambda: empty_store.score("ada"), lambda: empty_store.lookup(["ada"]), empty_store.at_risk):
        with pytest.raises(NotReady, match="holdfast score"):
            ask()


def test_users_at_risk_come_page_by_page_by_falling_probability(store: ScoreStore) -> None:
    seen, after = [], None
    while True:
        page = store.at_risk(after=after, limit=1)
        assert page is not None
        seen += [score.user_id for score in page.scores]
        if (after := page.next) is None:
            break
    assert seen == ["ada", "bert", "chen", "dalia"]


def test_users_of_equal_probability_are_listed_once_each_across_pages(
    empty_store: ScoreStore, facts: RunFacts, make_score: MakeScore
) -> None:
    empty_store.write_run(facts, [make_score(f"user-{i:02d}", 0.5) for i in range(25)], now=NOW)
    seen, after = [], None
    while (page := empty_store.at_risk(after=after, limit=4)) and page.scores:
        seen += [score.user_id for score in page.scores]
        if (after := page.next) is None:
            break
    assert seen == [f"user-{i:02d}" for i in range(25)]


def test_users_at_risk_can_be_cut_by_tier_and_probability(store: ScoreStore) -> None:
    low = store.at_risk(Wanted(tier="low"))
    likely = store.at_risk(Wanted(minimum=0.6))
    assert low is not None
    assert likely is not None
    assert [score.user_id for score in low.scores] == ["chen", "dalia"]
    assert [score.user_id for score in likely.scores] == ["ada", "bert"]


def test_pages_stay_with_their_run_when_a_new_one_is_written(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore
) -> None:
    first = store.at_risk(limit=2)
    assert first is not None
    store.write_run(facts, [make_score("frida", 0.99)], now=NOW)
    second = store.at_risk(after=first.next, limit=2)
    assert second is not None
    assert [score.user_id for score in second.scores] == ["chen", "dalia"]


def test_a_page_of_a_run_that_is_no_longer_kept_is_none(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore
) -> None:
    store.write_run(facts, [make_score("frida")], now=NOW, keep_runs=1)
    assert store.at_risk(after=Place(1, 0.9, "ada")) is None


def test_only_the_newest_runs_are_kept(store: ScoreStore, facts: RunFacts, make_score: MakeScore) -> None:
    for _ in range(4):
        store.write_run(facts, [make_score("ada"), make_score("bert")], outside=["emil"], now=NOW, keep_runs=2)
    assert (count(store, "runs"), count(store, "scores"), count(store, "outside")) == (2, 4, 1)
    assert [store.run(run_id) is not None for run_id in range(1, 6)] == [False, False, False, True, True]


def test_an_interrupted_run_changes_nothing_and_its_rows_go_at_the_next_write(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHUNK_ROWS", 10)

    def interrupted() -> Iterator[Score]:
        yield from (make_score(f"user-{i}") for i in range(35))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_run(facts, interrupted(), now=NOW)
    assert probability(store, "ada") == 0.9
    assert store.score("user-1") is Absence.UNKNOWN
    assert count(store, "scores") == 4 + 30
    store.write_run(facts, [make_score("ada", 0.2)], now=NOW)
    assert probability(store, "ada") == 0.2
    assert count(store, "scores") == 4 + 1


KILLED_WRITER = """
import sys, itertools, time
from features.windows import Interval, days, utc
from serving.store import RunFacts, Score, ScoreStore, writer
writer.CHUNK_ROWS = 100
cutoff = utc("2026-06-01")
facts = RunFacts(cutoff, Interval(cutoff, cutoff + days(30)), cutoff + days(7), "4", "churn-0", {})
def endless():
    for i in itertools.count():
        if i == 1000:
            print("written", flush=True)
        if i > 1000:
            time.sleep(0.01)
        yield Score(f"user-{i}", 0.5, 50.0, "low", ())
ScoreStore.open(sys.argv[1]).write_run(facts, endless(), now=cutoff)
"""


def test_a_writer_that_is_killed_leaves_the_old_run_and_the_next_writer_clears_up(
    store: ScoreStore, url: str, facts: RunFacts, make_score: MakeScore
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, url], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    with pytest.raises(Busy, match="another process is writing"):
        store.write_run(facts, [make_score("ada")], now=NOW)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    _wait_until_free(store)
    assert count(store, "scores") >= 4 + 900
    assert probability(store, "ada") == 0.9
    store.write_run(facts, [make_score("ada", 0.2)], now=NOW)
    assert (count(store, "scores"), count(store, "runs"), probability(store, "ada")) == (5, 2, 0.2)


def test_readers_never_see_half_a_run(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHUNK_ROWS", 50)
    users = [f"user-{i}" for i in range(200)]
    store.write_run(replace(facts, model_version="0"), [make_score(u, 0.0) for u in users], now=NOW)
    mixed: list[object] = []
    looked = 0
    done = threading.Event()

    def read() -> None:
        nonlocal looked
        while not done.is_set():
            found = store.lookup([*users[:10], *users[-10:]])
            versions = {a if isinstance(a, Absence) else (a.run.run_id, a.churn_probability) for a in found.answers}
            page = store.at_risk(limit=200)
            assert page is not None
            versions_listed = {score.churn_probability for score in page.scores}
            if len(versions) != 1 or len(versions_listed) != 1 or len(page.scores) != 200:
                mixed.append((versions, versions_listed, len(page.scores)))
            looked += 1

    reader = threading.Thread(target=read)
    reader.start()
    for night in range(1, 9):
        store.write_run(
            replace(facts, model_version=str(night)), [make_score(u, night / 10) for u in users], now=NOW, keep_runs=2
        )
    done.set()
    reader.join()
    assert mixed == []
    assert looked > 5


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"churn_probability": float("nan")}, "expected 0 to 1"),
        ({"churn_probability": 1.1}, "expected 0 to 1"),
        ({"percentile": float("inf")}, "0 to 100"),
        ({"risk_tier": "urgent"}, "high, medium, low"),
        ({"user_id": "\ud800"}, "UTF-8"),
    ],
)
def test_a_score_that_cannot_be_one_is_refused_and_the_old_run_stays(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore, wrong: dict[str, object], why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        store.write_run(facts, [replace(make_score("ada"), **wrong)], now=NOW)  # type: ignore[arg-type]  # wrong on purpose
    assert probability(store, "ada") == 0.9


def test_a_user_scored_twice_is_refused(store: ScoreStore, facts: RunFacts, make_score: MakeScore) -> None:
    with pytest.raises(BadInput, match="twice"):
        store.write_run(facts, [make_score("ada"), make_score("ada")], now=NOW)
    assert probability(store, "ada") == 0.9


def test_a_run_of_nobody_is_refused(store: ScoreStore, facts: RunFacts) -> None:
    with pytest.raises(BadInput, match="nobody to score"):
        store.write_run(facts, [], now=NOW)
    assert probability(store, "ada") == 0.9


@pytest.mark.parametrize("user_id", ["'; DROP TABLE scores; --", "a/b/../c", "émile", "😀", "x" * 1000, " ", "=1+1"])
def test_odd_user_ids_come_back_as_they_are(
    empty_store: ScoreStore, facts: RunFacts, make_score: MakeScore, user_id: str
) -> None:
    empty_store.write_run(facts, [make_score(user_id), make_score("ada")], now=NOW)
    found = empty_store.score(user_id)
    assert isinstance(found, StoredScore)
    assert found.user_id == user_id


def test_what_was_told_before_stands_beside_a_score_and_in_the_history(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore
) -> None:
    later = replace(facts, cutoff=utc("2026-06-08"))
    store.write_run(later, [make_score("ada", 0.4), make_score("frida", 0.5)], now=NOW)
    ada, frida = store.score("ada"), store.score("frida")
    assert isinstance(ada, StoredScore)
    assert isinstance(frida, StoredScore)
    assert ada.run.before is not None
    assert (ada.previous_churn_probability, ada.run.before.cutoff) == (0.9, facts.cutoff)
    assert frida.previous_churn_probability is None
    assert [(one.churn_probability, one.run.facts.cutoff) for one in store.history("ada")] == [
        (0.4, later.cutoff),
        (0.9, facts.cutoff),
    ]
    assert [one.churn_probability for one in store.history("ada", before=2, limit=1)] == [0.9]
    assert [run.run_id for run in store.runs()] == [2, 1]
    assert [run.run_id for run in store.runs(before=2)] == [1]


def test_what_was_told_before_is_told_when_the_run_before_is_gone(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore, url: str
) -> None:
    later = replace(facts, cutoff=utc("2026-06-08"), model_version="4")
    store.write_run(later, [make_score("ada", 0.4), make_score("frida", 0.5)], now=NOW, keep_runs=1)
    assert store.run(1) is None
    again = ScoreStore.open(url)
    for asked in (store, again):
        ada = asked.score("ada")
        assert isinstance(ada, StoredScore)
        assert (ada.previous_churn_probability, ada.run.before) == (0.9, Before(1, facts.cutoff, "3"))
    again.close()


def test_a_tenant_sees_its_own_runs_only(store: ScoreStore, facts: RunFacts, make_score: MakeScore) -> None:
    brand = store.of("brand")
    for ask in (lambda: brand.score("ada"), lambda: brand.lookup(["ada"]), brand.at_risk):
        with pytest.raises(NotReady):
            ask()
    assert (brand.current_run(), brand.run(1), brand.runs(), brand.history("ada")) == (None, None, [], [])
    assert brand.at_risk(after=Place(1, 1.0, "")) is None
    assert brand.show_again("3", now=NOW) is None
    brand.write_run(facts, [make_score("ada", 0.1)], now=NOW, keep_runs=1)
    assert (probability(brand, "ada"), probability(store, "ada")) == (0.1, 0.9)
    assert brand.score("bert") is Absence.UNKNOWN
    assert store.of("") is store


def test_who_is_without_a_score_hears_why(store: ScoreStore, facts: RunFacts, make_score: MakeScore) -> None:
    why = {"bert": Absence.OPTED_OUT, "chen": Absence.TOO_LITTLE_HISTORY}
    store.write_run(facts, [make_score("ada")], outside=why, now=NOW)
    assert store.lookup(["bert", "chen", "dalia"]).answers == [*why.values(), Absence.UNKNOWN]
    assert store.score("bert") is Absence.OPTED_OUT


def test_a_run_counts_its_groups(empty_store: ScoreStore, facts: RunFacts, make_score: MakeScore) -> None:
    told = {"ada": ("loyal", 10.0), "bert": ("loyal", None), "chen": (None, 1.5)}
    people = [
        replace(make_score(user, 0.5), segment=group, value_at_risk=value) for user, (group, value) in told.items()
    ]
    empty_store.write_run(facts, people, now=NOW)
    run = empty_store.current_run()
    assert run is not None
    assert [(group.by, group.name, group.users, group.value_at_risk) for group in run.groups] == [
        ("risk_tier", "medium", 3, 11.5),
        ("segment", "loyal", 2, 10.0),
    ]


def test_a_list_can_leave_out_whom_nobody_may_contact(
    empty_store: ScoreStore, facts: RunFacts, make_score: MakeScore
) -> None:
    people = [
        replace(make_score(user), contactable=may) for user, may in (("ada", True), ("bert", False), ("chen", None))
    ]
    empty_store.write_run(facts, people, now=NOW)
    page = empty_store.at_risk(Wanted(contactable_only=True))
    assert page is not None
    assert [(one.user_id, one.contactable) for one in page.scores] == [("ada", True), ("chen", None)]


def test_an_id_with_a_nul_is_nobody_and_cannot_be_scored(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore
) -> None:
    assert store.score("nul\x00in") is Absence.UNKNOWN
    assert store.lookup(["ada\x00", "ada"]).answers[0] is Absence.UNKNOWN
    assert store.history("ada\x00") == []
    with pytest.raises(BadInput, match="NUL"):
        store.write_run(facts, [make_score("nul\x00in")], now=NOW)


def _wait_until_free(store: ScoreStore) -> None:
    """A database server needs a moment to notice that a client is gone."""
    for _ in range(200):
        with suppress(Busy), store.database.write_lock():
            return
        time.sleep(0.05)
