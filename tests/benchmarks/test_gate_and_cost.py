"""The benchmarks of the gate, of what a training costs and of peers run at a tiny size."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.gate.__main__ import BETTER, FAULTY, PLAIN, Book, look, page
from benchmarks.gate.rollback import Rolled, write_events
from benchmarks.gate.trials import RICH, Shop, nothing_to_read, odds_doubled, silently_other_features
from benchmarks.quality.contestants import OTHERWISE, Contestant, Kept
from benchmarks.quality.levels import level_of
from benchmarks.quality.peers import Arena, beside, insiders
from benchmarks.quality.protocols import PROTOCOLS
from benchmarks.simulate.world import DEFINITION, START, Log, World, live
from benchmarks.training import prepare, print_bare, print_stages
from features.windows import days
from training.evidence import examine_rows, read_rows
from training.fit import TrainSettings
from training.splits import plan

ROOT = Path(__file__).parents[2]
QUICK = TrainSettings(
    trees=30, boosters=1, blends=(0.5,), step_days=14, max_cutoffs=5, test_cutoffs=1, replicates=50,
    calibration="identity", threads=2, workers=2,
)  # fmt: skip
SMALL_SHOP = World("small shop", length=308, users=500)
WITHOUT_TRAINING = (odds_doubled, silently_other_features, nothing_to_read)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    found = Book.of(tmp_path_factory.mktemp("gate") / "verdicts.jsonl")
    look(found, seed=0, faults=WITHOUT_TRAINING, world=SMALL_SHOP, settings=QUICK)
    return found


@pytest.fixture(scope="module")
def small_shop() -> Shop:
    return Shop.of(SMALL_SHOP, seed=1, settings=QUICK)


@pytest.fixture(scope="module")
def arena(small_shop: Shop) -> Arena:
    split = plan(DEFINITION, start=START, end=small_shop.end, step=days(14), max_cutoffs=4)
    rows = read_rows(small_shop.log, RICH, split, settings=QUICK)
    evidence = examine_rows(rows, RICH, split, settings=QUICK)
    return Arena(PROTOCOLS[0], split, rows, evidence, (), 1.0, 2.0)


def test_planted_faults_are_refused(book: Book) -> None:
    faulty = book.on(FAULTY)
    assert list(faulty) == [plant.__name__ for plant in WITHOUT_TRAINING]
    assert [held.passed for (held,) in faulty.values()] == [False, False, False]
    assert "fingerprint" in faulty["silently_other_features"][0].failed
    assert faulty["nothing_to_read"][0].failed == ("features_available",)


def test_plain_retrainings_and_improvements_stand_on_the_page(book: Book) -> None:
    assert [len(held) for held in book.on(PLAIN).values()] == [1, 1]
    assert [len(held) for held in book.on(BETTER).values()] == [1, 1]
    back = Rolled(800, 6.0, 4.0, 3.9, 500, 80.0, 0, 0, ("2", "1"))
    text = page(book, back, seeds=1, faults=1)
    assert "| twelve weeks later | " in text
    assert "| answers of more than one version | 0 |" in text


def test_verdicts_that_are_kept_are_not_asked_again(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Book.of(book.file)
    assert kept == book
    look(kept, seed=0, faults=WITHOUT_TRAINING, world=SMALL_SHOP, settings=QUICK)
    assert capsys.readouterr().out == "seed 0\n"


def test_the_log_of_a_world_is_a_file_that_can_be_ingested(tmp_path: Path) -> None:
    events = Log.of(live(World("tiny", length=30, users=20), seed=0)).events
    write_events(events, tmp_path / "events.parquet")
    rows = pd.read_parquet(tmp_path / "events.parquet")
    assert len(rows) == len(events.times)
    assert rows.groupby("user_id").size().tolist() == np.diff(events.offsets).tolist()


def test_peers_are_judged_on_the_same_rows_and_draws(arena: Arena) -> None:
    ours = arena.evidence.trial.probabilities["model"]
    itself, halved = beside(
        arena, iter([Contestant("ours", ours), Contestant("timid", 0.5 * ours + 0.25)]), replicates=50
    )
    assert (itself.ratio.value, itself.ratio.low, itself.says) == (1.0, 1.0, "no difference")
    assert halved.ratio.value < 1
    names = [one.name for one in beside(arena, insiders(arena), replicates=50)]
    assert names == ["logistic regression", "the same, tuned", "LightGBM, defaults", "small GBM"]


def test_what_a_peer_said_is_kept_while_the_rows_are_the_same(arena: Arena, tmp_path: Path) -> None:
    learnt, test = arena.of(arena.split.fit), arena.of(arena.split.test)
    kept = Kept.of(tmp_path, "a log 60/30", learnt=learnt, asked=test)
    asked = list(kept.keeping(insiders(arena)))
    there = {one.name: one for one in kept.there()}
    assert sorted(there) == ["LightGBM, defaults", "small GBM", "the same, tuned"]  # the baseline comes with our model
    assert all(np.array_equal(there[one.name].probabilities, one.probabilities) for one in asked[1:])
    assert not list(Kept.of(tmp_path, "another log", learnt=learnt, asked=test).there())
    assert not list(Kept.of(None, "a log 60/30", learnt=learnt, asked=test).there())


def test_who_learnt_from_other_features_says_so_and_is_not_asked_about_others(arena: Arena, tmp_path: Path) -> None:
    learnt, test = arena.of(arena.split.fit), arena.of(arena.split.test)
    list(Kept.of(tmp_path, "a log", learnt=learnt, asked=test).keeping(insiders(arena, ("small GBM",))))
    fewer = Kept.of(tmp_path, "a log", learnt=learnt.of(("visits_7d",)), asked=test.of(("visits_7d",)))
    assert not list(fewer.there())
    (one,) = fewer.there(whatever_learnt=True)
    assert one.note == OTHERWISE
    others = Kept.of(tmp_path, "a log", learnt=learnt, asked=test.where(np.arange(len(test)) > 0))
    assert not list(others.there(whatever_learnt=True))


def test_the_level_is_told_with_what_the_watch_says(arena: Arena, small_shop: Shop) -> None:
    found = level_of(small_shop.log, arena.split, arena.evidence)
    assert found.says == "fewer than 2,000 rows: no bar"
    assert {one.code for one in found.watch} == {"level", "base_rate"}
    assert f"is {found.ratio.says(digits=2)[:4]}" in next(one.found for one in found.watch if one.code == "level")


def test_a_small_training_is_taken_apart_by_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path, rows=3000, threads=1)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.training"]
    stages = _last_line([*command, "--inside", str(tmp_path)])
    names = [stage["name"] for stage in stages]
    assert "reading, features and labels" in names
    assert "deployed model, leakage checks, stability" in names
    assert all(stage["processor"] <= 2 * stage["wall"] + 1 and stage["peak"] > 0 for stage in stages)
    found = _last_line([*command, "--bare", str(tmp_path), "--rows", "1500"])
    print_stages(stages, {})
    print_bare(found)
    said = capsys.readouterr().out
    assert "holdfast train" in said
    assert "lightgbm.train" in said


def _last_line(command: list[str]) -> Any:
    finished = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return json.loads(finished.stdout.splitlines()[-1])
