"""Champion against challenger on the same windows, each shown by a model that has not seen what is asked.

A window is a cutoff whose horizon is over. A deployed model has learnt from every outcome that was known when it was
trained, so it may be asked about cutoffs after the newest of those outcomes only:

- Where such windows exist for both, the deployed models themselves are compared.
- Elsewhere a model that has seen the windows is stood in for by its recipe: the same features and parameters, fitted
  and calibrated anew on time before the windows, as its own training did for its test. What is compared then is the
  recipe, and the deployed model is held against it: on rows that it has learnt from it cannot be the worse one, unless
  something is wrong with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import clone

from features.errors import BadInput
from features.language import events, feature_set
from features.user_events import NOTHING_MORE, FloatArray, IntArray, UserEvents, Wanted
from features.windows import cutoffs_back_from, days, iso, shift, utc
from models.bundle import Bundle
from models.definition import ChurnDefinition
from models.model import ChurnModel
from training.fit import Rehearsed, TrainSettings, calibrate, check_outcomes, taught
from training.level import SHORTEST, YEAR, Level, follow_at, read_year_ago
from training.snapshots import MAX_ROWS, History, TrainingSet, labelled
from training.splits import SHORT_HORIZON, Cutoffs, Split, before, plan

WINDOWS = 4  # newest cutoffs that are compared on: with one alone, chance decides more often
MAX_CUTOFFS = 60  # as in training, for bundles that do not say
TENURE = feature_set(tenure_of_segment=events().days_since_first())
SAMPLE_ROWS = 5_000  # of the newest window, to measure how fast a model is
BANDS = 3  # a segment is the low, middle or high third of the rows by a fact

OnProgress = Callable[[str, int, int], None]


class ContestLog(Protocol):
    """What a contest needs of an event log."""

    @property
    def version(self) -> int:
        """The table version that is read."""

    @property
    def buckets(self) -> int:
        """How many buckets there are."""

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        """The events of the users of one bucket."""

    def read_user(self, user_id: str, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        """The events of one user."""


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A registered version and what its bundle holds."""

    version: str
    bundle: Bundle

    @property
    def learnt_until(self) -> datetime | None:
        """The end of the newest outcome that the deployed model has learnt from; none: its bundle does not say."""
        said = self.bundle.facts.get("learnt_until")
        return None if said is None else utc(said)

    def may_be_asked(self, windows: Sequence[datetime]) -> bool:
        """Whether the deployed model has seen no outcome that reaches into these windows."""
        return self.learnt_until is not None and self.learnt_until <= min(windows)


@dataclass(frozen=True, slots=True, eq=False)
class Showing:
    """What a contender says of the rows of the windows."""

    as_deployed: bool  # else its recipe is, fitted on time before the windows
    probabilities: FloatArray
    margins: FloatArray
    deployed: FloatArray  # the deployed model's own probabilities, which flatter it where it has seen the rows; its
    # level is that of the windows' season then, not of the one for which it was deployed
    sample: FloatArray  # rows of features for the deployed model, to measure how fast it is


@dataclass(frozen=True, slots=True)
class Band:
    """A segment: the rows whose fact (tenure, activity, value) lies from `low` to `high`."""

    fact: str
    low: float
    high: float

    @property
    def name(self) -> str:
        """The segment in words."""
        return f"{self.fact} {self.low:,.4g} to {self.high:,.4g}"


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Both contenders on the same rows."""

    windows: Cutoffs
    closes: datetime  # the end of the newest window's horizon
    users: NDArray[np.object_]
    labels: FloatArray
    segments: dict[Band, NDArray[np.bool_]]
    champion: Showing
    challenger: Showing
    left_out: int  # rows that one of the two alone would score, as one reads what was known and the other what was

    @property
    def unseen(self) -> bool:
        """Whether both were asked as they are deployed."""
        return self.champion.as_deployed and self.challenger.as_deployed

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """What the comparison rests on."""
        return {
            "windows": [iso(window) for window in self.windows],
            "closed_at": iso(self.closes),
            "rows": len(self.labels),
            "users": len(np.unique(self.users.astype(str))),
            "churned_share": float(self.labels.mean()),
            "rows_left_out": self.left_out,
            "champion_shown": _shown(self.champion),
            "challenger_shown": _shown(self.challenger),
        }


def windows_of(
    definition: ChurnDefinition, history: History, *, contenders: Sequence[Contender], step: timedelta, most: int
) -> Cutoffs:
    """The newest closed cutoffs that no deployed contender has seen; where there are none, the newest closed ones.

    Raises `BadInput` when the history is too short to fit anything before them.
    """
    newest = shift(history.end, -(definition.lead_time + definition.horizon))
    learnt = [contender.learnt_until for contender in contenders]
    if None not in learnt:
        since = max([moment for moment in learnt if moment], default=history.start)
        earliest = max(since, shift(history.start, definition.look_back))
        if newest >= earliest:
            return tuple(cutoffs_back_from(newest, every=step, earliest=earliest))[-most:]
    return _tested(definition, history, step=step, most=most)


def hold_contest(
    log: ContestLog,
    champion: Contender,
    challenger: Contender,
    *,
    history: History,
    most_windows: int = WINDOWS,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Contest:
    """Both contenders, whose definition must be the same, on the newest windows that are honest to both.

    Raises `BadInput` when nobody is there to be compared on, or the history is too short.
    """
    definition = challenger.bundle.definition
    step = _step(challenger)
    windows = windows_of(definition, history, contenders=(champion, challenger), step=step, most=most_windows)
    contest = _Contest(log, history, windows, workers, on_progress or _tell_nobody)
    alike = _reads(champion) == _reads(challenger)
    first = contest.asked(champion, "champion", keep=alike)
    return _together(definition, windows, first, contest.asked(challenger, "challenger", same=first.kept))


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    rows: TrainingSet  # of the windows
    showing: Showing
    kept: "_Read | None"  # for the other contender, where it reads the same


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What was read of the log: the windows, and what comes before them where a recipe had to be fitted."""

    rows: TrainingSet
    only_windows: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Contest:
    """What both contenders are asked with."""

    log: ContestLog
    history: History
    windows: Cutoffs
    workers: int
    tell: OnProgress

    def asked(self, contender: Contender, name: str, *, keep: bool = False, same: _Read | None = None) -> _Answers:
        """A contender's answers; `same` is what the other one has read already, if that is the same."""
        fresh = contender.may_be_asked(self.windows)
        split = None if fresh else self._split(contender)
        enough = same is not None and (fresh or not same.only_windows)
        rows = same.rows if same is not None and enough else self._read(contender, split, name)
        bundle = contender.bundle
        tested = rows.at(self.windows)
        if not len(tested):
            raise BadInput(
                f"nobody was {bundle.definition.population.says()} {iso(max(self.windows))}, so there is nobody to "
                "compare on."
            )
        frame = tested.of(bundle.features.names).frame
        self.tell(f"asking the {name}", 0, 1)
        shown = bundle.model if split is None else refitted(bundle, rows, split)
        deployed = bundle.model.predict_proba(frame)[:, 1]
        if split is not None:
            by = self._follow_level(bundle, shown, rows, split) - _level_of(bundle).deployed_shift
            deployed = expit(logit(deployed) + by) if by else deployed
        showing = Showing(
            as_deployed=fresh,
            probabilities=shown.predict_proba(frame)[:, 1],
            margins=shown.margin(frame),
            deployed=deployed,
            sample=frame.to_numpy()[-SAMPLE_ROWS:],
        )
        self.tell(f"asking the {name}", 1, 1)
        return _Answers(tested, showing, _Read(rows, only_windows=fresh) if keep else None)

    def _split(self, contender: Contender) -> Split:
        said = contender.bundle.facts.get("settings", {})
        split = before(
            contender.bundle.definition,
            self.windows,
            start=self.history.start,
            step=_step(contender),
            max_cutoffs=int(said.get("max_cutoffs", MAX_CUTOFFS)),
        )
        if not split.rehearsal:
            raise BadInput(
                f"the recipe of version {contender.version} cannot be fitted before {iso(min(self.windows))}: the log "
                f"begins {iso(self.history.start)}. Wait for new outcomes, or ask for fewer windows ([gate] windows)."
            )
        return split

    def _read(self, contender: Contender, split: Split | None, name: str) -> TrainingSet:
        """The rows of the windows, and of all that the recipe is fitted on where it has to be."""
        bundle, said = contender.bundle, contender.bundle.facts.get("settings", {})
        definition = bundle.definition
        earlier = () if split is None else (*split.rehearsal, *split.fit)
        kept = self.windows if split is None else (*self.windows, *split.calibration)
        return labelled(
            self.log,
            bundle.features + TENURE,
            definition,
            sorted({*earlier, *self.windows}),
            log_end=definition.horizon_of(max(self.windows)).end,
            as_known=bundle.as_known,
            whole=kept,
            max_rows=int(said.get("max_rows", MAX_ROWS)),
            seed=int(said.get("seed", 0)),
            workers=self.workers,
            on_progress=lambda done, total: self.tell(f"reading history for the {name}", done, total),
        )

    def _follow_level(self, bundle: Bundle, model: ChurnModel, rows: TrainingSet, split: Split) -> float:
        """Move the level of a recipe's model with the season, where its training found that this serves; the shift."""
        level, first, said = _level_of(bundle), self.windows[0], bundle.facts.get("settings", {})
        a_year_ago = shift(first, -YEAR)
        if not level.part or a_year_ago < shift(self.history.start, SHORTEST):
            return 0.0
        settings = TrainSettings(
            max_rows=int(said.get("max_rows", MAX_ROWS)), seed=int(said.get("seed", 0)), workers=self.workers
        )
        past = read_year_ago(self.log, split, (a_year_ago,), log_end=first, as_known=bundle.as_known, settings=settings)
        here = replace(rows.at([first]).of(bundle.features.names), year_ago=past)
        return follow_at(level, model, here, split, cutoff=first)


def refitted(bundle: Bundle, rows: TrainingSet, split: Split) -> ChurnModel:
    """The bundle's recipe, fitted and calibrated on the time before a split's test, as its training did for its own."""
    names = bundle.features.names

    def fitted(cutoffs: Cutoffs) -> ChurnModel:
        chosen = rows.at(cutoffs).of(names)
        check_outcomes(chosen)
        return taught(clone(bundle.model), chosen)

    def rehearsed(earlier: Cutoffs, later: Cutoffs) -> Rehearsed:
        return Rehearsed.by(fitted(earlier), rows.at(later).of(names))

    steps = [(split.stopping, split.validation), (split.rehearsal, split.calibration)]
    rehearsals = [rehearsed(earlier, later) for earlier, later in steps if earlier and _has_both(rows.at(earlier))]
    model = fitted(split.fit)
    if not rehearsals:
        return model
    kind = bundle.facts.get("calibration", bundle.model.blend_.calibrator.kind)
    return calibrate(model, rehearsals, kind=str(kind))


def _level_of(bundle: Bundle) -> Level:
    """Which part of the season's shift the recipe takes, and what the deployed model was moved by."""
    said = bundle.facts.get("level", {})
    return Level(part=float(said.get("part", 0.0)), deployed_shift=float(said.get("deployed_shift", 0.0)))


def _has_both(rows: TrainingSet) -> bool:
    return len(rows) > 0 and bool(rows.labels.min() < rows.labels.max())


def _reads(contender: Contender) -> tuple[object, ...]:
    """What decides which rows are read, and with which features."""
    said = contender.bundle.facts.get("settings", {})
    names = ("max_cutoffs", "max_rows", "seed")
    fingerprint = contender.bundle.features.fingerprint
    return (fingerprint, contender.bundle.as_known, _step(contender), *(said.get(name) for name in names))


def _step(contender: Contender) -> timedelta:
    said = contender.bundle.facts.get("settings", {}).get("step_days")
    if said:
        return days(int(said))
    return days(2) if contender.bundle.definition.horizon <= SHORT_HORIZON else days(7)


def _tested(definition: ChurnDefinition, history: History, *, step: timedelta, most: int) -> Cutoffs:
    """So many newest closed cutoffs, or one where the history is too short for more."""
    try:
        return plan(definition, start=history.start, end=history.end, step=step, test_cutoffs=most).test
    except BadInput:
        return plan(definition, start=history.start, end=history.end, step=step, test_cutoffs=1).test


def _together(definition: ChurnDefinition, windows: Cutoffs, ours: _Answers, theirs: _Answers) -> Contest:
    """The rows that both have answered for."""
    first, second = _shared(ours.rows, theirs.rows)
    rows = theirs.rows
    tenure = rows.snapshots.matrix[:, rows.snapshots.names.index(TENURE.names[0])]
    facts = {"tenure (days)": tenure, "activity": rows.facts.frequency, "value": rows.facts.monetary}
    return Contest(
        windows=windows,
        closes=definition.horizon_of(max(windows)).end,
        users=rows.users[second],
        labels=rows.labels[second],
        segments={band: there for name, fact in facts.items() for band, there in bands(name, fact[second]).items()},
        champion=_only(ours.showing, first),
        challenger=_only(theirs.showing, second),
        left_out=len(ours.rows) + len(theirs.rows) - 2 * len(second),
    )


def _shared(ours: TrainingSet, theirs: TrainingSet) -> tuple[IntArray, IntArray]:
    """The places of the rows that both hold, in the same order."""
    keys = [
        np.array([f"{cutoff} {user}" for cutoff, user in zip(one.snapshots.cutoffs, one.users, strict=True)])
        for one in (ours, theirs)
    ]
    _, first, second = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    order = np.argsort(second)
    return first[order].astype(np.int64), second[order].astype(np.int64)


def _only(showing: Showing, rows: IntArray) -> Showing:
    return replace(
        showing,
        probabilities=showing.probabilities[rows],
        margins=showing.margins[rows],
        deployed=showing.deployed[rows],
    )


def bands(name: str, fact: FloatArray) -> dict[Band, NDArray[np.bool_]]:
    """The thirds of the rows by a fact; fewer where many are equal, and none where all are or it is not known.

    >>> [band.name for band in bands("activity", np.array([1.0, 1.0, 2.0, 3.0, 9.0, 9.0]))]
    ['activity 1 to 1', 'activity 2 to 3', 'activity 9 to 9']
    """
    known = ~np.isnan(fact)
    if not known.any() or fact[known].min() == fact[known].max():
        return {}
    edges = np.quantile(fact[known], np.arange(1, BANDS) / BANDS, method="lower")
    place = np.where(known, np.searchsorted(edges, fact, side="left"), -1)
    masks = [place == band for band in range(BANDS)]
    return {Band(name, float(fact[mask].min()), float(fact[mask].max())): mask for mask in masks if mask.any()}


def _shown(showing: Showing) -> str:
    return "as deployed" if showing.as_deployed else "its recipe, fitted on time before the windows"


def _tell_nobody(stage: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""
