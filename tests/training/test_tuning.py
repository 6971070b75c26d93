from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from features.errors import BadInput, Damaged
from features.language import FeatureSet
from features.log import EventLog
from features.snapshots import Snapshots
from features.windows import days, shift, to_microseconds, utc
from models.definition import ChurnDefinition
from training.baselines import SimpleFacts
from training.fit import TrainSettings
from training.folds import Judge, folds_of
from training.run import Training, train
from training.search import Keeping
from training.snapshots import TrainingSet
from training.splits import Split
from training.tuned import COMPLETE, PRUNED, Tuned
from training.tuning import Identity, applied, clustered_error, fingerprint, tune

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
STUMPS = TrainSettings(trees=30, leaves=2, learning_rate=0.15, boosters=1, blends=(1.0,), rows_per_leaf=20)
ABOUT = Identity(3, "churn-1", "features-1", as_known=False)
OLDEST = utc("2026-03-02")


def _at(place: int) -> datetime:
    return shift(OLDEST, days(14 * place))


def _rows(*, reversed_last: bool = False, windows: int = 3, users: int = 700) -> TrainingSet:
    """Whether two features agree decides who leaves, which no stump can see; in the last window maybe the reverse."""
    draws = np.random.default_rng(1)
    matrix = draws.uniform(-1, 1, size=(windows * users, 3))
    window = np.repeat(np.arange(windows), users)
    agree = matrix[:, 0] * matrix[:, 1] > 0
    agree ^= reversed_last & (window == windows - 1)
    labels = (draws.random(len(matrix)) < np.where(agree, 0.9, 0.1)).astype(float)
    moments = np.array([to_microseconds(_at(place)) for place in window.tolist()])
    ids = np.array([f"user-{place}" for place in np.tile(np.arange(users), windows)], dtype=object)
    nothing = np.zeros(len(labels))
    snapshots = Snapshots(ids, moments, ("one", "other", "noise"), matrix)
    return TrainingSet(snapshots, labels, SimpleFacts(nothing, nothing, nothing))


def _split(windows: int = 3) -> Split:
    """All windows but the last to learn from, the last to confirm; calibration and test come later."""
    older, last = tuple(_at(place) for place in range(windows - 1)), (_at(windows - 1),)
    later = (_at(windows),), (_at(windows + 1),)
    return Split(FORTNIGHT, older, last, (*older, *last), later[0], (*older, *last, *later[0]), later[1], later[1])


def _tuned(rows: TrainingSet, *, trials: int = 6, split: Split | None = None, **given: object) -> Tuned:
    settings = replace(STUMPS, tune_trials=trials)
    keeping = given.pop("keeping", Keeping())
    return tune(rows, split or _split(), ABOUT, settings=settings, keeping=keeping, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def better() -> Tuned:
    return _tuned(_rows())


def test_settings_that_are_better_later_too_are_used(better: Tuned) -> None:
    assert better.kept
    assert better.best is not None
    assert better.best.parameters["leaves"] > 2
    assert applied(better, STUMPS).leaves == better.best.parameters["leaves"]
    assert better.asked_log_loss is not None
    assert better.chosen_log_loss is not None
    assert better.asked_log_loss - better.chosen_log_loss > (better.standard_error or 0)


def test_settings_that_only_suited_the_search_are_not_used() -> None:
    found = _tuned(_rows(reversed_last=True))
    assert found.chosen != 0
    assert not found.kept
    assert applied(found, STUMPS) == STUMPS
    assert found.says().startswith("settings stay as they were after 6 trials")


def test_the_first_trial_is_the_settings_as_they_were_asked_for(better: Tuned) -> None:
    first = better.trials[0]
    assert {name: getattr(STUMPS, name) for name in first.parameters} == first.parameters
    assert [trial.number for trial in better.trials] == [0, 1, 2, 3, 4, 5]


def test_what_happened_later_changes_nothing() -> None:
    rows = _rows(windows=5)
    later = rows.snapshots.cutoffs >= to_microseconds(_at(3))
    labels = np.where(later, 1 - rows.labels, rows.labels)
    assert _tuned(replace(rows, labels=labels)) == _tuned(rows)


def test_an_interrupted_search_goes_on_with_the_very_trials_it_would_have_made(better: Tuned, tmp_path: Path) -> None:
    kept = Keeping(f"sqlite:///{tmp_path / 'tuning.db'}")

    def stop(_: str, done: int, __: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _tuned(_rows(), keeping=kept, on_progress=stop)
    told: list[tuple[str, int, int]] = []
    again = _tuned(_rows(), keeping=kept, on_progress=lambda *stage: told.append(stage))
    assert again == better
    assert told == [("tuning", done, 6) for done in (3, 4, 5, 6)]


def test_a_trial_that_was_interrupted_is_made_again(
    better: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Keeping(f"sqlite:///{tmp_path / 'tuning.db'}")
    with monkeypatch.context() as patched:
        patched.setattr("training.folds.Judge.losses", _interrupted_in(calls=2))
        with pytest.raises(KeyboardInterrupt):
            _tuned(_rows(), keeping=kept)
    assert _tuned(_rows(), keeping=kept) == better


def test_a_search_of_fewer_trials_is_the_same_search_cut_short(better: Tuned, tmp_path: Path) -> None:
    kept = Keeping(f"sqlite:///{tmp_path / 'tuning.db'}")
    assert _tuned(_rows(), keeping=kept) == better
    assert _tuned(_rows(), keeping=kept, trials=3).trials == better.trials[:3]


def test_another_log_version_definition_row_or_setting_is_another_study_and_more_threads_are_not() -> None:
    def study(rows: TrainingSet, about: Identity = ABOUT, settings: TrainSettings = STUMPS) -> str:
        judges, confirming = folds_of(rows, _split(), seed=0)
        assert confirming is not None
        return fingerprint(about, [*judges, confirming], settings=settings)

    rows = _rows()
    changed = rows.labels.copy()
    changed[5] = 1 - changed[5]
    others = [
        study(replace(rows, labels=changed)),
        study(rows, replace(ABOUT, log_version=4)),
        study(rows, replace(ABOUT, definition_id="churn-2")),
        study(rows, replace(ABOUT, features="features-2")),
        study(rows, replace(ABOUT, as_known=True)),
        study(rows, settings=replace(STUMPS, seed=1)),
        study(rows, settings=replace(STUMPS, risk_rises_with=("one",))),
    ]
    assert len({study(rows), *others}) == 8
    assert study(rows, settings=replace(STUMPS, threads=4, workers=2, tune_trials=9)) == study(rows)


def test_where_there_is_no_earlier_fold_one_half_of_the_users_chooses_and_the_other_confirms() -> None:
    found = _tuned(_rows(windows=2), split=_split(windows=2))
    assert found.kept
    assert found.folds[0].startswith("one half of the users at 2026-03-16")
    assert found.confirmed_on.startswith("the other half of the users")


def test_a_hopeless_trial_is_given_up_after_the_first_folds() -> None:
    found = _tuned(_rows(windows=5, users=300), split=_split(windows=5), trials=14)
    pruned = [trial for trial in found.trials if trial.state == PRUNED]
    assert len(found.folds) == 3
    assert pruned
    assert {len(trial.by_fold) for trial in pruned} <= {1, 2}
    assert {len(trial.by_fold) for trial in found.trials if trial.state == COMPLETE} == {3}


def test_without_two_windows_to_try_settings_on_nothing_is_searched() -> None:
    short = replace(_split(), stopping=(), validation=())
    assert _tuned(_rows(), split=short) == Tuned(because="the history has no two earlier windows to try settings on")


def _ticking(seconds: float) -> Iterator[float]:
    return (seconds * tick for tick in count())


def test_a_budget_in_seconds_counts_all_trials_those_of_an_earlier_run_too(tmp_path: Path) -> None:
    settings = replace(STUMPS, tune_seconds=50)
    kept = Keeping(f"sqlite:///{tmp_path / 'tuning.db'}", clock=_ticking(10).__next__)
    made = [tune(_rows(), _split(), ABOUT, settings=settings, keeping=kept) for _ in range(2)]
    assert [len(found.trials) for found in made] == [5, 5]
    assert made[0].seconds == 50


def test_seconds_without_a_clock_are_refused() -> None:
    with pytest.raises(BadInput, match="needs a clock"):
        tune(_rows(), _split(), ABOUT, settings=replace(STUMPS, tune_seconds=5), keeping=Keeping())


def test_trials_that_cannot_be_read_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tuning.db").write_bytes(b"no data base" * 400)
    with pytest.raises(Damaged, match="Remove it"):
        _tuned(_rows(), keeping=Keeping(f"sqlite:///{tmp_path / 'tuning.db'}"))


def test_a_user_with_the_same_row_twice_counts_once() -> None:
    draws = np.random.default_rng(2)
    gains, users = draws.normal(size=400), np.array([f"user-{place}" for place in range(400)], dtype=object)
    once = clustered_error(gains, users)
    assert once == pytest.approx(gains.std(ddof=1) / 20)
    assert clustered_error(np.tile(gains, 2), np.tile(users, 2)) == pytest.approx(once)


QUICK = TrainSettings(trees=20, boosters=1, blends=(1.0,), step_days=7, max_cutoffs=8, replicates=20, tune_trials=3)


@pytest.fixture(scope="module")
def learn(shop: EventLog, few_features: FeatureSet) -> Callable[[TrainSettings], Training]:
    return lambda settings: train(
        shop, FORTNIGHT, few_features, now=utc("2026-09-01"), code_version="0.1.0", settings=settings
    )


def test_training_twice_with_a_search_gives_the_same_bytes(learn: Callable[[TrainSettings], Training]) -> None:
    one, other = learn(QUICK), learn(replace(QUICK, threads=2))
    assert one.tuned == other.tuned
    assert one.model.blend_.booster_texts == other.model.blend_.booster_texts
    assert one.facts["tuning"] == other.facts["tuning"]
    assert len(one.facts["tuning"]["trials"]) == 3


def test_a_training_uses_the_settings_of_the_search_only_if_they_were_kept(
    learn: Callable[[TrainSettings], Training],
) -> None:
    found = learn(QUICK)
    assert found.tuned is not None
    assert found.settings == applied(found.tuned, QUICK)
    assert found.model.num_leaves == found.settings.leaves
    assert learn(replace(QUICK, tune_trials=0)).tuned is None


def test_with_few_users_nothing_is_searched_and_it_is_said(
    tmp_path: Path,
    few_features: FeatureSet,
    visits: Callable[..., list[tuple[str, float]]],
    write_log: Callable[..., EventLog],
) -> None:
    few = write_log(tmp_path / "events", visits(users=120, length=210, seed=2))
    found = train(few, FORTNIGHT, few_features, now=utc("2026-09-01"), code_version="0.1.0", settings=QUICK)
    assert found.tuned is not None
    assert found.tuned.trials == ()
    assert found.tuned.says().startswith("settings were not tuned: with only")


def _interrupted_in(*, calls: int) -> Callable[..., object]:
    real, made = Judge.losses, count(1)

    def losses(judge: Judge, settings: TrainSettings) -> object:
        if next(made) > calls:
            raise KeyboardInterrupt
        return real(judge, settings)

    return losses


def test_a_search_judges_boosters_that_learn_what_had_come_halfway() -> None:
    rows = _rows()
    third = np.random.default_rng(4).random(len(rows)) < 1 / 3
    folds = [
        folds_of(each, _split(), seed=0)[1] for each in (rows, replace(rows, halfway=np.maximum(rows.labels, third)))
    ]
    without, with_it = (fold for fold in folds if fold is not None)
    two = replace(STUMPS, boosters=2)
    assert (with_it.losses(two)[0][1.0] != without.losses(two)[0][1.0]).any()
    assert with_it.digest() != without.digest()
