"""The benchmarks of the service run at a tiny size: servers start, are asked, and what was heard is told."""

import asyncio
import json
import shutil
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.serving import batch, compute, hand_made, lookup, many, overload, soak
from benchmarks.serving.arrivals import BROKEN, Answer, Clients
from benchmarks.serving.crowd import Crowd
from benchmarks.serving.processes import first_answer, measured, posting, python, running
from benchmarks.serving.readers import Heard, print_heard
from benchmarks.serving.shop import Customer, Shop, shop_in
from benchmarks.simulate.world import World
from features.windows import days, iso, utc

WORLD = World("small shop", length=308, users=500)
END = utc("2026-06-01")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    quick = {"max_cutoffs": 5, "trees": 30, "replicates": 50, "test_cutoffs": 1, "step_days": 14}
    return shop_in(tmp_path_factory.mktemp("shop") / "data", world=WORLD, training=quick)


@pytest.fixture(scope="module")
def token(shop: Shop) -> str:
    return shop.key(now=datetime.now(UTC))


def test_a_crowd_is_always_the_same_and_everybody_was_there_lately() -> None:
    crowd = Crowd(100, END, buckets=3)
    found, again = crowd.read_bucket(1), crowd.read_bucket(1)
    assert (found.user_ids, found.times.tolist()) == (again.user_ids, again.times.tolist())
    assert sum(len(crowd.read_bucket(bucket)) for bucket in range(3)) == 100
    newest = found.times[found.offsets[1:] - 1]
    assert (newest < END.timestamp() * 1e6).all()
    assert (newest >= (END - days(51)).timestamp() * 1e6).all()
    assert all((np.diff(found.times[a:b]) >= 0).all() for a, b in zip(found.offsets, found.offsets[1:], strict=False))


def test_the_features_made_by_hand_are_what_their_names_say() -> None:
    times = pd.to_datetime(["2026-05-01", "2026-05-03", "2026-05-30", "2026-06-02"], utc=True)
    events = pd.DataFrame({"user_id": "ada", "time": times, "event": "visit", "value": [1.0, 2.0, 4.0, 9.0]})
    row = hand_made.features_of(events, pd.Timestamp(END)).loc["ada"]
    assert (row["recency"], row["count"], row["count_7"], row["spend_28"]) == (2.0, 3, 1, 4.0)
    assert (row["gap_mean"], row["gap_max"]) == (14.5, 27.0)


def test_fresh_scores_come_from_ours_and_from_the_endpoint_made_by_hand(
    shop: Shop, token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contest = compute.peers(shop, tmp_path, token=token)
    for name in (compute.OURS, compute.READY, compute.BY_HAND):
        with contest[name].start() as server:
            first_answer(server, contest[name].path, contest[name].sample, token=contest[name].token)
            assert server.resident_mb > 50
    compute.print_table({name: [lookup.Figure(10.0, 1.0, 2.0, 0, 5.0)] for name in contest})
    assert "| Holdfast, from events | 10.0 | 1.0 |" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs the load client wrk")
def test_many_are_looked_up_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    script = posting(tmp_path / "many.lua", many.bodies(50)[:2], token=lookup.fill(url, users=50))
    with running(python("benchmarks.serving.service", "--store", url)) as server:
        figure = measured(server, "/v1/scores/lookup", script, seconds=1, connections=2)
    many.print_table({1: [figure]})
    assert figure.failed == 0
    assert "| 1 | " in capsys.readouterr().out


def test_two_nights_are_written_while_readers_ask(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "ALONE_SECONDS", 0.5)
    nights, heard = batch.measured(shop, f"sqlite:///{tmp_path / 'store.db'}", users=300, threads=1)
    assert [took["users"] for took in nights.values()] == [pytest.approx(300, abs=20), 300]
    answers = [one for part in heard.values() for one in part]
    assert {one.status for one in answers} <= {200, 404}
    assert {one.run_id for one in answers} - {0} == {1, 2}
    batch.print_nights(nights)
    print_heard(heard)
    assert "| readers ask, with changes | 300 |" in capsys.readouterr().out


def test_an_answer_of_an_older_run_after_a_newer_one_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    print_heard({"then": [Heard(0.0, 0.1, 200, 1), Heard(1.0, 0.1, 200, 2), Heard(2.0, 0.1, 200, 1)], "now": []})
    assert "| then | 3 | 100.0 | 100.0 | 100.0 | 0 | 2 | 1 |" in capsys.readouterr().out


def test_more_than_can_be_answered_is_refused_and_soaked_minutes_are_told(
    shop: Shop, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    user = Customer.made_up(1, cutoff=shop.cutoff, events=50).to_json()
    body = json.dumps({"users": [user], "cutoff": iso(shop.cutoff)})
    served = ["--store", shop.store_url, "--folder", str(shop.folder), "--in-flight", "2"]
    with running(python("benchmarks.serving.service", *served)) as server:
        first_answer(server, overload.PATH, body, token=token)
        phases, most = asyncio.run(overload.overload(server, [body], token, capacity=30.0, seconds=1, after=1))
        asked = Namespace(minutes=2, seconds=0.5, rate=20.0)
        minutes = asyncio.run(soak.soak(server, soak.questions(shop, token), asked=asked))
    overload.print_table(phases, capacity=30.0, most_mb=most)
    soak.print_table(100.0, minutes, seconds=0.5)
    said = capsys.readouterr().out
    assert {one.status for heard in phases.values() for one in heard} <= {200, 503}
    assert "| 5 times the capacity | " in said
    assert "| 2 | " in said
    assert {one.status for minute in minutes for one in minute.heard} <= {200, 422, 503}


def test_a_request_without_an_answer_is_told_as_one() -> None:
    async def nobody_listens() -> list[Answer]:
        return await Clients(9, [b"GET / HTTP/1.1\r\n\r\n"]).ask(rate=20.0, seconds=0.2)

    assert {one.status for one in asyncio.run(nobody_listens())} == {BROKEN}


def test_recovery_lasts_until_the_last_slow_or_refused_answer() -> None:
    before = [Answer(0.0, 0.01, 200, says_when=False)]
    after = [
        Answer(10.0, 0.5, 200, says_when=False),
        Answer(11.0, 0.0, 503, says_when=True),
        Answer(12.0, 0.01, 200, says_when=False),
    ]
    assert overload.recovered(before, after) == 1.0
