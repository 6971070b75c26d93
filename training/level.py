"""The level of the probabilities where churn has seasons: what was the share of churners a year ago?

A model knows who is likelier to leave; how many leave moves with the season, and the newest outcome that it has seen
is a whole horizon old. Where the log reaches back more than a year there is a plain forecast of the level, the
seasonal naive one (Hyndman and Athanasopoulos 2021, section 5.2): the share of churners 52 weeks before, in the same
population. It becomes a shift of the log-odds, all of it or half of it (a forecast shrunk towards the model's own).

Whether it helps is not believed but rehearsed, on closed cutoffs only: at several earlier cutoffs, spread over at least
a horizon, a model that had learnt from what was closed then is judged with the shift and without. The shift is used
where the log loss was lower in at least two windows of three, and lower on average by more than a standard error of the
windows' gains; else the level stays as the model and its calibration have it.

Early in the log the population of a year ago could only have been seen for a while. Then the level is taken from those
who were active in as short a while, a year ago and now.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from scipy.special import expit, logit

from features.feature_set import FeatureSet
from features.language import events, feature_set
from features.snapshots import Bucketed
from features.user_events import FloatArray
from features.windows import days, iso, shift
from models.calibration import moved
from models.model import ChurnModel
from training.fit import Recipe, TrainSettings, fit_model
from training.metrics import log_losses
from training.snapshots import TrainingSet, labelled
from training.splits import Cutoffs, Split

YEAR = days(364)  # 52 weeks: weekdays stay what they are
SHORTEST = days(28)  # of log before a year-ago cutoff: a shorter while holds too few users, and of one kind
FEWEST_USERS = 200  # a year ago and now: a share of fewer is uncertain by more than .03
FEWEST_WINDOWS, MOST_WINDOWS = 4, 6
MOST_ROWS = 12_000  # of a rehearsed model: enough to tell users apart, and a few seconds each
PARTS = (1.0, 0.5)  # of the shift
MOST_WORSE = 1 / 3  # of the windows
FARTHEST = 3.0  # log-odds; farther is another population and no season


@dataclass(frozen=True, slots=True)
class Window:
    """One rehearsal: the shift that the year before asked for, and the log loss without and with parts of it."""

    cutoff: datetime
    rows: int
    shift: float
    without: float
    losses: tuple[float, ...]  # by part

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The window as plain JSON."""
        losses = {f"log_loss_part_{part:g}": loss for part, loss in zip(PARTS, self.losses, strict=True)}
        head = {"cutoff": iso(self.cutoff), "rows": self.rows, "shift": self.shift}
        return head | {"log_loss_without": self.without} | losses


@dataclass(frozen=True, slots=True)
class Level:
    """Which part of the year-ago shift is used, 0 for none, and the rehearsals that decided."""

    part: float = 0.0
    windows: tuple[Window, ...] = ()
    because: str = "the log does not reach back far enough to know the season"
    shift: float = 0.0  # of the tested model's log-odds, the part taken
    deployed_shift: float = 0.0  # the same of the deployed model's, at the end of what was learnt from

    def says(self) -> str:
        """The decision in a line."""
        if not self.part:
            return f"the level is the model's own: {self.because}"
        whose = f"{self.shift:+.2f} log-odds at the test, {self.deployed_shift:+.2f} for the deployed model"
        return f"the level follows that of a year ago ({whose}): {self.because}"

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The decision as plain JSON."""
        windows = [window.to_json() for window in self.windows]
        shifts = {"part": self.part, "shift": self.shift, "deployed_shift": self.deployed_shift}
        return shifts | {"because": self.because, "windows": windows}


def cutoffs_of_year_ago(split: Split, *, start: datetime | None = None) -> Cutoffs:
    """The cutoffs a year before those that are rehearsed and the first tested; none where too few can be rehearsed."""
    if split.definition.lead_time + split.definition.horizon > YEAR:
        return ()  # the outcome of a year ago would not be known
    rehearsed = _rehearsable(split, _known_from(split, start))
    return tuple(shift(cutoff, -YEAR) for cutoff in (*rehearsed, split.test[0]) if rehearsed)


def read_year_ago(
    log: Bucketed, split: Split, cutoffs: Cutoffs, *, log_end: datetime, as_known: bool, settings: TrainSettings
) -> TrainingSet | None:
    """Outcomes and recency of the populations at these cutoffs; none where there are none."""
    if not cutoffs:
        return None
    return labelled(
        log,
        feature_set(days_since_last_event=events().days_since_last().says("last seen {:.0f} days ago")),
        split.definition,
        cutoffs,
        log_end=log_end,
        as_known=as_known,
        max_rows=settings.max_rows,
        seed=settings.seed,
        workers=settings.workers,
    )


def choose_level(
    rows: TrainingSet,
    split: Split,
    recipe: Recipe,
    *,
    settings: TrainSettings,
    dates: tuple[str, ...] = (),
    start: datetime | None = None,
) -> Level:
    """Whether the season of a year ago would have served earlier cutoffs; `dates` as for `fit_model`."""
    if rows.year_ago is None:
        return Level()
    known_from = _known_from(split, start)
    found = []
    for cutoff in _rehearsable(split, known_from):
        window = _rehearse(rows, cutoff, split, recipe, known_from=known_from, settings=settings, dates=dates)
        found += [window] if window else []
    return _decided(tuple(found))


def follow_at(level: Level, model: ChurnModel, rows: TrainingSet, split: Split, *, cutoff: datetime) -> float:
    """Move the tested model's level to what a year before the cutoff asks for; the shift, 0 for none."""
    if not level.part or rows.year_ago is None:
        return 0.0
    past = rows.year_ago.at([shift(cutoff, -YEAR)])
    return _follow_to(level, model, rows.at([cutoff]), past, reach_days=_reach_of(cutoff, split))


def follow_deployed(
    log: Bucketed,
    level: Level,
    model: ChurnModel,
    split: Split,
    features: FeatureSet,
    *,
    as_known: bool,
    settings: TrainSettings,
) -> float:
    """The same for the model to deploy, whose next cutoff is when its newest outcome was known."""
    now = split.closes(split.test)
    before = (shift(now, -YEAR),)
    asked = before if level.part else ()
    past = read_year_ago(log, split, asked, log_end=now, as_known=as_known, settings=settings)
    if past is None:
        return 0.0
    newest = labelled(
        log,
        features,
        split.definition,
        (now,),
        log_end=now,
        as_known=as_known,
        max_rows=settings.max_rows,
        seed=settings.seed,
        workers=settings.workers,
    )
    return _follow_to(level, model, newest, past.at(before), reach_days=_reach_of(now, split))


def _known_from(split: Split, start: datetime | None) -> datetime:
    """From when on the log knows who was active; the oldest cutoff's look-back at the latest."""
    oldest = shift(min(split.all), -split.definition.look_back)
    return oldest if start is None else min(start, oldest)


def _rehearsable(split: Split, known_from: datetime) -> Cutoffs:
    """At most so many closed cutoffs, evenly spread, whose year before is known; none where they are too few."""
    earliest = shift(known_from, SHORTEST)
    span = split.definition.lead_time + split.definition.horizon
    there = [cutoff for cutoff in split.fit if shift(cutoff, -YEAR) >= earliest and _closed(split, cutoff)]
    if len(there) < FEWEST_WINDOWS or there[-1] - there[0] < span:
        return ()
    places = np.unique(np.linspace(0, len(there) - 1, MOST_WINDOWS).round().astype(int))
    return tuple(there[place] for place in places)


def _closed(split: Split, cutoff: datetime) -> Cutoffs:
    """The cutoffs whose outcomes were known then."""
    return tuple(earlier for earlier in split.fit if split.definition.horizon_of(earlier).end <= cutoff)


def _follow_to(level: Level, model: ChurnModel, rows: TrainingSet, past: TrainingSet, *, reach_days: float) -> float:
    """Move the calibrated model's level by the chosen part of what the year before asks for; the shift, 0 for none.

    `rows` are those at the cutoff that is predicted (their labels are not looked at), `past` those of a year before.
    """
    wanted = _wanted(logit(model.predict_proba(rows.frame)[:, 1]), rows, past, reach_days=reach_days)
    if not level.part or wanted is None:
        return 0.0
    taken = level.part * wanted
    model.blend_ = replace(model.blend_, calibrator=moved(model.blend_.calibrator, by=taken))
    return taken


def _reach_of(cutoff: datetime, split: Split, *, start: datetime | None = None) -> float:
    """For how many days before the cutoff of a year ago the log knows who was active, the look-back at most."""
    known = shift(cutoff, -YEAR) - _known_from(split, start)
    return min(known, split.definition.look_back) / days(1)


def _rehearse(
    rows: TrainingSet,
    cutoff: datetime,
    split: Split,
    recipe: Recipe,
    *,
    known_from: datetime,
    settings: TrainSettings,
    dates: tuple[str, ...],
) -> Window | None:
    """A model of the recipe at an earlier cutoff, with and without the shift; none where it cannot be learnt."""
    known, here = rows.at(_closed(split, cutoff)), rows.at([cutoff])
    if rows.year_ago is None or not len(known) or known.labels.min() == known.labels.max():
        return None
    every = -(-len(known) // MOST_ROWS)
    model = fit_model(known.where(np.arange(len(known)) % every == 0), recipe, settings=settings, dates=dates)
    margins = model.margin(here.frame)
    past = rows.year_ago.at([shift(cutoff, -YEAR)])
    wanted = _wanted(margins, here, past, reach_days=_reach_of(cutoff, split, start=known_from))
    if wanted is None:
        return None
    losses = tuple(_loss(here.labels, margins + part * wanted) for part in PARTS)
    return Window(cutoff, len(here), wanted, _loss(here.labels, margins), losses)


def _wanted(margins: FloatArray, rows: TrainingSet, past: TrainingSet, *, reach_days: float) -> float | None:
    """The shift at which as many churners are expected as a year before; none where users are too few to tell."""
    from scipy.optimize import brentq  # noqa: PLC0415 - costs a quarter of a second

    now = margins[rows.facts.recency_days <= reach_days]
    then = past.labels[past.facts.recency_days <= reach_days]
    if min(len(now), len(then)) < FEWEST_USERS:
        return None
    share = (then.sum() + 0.5) / (len(then) + 1)

    def surplus(by: float) -> float:
        return float(expit(now + by).mean() - share)

    if surplus(-FARTHEST) > 0 or surplus(FARTHEST) < 0:
        return None
    return float(brentq(surplus, -FARTHEST, FARTHEST))


def _decided(kept: tuple[Window, ...]) -> Level:
    if len(kept) < FEWEST_WINDOWS:
        return Level(windows=kept)
    means = [float(np.mean([window.losses[place] for window in kept])) for place in range(len(PARTS))]
    best = int(np.argmin(means))
    gains = np.array([window.without - window.losses[best] for window in kept])
    better = int((gains > 0).sum())
    told = (
        f"log loss {means[best]:.4f} with it and {np.mean([window.without for window in kept]):.4f} without, "
        f"lower in {better} of {len(kept)} earlier windows"
    )
    sure = gains.mean() > gains.std(ddof=1) / len(gains) ** 0.5
    if better < (1 - MOST_WORSE) * len(kept) or not sure:
        return Level(windows=kept, because=f"that of a year ago would not have served better ({told})")
    return Level(part=PARTS[best], windows=kept, because=told)


def _loss(labels: FloatArray, margins: FloatArray) -> float:
    return float(log_losses(labels, expit(margins)).mean())
