"""The back-test on small simulated shops: one in which nothing changes, one whose users leave sooner every week."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from features.errors import BadInput
from features.language import FeatureSet
from features.log import EventLog
from features.windows import days, shift, to_microseconds, utc
from models.definition import ChurnDefinition
from training.backtest import Backtest, backtest, plan_origins
from training.backtest_plots import figures
from training.fit import TrainSettings
from training.segments import bands

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=40, boosters=1, blends=(0.5,), step_days=7, max_cutoffs=6, replicates=100, calibration="identity"
)
LENGTH = 280  # days of history
Write = Callable[[Path, list[tuple[str, float]]], EventLog]


def shop(*, seed: int, users: int = 1800, last_lifetime: float = 120.0) -> list[tuple[str, float]]:
    """Visits of users who arrive evenly, long before the log begins; from the middle of the log on they stay for less
    and less long, down to `last_lifetime` days."""
    draws = np.random.default_rng(seed)
    rows = []
    for place in range(users):
        arrived, pace = draws.uniform(-360, LENGTH), draws.gamma(2.0, 2.0)
        day, gone = arrived, arrived + draws.exponential(120.0)
        if last_lifetime < 120.0:
            gone = min(gone, _sooner(draws, arrived, last_lifetime))
        while day < min(LENGTH, gone):
            if day >= 0:
                rows.append((f"user-{place:04d}", float(day)))
            day += draws.exponential(pace) + 0.01
    return rows


def _sooner(draws: np.random.Generator, arrived: float, last_lifetime: float) -> float:
    """When a user leaves for the new reason, whose hazard grows day by day in the second half of the log."""
    start = max(arrived, LENGTH / 2)
    hazard = np.linspace(0, 1 / last_lifetime, LENGTH // 2)[int(start - LENGTH / 2) :]
    left = np.flatnonzero(draws.random(len(hazard)) < hazard)
    return float(start + left[0]) if len(left) else float(LENGTH)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, write_log: Write) -> EventLog:
    return write_log(tmp_path_factory.mktemp("still") / "events", shop(seed=3))


@pytest.fixture(scope="module")
def steady(still: EventLog, few_features: FeatureSet) -> Backtest:
    return backtest(still, FORTNIGHT, few_features, code_version="1", settings=QUICK, most=8)


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory, few_features: FeatureSet, write_log: Write) -> Backtest:
    log = write_log(tmp_path_factory.mktemp("drifting") / "events", shop(seed=3, last_lifetime=10.0))
    return backtest(log, FORTNIGHT, few_features, code_version="1", settings=QUICK, most=8)


class History:
    """A log of so many days from the new year on."""

    def __init__(self, length: int) -> None:
        self.start = utc("2026-01-01")
        self.end = shift(self.start, days(length))


@given(
    look_back=some.integers(1, 60),
    lead=some.integers(0, 14),
    horizon=some.integers(1, 60),
    length=some.integers(50, 700),
    step=some.one_of(some.none(), some.integers(1, 10)),
    every=some.one_of(some.none(), some.integers(1, 90)),
)
def test_no_fit_rows_horizon_reaches_past_its_origins_test_cutoff(
    look_back: int, lead: int, horizon: int, length: int, step: int | None, every: int | None
) -> None:
    definition = ChurnDefinition(look_back=days(look_back), lead_time=days(lead), horizon=days(horizon))
    settings = replace(QUICK, step_days=step)
    apart = None if every is None else days(every)
    try:
        origins = plan_origins(History(length), definition, every=apart, settings=settings)
    except BadInput:
        return
    for split in origins:
        assert split.closes(split.fit) <= split.test[0]
        assert split.closes(split.rehearsal) <= split.calibration[0]
        assert not split.stopping or split.closes(split.stopping) <= split.validation[0]
        assert split.closes(split.test) <= History(length).end
    cutoffs = [split.test[0] for split in origins]
    for earlier, later in pairwise(cutoffs):
        assert every is not None or definition.horizon_of(earlier).end <= definition.horizon_of(later).start


def test_there_are_as_many_origins_as_the_history_allows_or_as_were_asked_for() -> None:
    every = plan_origins(History(LENGTH), FORTNIGHT, settings=QUICK)
    assert len(every) == (LENGTH - 28 - 3 * 14) // 14 + 1
    assert plan_origins(History(LENGTH), FORTNIGHT, most=3, settings=QUICK) == every[-3:]
    with pytest.raises(BadInput, match="the history is too short"):
        plan_origins(History(60), FORTNIGHT, settings=QUICK)
    with pytest.raises(BadInput, match="at least a day"):
        plan_origins(History(LENGTH), FORTNIGHT, every=days(0), settings=QUICK)


def test_an_origin_is_what_a_training_at_that_cutoff_would_have_been(
    steady: Backtest, still: EventLog, few_features: FeatureSet
) -> None:
    from training.run import train  # noqa: PLC0415 only here

    origin = steady.origins[-3]
    alone = train(
        still, FORTNIGHT, few_features, now=utc("2027-01-01"), code_version="1", cutoff=origin.cutoff,
        settings=replace(QUICK, test_cutoffs=1),
    )  # fmt: skip
    assert alone.trial.quality() == origin.trial.quality()
    assert alone.tested_model.blend_.booster_texts == origin.model.blend_.booster_texts


def test_all_origins_together_count_alike_and_draw_users_once(steady: Backtest) -> None:
    each = [origin.trial.ours["auc"].value for origin in steady.origins]
    pooled = steady.pooled
    assert pooled.ours["auc"].value == pytest.approx(np.mean(each))
    predicted = sum(origin.trial.probabilities["model"].sum() for origin in steady.origins)
    churned = sum(origin.trial.labels.sum() for origin in steady.origins)
    assert pooled.ours["predicted_over_observed"].value == pytest.approx(predicted / churned)
    assert pooled.ours["auc"].low < pooled.ours["auc"].value < pooled.ours["auc"].high
    gain = pooled.gain("last_seen_rule", metric="log_loss")
    theirs = pooled.evaluations["last_seen_rule"]["log_loss"].value
    assert gain.value == pytest.approx(pooled.ours["log_loss"].value - theirs)


def test_in_a_shop_where_nothing_changes_no_decay_is_shown(steady: Backtest) -> None:
    assert [age.days for age in steady.ageing.ages] == [14, 28, 42, 56, 70, 84, 98]
    assert steady.ageing.decay is None
    assert steady.ageing.says().startswith("no decay could be shown over")


def test_where_users_leave_sooner_every_week_the_model_is_seen_to_age(drifting: Backtest) -> None:
    decay = drifting.ageing.decay
    assert decay is not None
    assert decay.log_loss.low > 0
    assert "train anew" in drifting.ageing.says()
    assert drifting.ageing.ages[-2].level.value < drifting.ageing.ages[0].level.value


def test_the_same_seed_gives_the_same_bytes_however_many_threads_work(
    still: EventLog, few_features: FeatureSet
) -> None:
    def written(threads: int) -> str:
        settings = replace(QUICK, workers=threads, threads=threads)
        found = backtest(still, FORTNIGHT, few_features, code_version="1", settings=settings, most=3)
        return json.dumps(found.to_json(), allow_nan=False)

    assert written(1) == written(2)


def test_segments_have_edges_sizes_and_figures_and_say_when_they_are_too_small(
    steady: Backtest, still: EventLog, few_features: FeatureSet
) -> None:
    assert {segment.fact.name for segment in steady.segments} == {"tenure", "activity", "value"}
    tenure = [segment for segment in steady.segments if segment.fact.name == "tenure"]
    assert tenure[0].part == "newest quarter"
    assert sum(segment.rows for segment in tenure) == len(steady.pooled.labels)
    assert all(before.high <= after.low for before, after in pairwise(tenure))
    assert tenure[0].trial is not None
    assert tenure[0].trial.ours["auc"].value > 0.6
    thinned = replace(QUICK, max_rows=300)
    few = backtest(still, FORTNIGHT, few_features, code_version="1", settings=thinned, most=1)
    assert few.share < 1
    assert few.segments
    assert all(segment.trial is None and "too few" in segment.to_json()["too_few"] for segment in few.segments)


def test_tenure_is_counted_from_the_first_event_of_each_user(steady: Backtest, still: EventLog) -> None:
    from training.segments import TENURE  # noqa: PLC0415 only here

    origin = steady.origins[0]
    for place in range(0, len(origin.trial.users), 101):
        first = still.read_user(str(origin.trial.users[place])).times[0]
        expected = (to_microseconds(origin.cutoff) - int(first)) / 86_400_000_000
        assert origin.facts[TENURE][place] == pytest.approx(expected)


@given(values=some.lists(some.integers(0, 9), min_size=2, max_size=60), parts=some.integers(2, 5))
def test_bands_are_disjoint_cover_everybody_and_keep_equals_together(values: list[int], parts: int) -> None:
    found = bands(np.array(values, dtype=np.float64), parts=parts)
    if len(set(values)) == 1:
        assert found == []
        return
    assert (np.sum([mask for _, mask in found], axis=0) == 1).all()
    seen = [set(np.array(values)[mask].tolist()) for _, mask in found]
    assert all(max(earlier) < min(later) for earlier, later in pairwise(seen))


def test_when_the_time_is_over_the_oldest_origins_are_left_out(still: EventLog, few_features: FeatureSet) -> None:
    answers = iter([True, False])
    told: list[tuple[str, int, int]] = []
    found = backtest(
        still, FORTNIGHT, few_features, code_version="1", settings=QUICK, most=4,
        go_on=lambda: next(answers), on_progress=lambda *stage: told.append(stage),
    )  # fmt: skip
    assert len(found.origins) == 2
    assert len(found.left_out) == 2
    assert found.left_out[-1].cutoff < found.origins[0].cutoff
    assert "the time allowed was over" in found.left_out[0].because
    assert {"reading history", "testing origins", "adding up", "asking older models"} == {stage for stage, _, _ in told}


def test_every_picture_of_a_backtest_can_be_drawn(steady: Backtest) -> None:
    drawn = figures(steady)
    assert set(drawn) == {"over_time", "model_age", "calibration"}
    for figure in drawn.values():
        page = BytesIO()
        figure.savefig(page, format="png")
        assert page.tell() > 5000
