"""Better settings, searched on earlier time and used only if they also do better where the search did not look.

The rows are those of the split's `stopping` and `validation`; calibration and test stay unseen. A fold is one cutoff
among those of `stopping` and, to learn from, all whose outcomes were known then. What a trial is worth is its log loss,
averaged over the folds, trees stopped by later time and blended with the regression as well as it can be. The search
then has a winner, and forty tries at a noisy figure always have one. So it is learnt from all of `stopping` and held
against the settings that were asked for on `validation`, by which nothing was chosen yet. It is used if its log loss
there is lower by more than a standard error of the paired difference, clustered by user.

Where `stopping` is too short for a fold of its own, the users of `validation` are drawn into two halves: the search
chooses by one, the other confirms. That half holds other users, but no other time, so it is the weaker proof.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.user_events import FloatArray
from training.fit import TrainSettings
from training.folds import Judge, folds_of
from training.search import UNLIMITED, Axis, Budget, Fold, Keeping, Parameters, search
from training.snapshots import TrainingSet
from training.splits import Split
from training.tuned import COMPLETE, Tuned, TunedTrial

MORE_TREES = 2  # times the trees that were asked for: slower learning needs them, and later time stops them
METHOD = 1  # of the search; raised when its trials come to mean something else
OF_BOOSTER = (
    Axis("leaves", 3, 63, whole=True),
    Axis("learning_rate", 0.015, 0.15),
    Axis("rows_per_leaf", 20, 2000, whole=True),
    Axis("column_share", 0.1, 1.0, log=False),
    Axis("row_share", 0.5, 1.0, log=False),
    Axis("l2", 0.1, 300.0),
)
OF_REGRESSION = (Axis("linear_l2", 10.0, 100_000.0),)
WHOLE = ("leaves", "rows_per_leaf", "trees")
NOT_OF_TRIALS = (  # settings that no trial depends on
    "tune_trials",
    "tune_seconds",
    "calibration",
    "replicates",
    "capacity",
    "contacts",
    "costs",
    "risk_curve",
    "drop_families",
    "workers",
    "threads",
)

OnProgress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True, slots=True)
class Identity:
    """What a search is about beside its rows and settings: another log, definition or feature set never resumes it."""

    log_version: int
    definition_id: str
    features: str  # their fingerprint
    as_known: bool


def tune(
    rows: TrainingSet,
    split: Split,
    identity: Identity,
    *,
    settings: TrainSettings,
    keeping: Keeping,
    dates: tuple[str, ...] = (),
    on_progress: OnProgress | None = None,
) -> Tuned:
    """The search that the settings ask for and what came of it; `keeping` says where its trials are kept.

    `rows` are those of the split; `dates` as for `fit_model`. The same rows, settings, seed and package versions give
    the same result where the budget is one of trials; how far seconds reach depends on the machine.
    """
    check_budget(settings, keeping)
    judges, confirming = folds_of(rows, split, seed=settings.seed, dates=dates)
    if confirming is None:
        return Tuned(because="the history has no two earlier windows to try settings on")
    axes = [axis.reaching(getattr(settings, axis.name)) for axis in _axes(settings)]
    asked = {axis.name: getattr(settings, axis.name) for axis in axes}
    study = fingerprint(identity, [*judges, confirming], settings=settings)

    def evaluate(number: int, place: Parameters) -> tuple[Parameters, Iterator[Fold]]:
        tried = _tried(place, settings) if number else asked | {"trees": settings.trees}
        return tried, _folds(judges, with_parameters(settings, tried))

    trials = search(
        evaluate,
        axes,
        first=asked,
        budget=Budget(settings.tune_trials or UNLIMITED, settings.tune_seconds or float("inf")),
        study=study,
        seed=settings.seed,
        keeping=keeping,
        on_trial=lambda made: _tell(on_progress, made, settings),
    )
    found = Tuned(trials, folds=tuple(judge.says for judge in judges), confirmed_on=confirming.says, study=study)
    return _confirmed(replace(found, seconds=sum(trial.seconds for trial in trials)), confirming, settings=settings)


def check_budget(settings: TrainSettings, keeping: Keeping) -> None:
    """Raises `BadInput` for a budget in seconds where nobody knows what time it is."""
    if settings.tune_seconds and keeping.clock is None:
        raise BadInput("tune_seconds needs a clock: give Keeping(clock=time.perf_counter), or a budget in tune_trials.")


def applied(tuned: Tuned | None, settings: TrainSettings) -> TrainSettings:
    """The settings with those of the search, where they were kept."""
    if tuned is None or not tuned.kept or tuned.best is None:
        return settings
    return with_parameters(settings, tuned.best.parameters)


def with_parameters(settings: TrainSettings, parameters: Parameters) -> TrainSettings:
    """The settings with a trial's parameters."""
    whole = {name: int(parameters[name]) for name in WHOLE if name in parameters}
    return replace(settings, **{**parameters, **whole})  # type: ignore[arg-type] # names and types of the settings


def fingerprint(identity: Identity, judges: Sequence[Judge], *, settings: TrainSettings) -> str:
    """The name of the study: any difference in the rows, the settings that matter or the packages is another one."""
    mattering = {name: value for name, value in asdict(settings).items() if name not in NOT_OF_TRIALS}
    facts = {
        "method": METHOD,
        "identity": asdict(identity),
        "settings": mattering,
        "rows": [judge.digest() for judge in judges],
        "packages": {name: version(name) for name in ("lightgbm", "optuna", "scikit-learn")},
    }
    text = json.dumps(facts, sort_keys=True, default=str)
    return f"tuning-{blake2b(text.encode(), digest_size=8).hexdigest()}"


def clustered_error(gains: FloatArray, users: NDArray[np.object_]) -> float:
    """The standard error of the mean gain, in which a user's rows count as one draw (Liang and Zeger 1986)."""
    _, owner = np.unique(users.astype(str), return_inverse=True)
    sums = np.bincount(owner, weights=gains - gains.mean())
    count = len(sums)
    return float(np.sqrt(count / max(1, count - 1) * (sums**2).sum()) / len(gains))


def _axes(settings: TrainSettings) -> tuple[Axis, ...]:
    """What is searched: the settings of whatever may be in the blend."""
    boosted = OF_BOOSTER if max(settings.blends) > 0 else ()
    return (*boosted, *(OF_REGRESSION if min(settings.blends) < 1 else ()))


def _tried(place: Parameters, settings: TrainSettings) -> Parameters:
    """The settings that a place on the axes means; the regression's penalty in steps of half an order of magnitude.

    A regression is fitted once for each step, and it does not feel finer ones.
    """
    tried = {**place, "trees": MORE_TREES * settings.trees}
    if "linear_l2" in place:
        steps = round(2 * np.log10(place["linear_l2"] / settings.linear_l2))
        tried["linear_l2"] = float(settings.linear_l2 * 10 ** (steps / 2))
    return tried


def _folds(judges: Sequence[Judge], settings: TrainSettings) -> Iterator[Fold]:
    """What the settings are worth after each fold more."""
    seen: list[dict[float, float]] = []
    trees = []
    for judge in judges:
        losses, grown = judge.losses(settings)
        seen.append({weight: float(_under(losses, weight).mean()) for weight in settings.blends})
        trees.append(grown)
        mean = {weight: float(np.mean([fold[weight] for fold in seen])) for weight in settings.blends}
        best = min(mean, key=lambda weight: mean[weight])
        yield Fold(mean[best], best, round(float(np.mean(trees))), last=judge is judges[-1])


def _confirmed(tuned: Tuned, confirming: Judge, *, settings: TrainSettings) -> Tuned:
    """The search with its winner tried on the rows that confirm."""
    complete = [trial for trial in tuned.trials if trial.state == COMPLETE]
    if not complete:
        return replace(tuned, because="the time was over before the first trial was done")
    best, asked = min(complete, key=lambda trial: trial.log_loss), complete[0]
    if best.number == 0:
        return replace(tuned, chosen=0, because="no other settings did better in the search")
    theirs, ours = _losses(confirming, asked, settings), _losses(confirming, best, settings)
    gains = theirs - ours
    error = clustered_error(gains, confirming.newer.users)
    kept = bool(gains.mean() > error)
    told = (
        f"log loss {ours.mean():.4f} with the best of them and {theirs.mean():.4f} as asked for, on {confirming.says}, "
        f"by which nothing was chosen (standard error of the difference: {error:.4f})"
    )
    return replace(
        tuned,
        chosen=best.number,
        kept=kept,
        because=told,
        asked_log_loss=float(theirs.mean()),
        chosen_log_loss=float(ours.mean()),
        standard_error=error,
    )


def _losses(confirming: Judge, trial: TunedTrial, settings: TrainSettings) -> FloatArray:
    """Each row's log loss with a trial's settings, in the blend that did best in the search."""
    losses, _ = confirming.losses(with_parameters(settings, trial.parameters))
    return _under(losses, trial.booster_weight)


def _under(losses: dict[float, FloatArray], weight: float) -> FloatArray:
    """The losses under a blend; where the regression diverged there is the booster alone."""
    return losses[weight] if weight in losses else losses[1.0]


def _tell(on_progress: OnProgress | None, made: Sequence[TunedTrial], settings: TrainSettings) -> None:
    if on_progress is None:
        return
    if settings.tune_trials:
        on_progress("tuning", min(len(made), settings.tune_trials), settings.tune_trials)
    else:
        spent = sum(trial.seconds for trial in made)
        on_progress("tuning", int(min(spent, settings.tune_seconds)), int(settings.tune_seconds))
