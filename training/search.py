"""The search itself: which settings to try next, when to give a trial up, and where the trials are kept.

Trials come from Optuna's tree-structured Parzen estimator (Bergstra and others 2011, several settings at once). Each
has a sampler of its own, seeded by the trial's place, so that a search that was interrupted and resumed makes the very
trials that it would have made in one go. Optuna costs a second to import, so it is imported inside functions.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from features.errors import BadInput, Damaged
from training.tuned import COMPLETE, PRUNED, TunedTrial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

RANDOM_TRIALS = 10  # before the estimator has something to estimate from; Optuna's own default
UNPRUNED_TRIALS = 5  # a median of fewer says little; Optuna's own default
UNLIMITED = 10_000  # trials, where only seconds are given

Clock = Callable[[], float]  # seconds that only go up
Parameters = dict[str, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that is searched: from `low` to `high`, evenly or (`log`) by orders of magnitude."""

    name: str
    low: float
    high: float
    log: bool = True
    whole: bool = False

    def reaching(self, value: float) -> "Axis":
        """The same axis, stretched so that it holds the value."""
        return Axis(self.name, min(self.low, value), max(self.high, value), self.log, self.whole)


@dataclass(frozen=True, slots=True)
class Fold:
    """What a trial came to after one more fold."""

    log_loss: float  # mean over the folds so far
    booster_weight: float
    trees: int
    last: bool  # of the trial: there is nothing left to give up


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where trials are kept, and what time it is; both are known at the doors only."""

    storage: str = ""  # SQLAlchemy address; none: in memory, so that nothing can be resumed
    clock: Clock | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """How long is searched: trials and seconds of all of them, earlier runs of the same study included."""

    trials: int = UNLIMITED
    seconds: float = float("inf")

    def allows(self, made: Sequence[TunedTrial]) -> bool:
        """Whether another trial may begin."""
        return len(made) < self.trials and sum(trial.seconds for trial in made) < self.seconds


Evaluate = Callable[[int, Parameters], tuple[Parameters, Iterator[Fold]]]
OnTrial = Callable[[Sequence[TunedTrial]], None]


def search(
    evaluate: Evaluate,
    axes: Sequence[Axis],
    *,
    first: Parameters,
    budget: Budget,
    study: str,
    seed: int,
    keeping: Keeping,
    on_trial: OnTrial,
) -> tuple[TunedTrial, ...]:
    """The trials of a study, made until the budget is spent; those that are kept already are not made again.

    `evaluate` gets a trial's number and its place on the axes, and gives the settings that this means and one `Fold`
    after the other. The first trial is at `first`. More trials than the budget has are not looked at, so that the same
    number of trials is the same search.
    """
    with _opened(study, keeping.storage) as found:
        made = _made(found)
        on_trial(made)
        while budget.allows(made):
            _trial(found, evaluate, axes, place=len(made), first=first, seed=seed, clock=keeping.clock or _no_clock)
            made = _made(found)
            on_trial(made)
    return tuple(made[: budget.trials])


def _trial(
    study: "optuna.Study",
    evaluate: Evaluate,
    axes: Sequence[Axis],
    *,
    place: int,
    first: Parameters,
    seed: int,
    clock: Clock,
) -> None:
    from optuna.trial import TrialState  # noqa: PLC0415 - see the module's docstring

    begun = clock()
    asked = _ask(study, axes, place=place, first=first, seed=seed)
    parameters, folds = evaluate(place, asked.params)
    by_fold: list[float] = []
    pruned = False
    for step, fold in enumerate(folds):
        by_fold.append(fold.log_loss)
        asked.report(fold.log_loss, step)
        pruned = not fold.last and asked.should_prune()
        record = TunedTrial(
            place,
            PRUNED if pruned else COMPLETE,
            parameters,
            log_loss=fold.log_loss,
            by_fold=tuple(by_fold),
            booster_weight=fold.booster_weight,
            trees=fold.trees,
            seconds=clock() - begun,
        )
        asked.set_user_attr("holdfast", asdict(record))
        if pruned:
            break
    study.tell(asked, None if pruned else by_fold[-1], state=TrialState.PRUNED if pruned else TrialState.COMPLETE)


def _ask(
    study: "optuna.Study", axes: Sequence[Axis], *, place: int, first: Parameters, seed: int
) -> "optuna.trial.Trial":
    import optuna  # noqa: PLC0415 - see the module's docstring

    study.sampler = optuna.samplers.TPESampler(
        seed=zlib.crc32(f"{seed} {place}".encode()),
        n_startup_trials=RANDOM_TRIALS,
        multivariate=True,
        constant_liar=False,  # a trial that an interruption left behind must not steer the others
    )
    waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
    if place == 0 and not waiting:
        study.enqueue_trial(dict(first))
    return study.ask({axis.name: _distribution(axis) for axis in axes})


def _distribution(axis: Axis) -> "BaseDistribution":
    from optuna.distributions import FloatDistribution, IntDistribution  # noqa: PLC0415 - see the module's docstring

    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _made(study: "optuna.Study") -> list[TunedTrial]:
    """The finished trials in the order in which they were made."""
    from optuna.trial import TrialState  # noqa: PLC0415 - see the module's docstring

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    records: list[Mapping[str, object]] = [trial.user_attrs["holdfast"] for trial in finished]
    return [TunedTrial(**{**record, "by_fold": tuple(record["by_fold"])}) for record in records]  # type: ignore[arg-type] # as `_trial` wrote it


@contextmanager
def _opened(study: str, storage: str) -> Iterator["optuna.Study"]:
    """The study, the trials of an earlier, interrupted run among its own; Optuna says nothing meanwhile."""
    import optuna  # noqa: PLC0415 - see the module's docstring

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept = _storage(storage)
    try:
        yield _resumed(study, kept)
    finally:
        optuna.logging.set_verbosity(verbosity)
        if isinstance(kept, optuna.storages.RDBStorage):
            kept.remove_session()
            kept.engine.dispose()


def _storage(address: str) -> "optuna.storages.BaseStorage":
    import optuna  # noqa: PLC0415 - see the module's docstring
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - for who keeps trials only

    if not address:
        return optuna.storages.InMemoryStorage()
    try:
        return optuna.storages.RDBStorage(address)
    except SQLAlchemyError as error:
        raise Damaged(
            f"{address}: the trials of earlier searches cannot be read ({type(error).__name__}). Remove it: it holds "
            "nothing else, and the next search begins anew."
        ) from error
    except RuntimeError as error:  # Optuna's word for tables of another version
        raise BadInput(
            f"{address}: written by another version of Optuna. Remove it: it holds nothing but the trials of earlier "
            "searches, and the next one begins anew."
        ) from error


def _resumed(name: str, storage: "optuna.storages.BaseStorage") -> "optuna.Study":
    import optuna  # noqa: PLC0415 - see the module's docstring

    pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS)
    study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True, pruner=pruner)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # an interruption left it behind
    return study


def _no_clock() -> float:
    return 0.0
