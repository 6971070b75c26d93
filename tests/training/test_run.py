import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import BadInput
from features.language import FeatureSet
from features.log import EventLog
from features.windows import days, to_microseconds, utc
from models.cancel import Cancel
from models.definition import ChurnDefinition
from training.fit import TrainSettings
from training.labels import churned
from training.report import report
from training.run import Training, train
from training.snapshots import labelled

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=40, boosters=2, blends=(0.5,), step_days=7, max_cutoffs=8, test_cutoffs=1, replicates=100, calibration="platt"
)
NOW = {"now": utc("2026-09-01"), "code_version": "0.1.0"}


def test_a_training_says_how_good_it_is_and_what_to_do(training: Training) -> None:
    assert training.trial.ours["auc"].value > 0.6
    assert training.verdict.findings
    assert training.steps["test"].cutoffs == 1
    assert training.steps["fit"].rows > training.steps["test"].rows > 150


def test_its_facts_are_plain_json_without_nan(training: Training) -> None:
    facts = json.loads(json.dumps(training.facts, allow_nan=False))
    assert facts["trained_at"] == "2026-09-01T00:00:00Z"
    assert facts["quality"]["auc_low"] <= facts["quality"]["auc"] <= facts["quality"]["auc_high"]


def test_the_report_is_a_page_of_plain_text(training: Training) -> None:
    lines = report(training).splitlines()
    assert lines[2] == "Churned: active in the last 28 days, then no event for 14 days."
    assert any(line.startswith("AUC") for line in lines)
    assert max(map(len, lines)) <= 110
    assert "".join(lines).isprintable()


def test_the_same_seed_gives_the_same_training_however_many_threads_work(
    training: Training, shop: EventLog, few_features: FeatureSet
) -> None:
    told: list[tuple[str, int, int]] = []
    again = train(
        shop,
        FORTNIGHT,
        few_features,
        **NOW,
        settings=replace(QUICK, workers=2, threads=2),
        on_progress=lambda *stage: told.append(stage),
    )
    assert again.trial.quality() == training.trial.quality()
    assert again.model.blend_.booster_texts == training.model.blend_.booster_texts
    assert ("reading history", 4, 4) in told
    assert told[-1] == ("fitting", 5, 5)


def test_nothing_after_the_tested_horizon_changes_a_figure(
    tmp_path: Path,
    shop: EventLog,
    few_features: FeatureSet,
    visits: Callable[..., list[tuple[str, float]]],
    write_log: Callable[..., EventLog],
) -> None:
    cutoff = utc("2026-06-01")
    end = (to_microseconds(FORTNIGHT.horizon_of(cutoff).end) - to_microseconds(utc("2026-01-01"))) / 86_400_000_000
    known = [row for row in visits(users=500, length=210, seed=1) if row[1] < end]
    shorter = write_log(tmp_path / "events", [*known, ("user-000", end + 0.5)])
    quicker = replace(QUICK, trees=20, blends=(1.0,), max_cutoffs=3, replicates=20)
    full = train(shop, FORTNIGHT, few_features, **NOW, cutoff=cutoff, settings=quicker)
    less = train(shorter, FORTNIGHT, few_features, **NOW, cutoff=cutoff, settings=quicker)
    assert full.split == less.split
    assert full.trial.quality() == less.trial.quality()


def test_every_row_has_the_label_of_its_own_user_and_cutoff(shop: EventLog, few_features: FeatureSet) -> None:
    cutoffs = [utc("2026-03-01"), utc("2026-04-01")]
    rows = labelled(shop, few_features, FORTNIGHT, cutoffs, log_end=shop.summary().end)
    assert len(rows) == len(rows.labels) == len(rows.facts.frequency)
    for place in range(0, len(rows), 37):
        one = shop.read_user(rows.users[place])
        moment = rows.snapshots.cutoffs[place : place + 1]
        alone = churned(one, FORTNIGHT, users=rows.users[place : place + 1], cutoffs=moment, log_end=shop.summary().end)
        assert rows.labels[place] == alone[0]
        assert rows.halfway is not None
        week = replace(FORTNIGHT, horizon=days(7))
        alone = churned(one, week, users=rows.users[place : place + 1], cutoffs=moment, log_end=shop.summary().end)
        assert rows.halfway[place] == alone[0]
        since = rows.snapshots.matrix[place, 0]
        assert rows.facts.recency_days[place] == pytest.approx(since)


def test_many_rows_are_thinned_but_never_those_that_are_tested_on(shop: EventLog, few_features: FeatureSet) -> None:
    cutoffs = [utc("2026-03-01"), utc("2026-04-01"), utc("2026-05-01")]
    given = {"log_end": shop.summary().end, "whole": cutoffs[-1:]}
    everybody = labelled(shop, few_features, FORTNIGHT, cutoffs, **given)
    thinned = labelled(shop, few_features, FORTNIGHT, cutoffs, **given, max_rows=200)
    assert 100 < len(thinned.at(cutoffs[:2])) < 320
    assert len(thinned.at(cutoffs[2:])) == len(everybody.at(cutoffs[2:]))


def test_while_horizons_are_open_rows_are_left_out(shop: EventLog, few_features: FeatureSet) -> None:
    cutoff = utc("2026-07-25")
    rows = labelled(shop, few_features, FORTNIGHT, [cutoff], log_end=shop.summary().end)
    assert len(rows) > 0
    assert np.isnan(rows.labels).all()
    assert len(rows.at([cutoff])) == 0


def test_chosen_rows_keep_what_had_come_of_them_halfway(shop: EventLog, few_features: FeatureSet) -> None:
    cutoffs = [utc("2026-03-01"), utc("2026-04-01")]
    rows = labelled(shop, few_features, FORTNIGHT, cutoffs, log_end=shop.summary().end)
    later = rows.at(cutoffs[1:]).of(few_features.names[:2])
    alone = labelled(shop, few_features, FORTNIGHT, cutoffs[1:], log_end=shop.summary().end)
    assert later.halfway is not None
    assert alone.halfway is not None
    assert later.users.tolist() == alone.users.tolist()
    assert later.halfway.tolist() == alone.halfway.tolist()


def test_of_subscriptions_nothing_is_learnt_halfway(shop: EventLog, few_features: FeatureSet) -> None:
    cancelling = replace(FORTNIGHT, outcome=Cancel(("cancel",)))
    assert labelled(shop, few_features, cancelling, [utc("2026-03-01")], log_end=shop.summary().end).halfway is None


def test_every_second_booster_of_a_training_learns_who_is_away_halfway(training: Training) -> None:
    assert training.model.facts_.halfway == training.tested_model.facts_.halfway == 1


def test_a_log_in_which_nobody_ever_leaves_cannot_be_learnt_from(
    tmp_path: Path, few_features: FeatureSet, write_log: Callable[..., EventLog]
) -> None:
    loyal = write_log(tmp_path / "events", [(f"user-{user}", day + 0.5) for user in range(20) for day in range(120)])
    with pytest.raises(BadInput, match=r"all \d+ training rows stayed; expected some of both outcomes. A shorter"):
        train(loyal, FORTNIGHT, few_features, **NOW, settings=QUICK)


def test_the_deployed_model_has_seen_newer_outcomes_than_the_tested_one(training: Training) -> None:
    assert max(training.split.deployed_fit) == max(training.split.test)
    assert max(training.split.fit) < min(training.split.test)
    assert training.model.facts_.rows != training.tested_model.facts_.rows
