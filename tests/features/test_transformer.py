"""The scikit-learn step: the rows' order is kept, nobody is left out, and it behaves as a step should."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

import features
from features import EventFeatures
from features.errors import BadInput
from features.ingest import ingest
from features.language import events, feature_set
from features.log import EventLog
from features.population import Population
from features.sources.mapping import Mapping
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import days, utc

MINE = feature_set(
    visits=events("visit").count(last=days(28)),
    gap=events().mean_gap(),
    fifth=events().count().fifth_of_population(),
)
PLAIN = feature_set(visits=events("visit").count(last=days(28)), gap=events().mean_gap())
CUTOFFS = ["2026-03-01", "2026-04-01"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """Sixty users who visit, the higher their number the more often."""
    folder = tmp_path_factory.mktemp("shop")
    lines = ["user_id,time,event"]
    for user in range(60):
        visits = [utc("2026-01-01") + days(day) for day in range(user, 100, 1 + (60 - user) // 4)]
        lines += [f"user-{user},{visit:%Y-%m-%d}T0{user % 8}:00:00Z,visit" for visit in visits]
    (folder / "events.csv").write_text("\n".join(lines))
    made = EventLog.create(folder / "events", buckets=4)
    ingest(made, [str(folder / "events.csv")], mapping=Mapping(), quarantine=folder, now=utc("2026-06-01"))
    return made


def rows_of(*pairs: tuple[str, str]) -> pd.DataFrame:
    users, cutoffs = zip(*pairs, strict=True)
    return pd.DataFrame({"cutoff": pd.to_datetime(list(cutoffs), utc=True), "user_id": list(users)})


@pytest.fixture
def everybody() -> pd.DataFrame:
    return rows_of(*((f"user-{number}", cutoff) for number in (3, 50, 17, 57, 3) for cutoff in CUTOFFS))


def test_the_rows_come_back_in_their_order_with_the_bits_of_a_build(log: EventLog, everybody: pd.DataFrame) -> None:
    found = EventFeatures(MINE, log=log).fit(everybody).transform(everybody)
    built = features.build(log, features=MINE, cutoffs=CUTOFFS).to_pandas()
    expected = built.loc[list(zip(everybody["user_id"], everybody["cutoff"], strict=True))]
    assert found.tobytes() == expected.to_numpy().tobytes()


def test_a_user_of_whom_nothing_is_known_gets_counts_of_zero_and_the_rest_missing(log: EventLog) -> None:
    rows = rows_of(("nobody", "2026-04-01"), ("user-3", "2026-04-01"), ("user-59", "2020-01-01"))
    found = EventFeatures(PLAIN, log=log).fit_transform(rows)
    np.testing.assert_array_equal(found[[0, 2]], [[0, np.nan], [0, np.nan]])
    assert found[1, 0] > 0


def test_a_user_outside_the_population_is_measured_against_it(log: EventLog) -> None:
    everyone = Population(activity=(), look_back=days(364))
    rows = rows_of(("user-59", "2026-04-01"), ("user-1", "2026-04-01"), ("nobody", "2026-04-01"))
    found = EventFeatures(MINE, log=log, population=everyone).fit_transform(rows)
    assert found[:, 2].tolist() == [5.0, 1.0, 1.0]


def test_only_the_buckets_of_the_users_are_read_and_each_once(log: EventLog) -> None:
    class Counted(EventLog):
        read: list[int] = []  # noqa: RUF012 one test's

        def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:
            self.read.append(bucket)
            return super().read_bucket(bucket, wanted)

    counted = Counted.open(log.path)
    rows = rows_of(*(("user-3", cutoff) for cutoff in CUTOFFS), ("user-3", "2026-02-01"))
    EventFeatures(PLAIN, log=counted).fit_transform(rows)
    assert counted.read == [log.bucket_of("user-3")]


def test_a_folder_is_opened_anew_so_that_new_events_are_seen(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("user_id,time,event\nada,2026-03-01T00:00:00Z,visit\n")
    (tmp_path / "two.csv").write_text("user_id,time,event\nada,2026-03-02T00:00:00Z,visit\n")
    made, told = EventLog.create(tmp_path / "events"), {"mapping": Mapping(), "quarantine": tmp_path}
    rows, now = rows_of(("ada", "2026-03-10")), utc("2026-06-01")
    ingest(made, [str(tmp_path / "one.csv")], now=now, **told)  # type: ignore[arg-type] # a test's short way
    step = EventFeatures(PLAIN, log=str(made.path)).fit(rows)
    assert step.transform(rows)[0, 0] == 1
    ingest(made, [str(tmp_path / "two.csv")], now=now, **told)  # type: ignore[arg-type] # as above
    assert step.transform(rows)[0, 0] == 2


def test_it_is_a_step_of_a_pipeline_with_a_classifier(log: EventLog) -> None:
    rows = rows_of(*((f"user-{number}", cutoff) for number in range(60) for cutoff in CUTOFFS))
    outcome = np.array([number > 30 for number in range(60) for _ in CUTOFFS])
    line = make_pipeline(EventFeatures(PLAIN, log=log), HistGradientBoostingClassifier(max_iter=5))
    assert cross_val_score(line, rows, outcome, cv=3).mean() > 0.7
    assert clone(line).fit(rows, outcome).predict(rows).shape == (120,)


def test_without_features_it_takes_the_standard_catalogue(log: EventLog, everybody: pd.DataFrame) -> None:
    step = EventFeatures(log=log).fit(everybody)
    assert len(step.get_feature_names_out()) == step.transform(everybody).shape[1] > 20


def test_it_gives_frames_when_asked(log: EventLog, everybody: pd.DataFrame) -> None:
    step = EventFeatures(PLAIN, log=log).fit(everybody)
    frame = step.set_output(transform="pandas").transform(everybody)
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.equals(everybody.index)
    assert list(frame.columns) == ["visits", "gap"]
    assert isinstance(step.set_output(transform="polars").transform(everybody), pl.DataFrame)


def test_polars_and_arrow_rows_are_read_too(log: EventLog, everybody: pd.DataFrame) -> None:
    step = EventFeatures(PLAIN, log=log).fit(everybody)
    expected = step.transform(everybody)
    rows = pl.DataFrame({name: everybody[name].to_list() for name in everybody})
    np.testing.assert_array_equal(step.transform(rows), expected)
    np.testing.assert_array_equal(step.transform(rows.to_arrow()), expected)


def test_it_survives_a_pickle(log: EventLog, everybody: pd.DataFrame) -> None:
    step = EventFeatures(PLAIN, log=log).fit(everybody)
    again = pickle.loads(pickle.dumps(step))  # noqa: S301 our own
    np.testing.assert_array_equal(again.transform(everybody), step.transform(everybody))


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_mixin_order,
    ],
)
def test_it_passes_the_checks_of_scikit_learn_that_take_no_numbers(check: object) -> None:
    check("EventFeatures", EventFeatures())  # type: ignore[operator] # one of the functions above


def test_what_is_missing_is_said(log: EventLog, everybody: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match="no log to read"):
        EventFeatures(PLAIN).fit(everybody)
    with pytest.raises(BadInput, match="found the columns user_id; expected a data frame with the columns"):
        EventFeatures(PLAIN, log=log).fit(everybody[["user_id"]])
    with pytest.raises(BadInput, match="found ndarray; expected a data frame"):
        EventFeatures(PLAIN, log=log).fit(everybody.to_numpy())
    with pytest.raises(BadInput, match="has no time zone"):
        EventFeatures(PLAIN, log=log).fit(everybody.assign(cutoff=pd.Timestamp("2026-04-01")))
    with pytest.raises(BadInput, match="a cutoff is missing"):
        EventFeatures(PLAIN, log=log).fit(everybody.assign(cutoff=pd.NaT))
    with pytest.raises(BadInput, match="a user_id is missing"):
        EventFeatures(PLAIN, log=log).fit(everybody.assign(user_id=None))
    with pytest.raises(NotFittedError):
        EventFeatures(PLAIN, log=log).transform(everybody)


def test_no_rows_are_no_features(log: EventLog, everybody: pd.DataFrame) -> None:
    assert EventFeatures(MINE, log=log).fit(everybody).transform(everybody.head(0)).shape == (0, 3)
