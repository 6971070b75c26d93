"""The comparison of feature families, on the small shop."""

from dataclasses import replace

import numpy as np

from benchmarks.quality.families import compare
from features.language import FeatureSet
from features.log import EventLog
from features.windows import days, utc
from models.definition import ChurnDefinition
from training.evidence import read_rows
from training.fit import TrainSettings
from training.splits import plan

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(trees=20, boosters=1, step_days=14, max_cutoffs=4, test_cutoffs=1, replicates=50)


def test_every_family_is_left_out_once_and_compared_on_the_same_rows(shop: EventLog, few_features: FeatureSet) -> None:
    split = plan(FORTNIGHT, start=utc("2026-01-01"), end=utc("2026-07-28"), step=days(14), max_cutoffs=4)
    rows = read_rows(shop, few_features, split, settings=QUICK)
    (_, whole, nothing), *others = compare(rows, few_features, split, settings=QUICK)
    assert nothing is None
    assert [name for name, *_ in others] == [
        "without recency",
        "without frequency",
        "without money",
        "recency, frequency, money only",
    ]
    for name, found, variant in others:
        assert variant is not None
        assert variant.auc.value == found.trial.ours["auc"].value - whole.trial.ours["auc"].value, name
        assert variant.log_loss.low <= variant.log_loss.value <= variant.log_loss.high, name
    last = others[-1][2]  # every feature here is one of the three
    assert last is not None
    assert (last.features, last.validation, last.auc.value, last.says) == (5, 0.0, 0.0, "no difference")


def test_rows_of_fewer_features_know_which_of_them_are_categories(shop: EventLog, few_features: FeatureSet) -> None:
    split = plan(FORTNIGHT, start=utc("2026-01-01"), end=utc("2026-07-28"), step=days(14), max_cutoffs=4)
    rows = replace(read_rows(shop, few_features, split, settings=QUICK), categorical=("events_14d", "spend_56d"))
    fewer = rows.of(["spend_56d", "days_since_last_event"])
    assert (fewer.snapshots.names, fewer.categorical) == (("spend_56d", "days_since_last_event"), ("spend_56d",))
    np.testing.assert_array_equal(fewer.snapshots.matrix, rows.snapshots.matrix[:, [4, 0]])
    assert fewer.rows_without(("spend_56d",)).categorical == ()
    assert fewer.rows_without().categorical == (0,)
