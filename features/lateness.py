"""Late data: how long after an event the log learnt of it, whether that can be believed, and what it does to features.

A feature that is computed as known at a cutoff reads only what had been received before it. That is what a score of
that day would have seen, as long as the times of receipt are true: after a backfill they say that nothing was known.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.feature_set import FeatureSet
from features.fifths import Fifths
from features.kinds import is_reserved
from features.log import EventLog
from features.plan import Plan, make_plan
from features.pool import OnProgress, each
from features.population import Population
from features.reading import read_rows
from features.snapshots import Bucketed, map_buckets, wanted_by
from features.tally import features_of
from features.user_events import FloatArray, IntArray, UserEvents
from features.windows import elapsed_days, to_microseconds

DELAYS = {  # class by class, shorter than so many days
    "under a minute": 1 / 1440,
    "under an hour": 1 / 24,
    "under a day": 1.0,
    "under a week": 7.0,
    "under 4 weeks": 28.0,
    "4 weeks or more": np.inf,
}
LONG, VERY_LONG = DELAYS["under a week"], DELAYS["under 4 weeks"]
SAYING, EARLY, BACKFILLED = 0.99, 0.01, 0.5  # shares: at least, at most, below
BULK_SHARE, BULK_EVENTS = 0.01, 100  # an hour in which so many old events came in was an import
_EDGES = np.logspace(-9, 5, 701)  # days, from a tenth of a millisecond: a quantile is right to 5 %


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the events of a log were received; delays are days, missing (NaN) where no event says when."""

    events: int
    saying: int  # events with a time of receipt
    early: int  # received before they happened: a clock was wrong
    delays: dict[str, int]  # events by class of delay, in the order of DELAYS
    days_50: float
    days_90: float
    days_99: float
    days_most: float
    bulk: int  # received more than a week late in an hour of many such: an import
    backfilled: int  # in bulk, or 4 weeks late or more

    @property
    def trustworthy(self) -> bool:
        """Whether the times of receipt say what was known when."""
        return not self._doubt

    @property
    def because(self) -> str:
        """Why they are to be trusted or not, in a sentence."""
        return self._doubt or (
            f"{self._share(self.saying)} of the events say when they were received, "
            f"{self._share(self.early)} before they happened and {self._share(self.backfilled)} in a backfill."
        )

    def says(self) -> list[str]:
        """The figures, a line each, and the judgement."""
        lines = [
            f"{self.events:,} events, {self._share(self.saying)} say when they were received",
            f"{self._share(self.early)} received before they happened",
            f"{self._share(self.bulk)} received in bulk, more than a week late",
            *(f"{name + ':':<17}{self._share(count):>7}" for name, count in self.delays.items()),
        ]
        if self.saying:
            lines.append(
                f"half within {_span(self.days_50)}, 90 % within {_span(self.days_90)}, "
                f"99 % within {_span(self.days_99)}, all within {_span(self.days_most)}"
            )
        verdict = "to be trusted" if self.trustworthy else "not to be trusted"
        return [*lines, f"the times of receipt are {verdict}: {self.because}"]

    @property
    def _doubt(self) -> str:
        if not self.events:
            return "there are no events."
        if self.saying < SAYING * self.events:
            return f"only {self._share(self.saying)} of the events say when they were received; expected {SAYING:.0%}."
        if self.early > EARLY * self.saying:
            return f"{self._share(self.early)} of the events were received before they happened; expected {EARLY:.0%}."
        if self.backfilled >= BACKFILLED * self.saying:
            return (
                f"{self._share(self.backfilled)} of the events were received in bulk or four weeks late or more: "
                "they were backfilled, and what was known at the time cannot be told."
            )
        return ""

    def _share(self, count: int) -> str:
        return f"{count / max(1, self.events):.1%}"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Whether features read only what had been received before their cutoff, and why."""

    as_known: bool
    because: str


EVENT_TIME = Knowledge(as_known=False, because="nothing else was asked for.")


@dataclass(frozen=True, slots=True)
class Moved:
    """How far late data move a feature at one cutoff."""

    name: str
    share: float  # of the rows, which have another value as known then
    deviations: float  # mean absolute difference in standard deviations; missing where the feature never varies


def lateness(log: EventLog, *, workers: int = 1, on_progress: OnProgress | None = None) -> Lateness:
    """How late the events of a log were received, read a bucket at a time; profiles do not count."""
    found = each(_counts_of, log.files, workers=workers, on_progress=on_progress)
    return _judged(reduce(_Counts.plus, found, _Counts.none()))


def default_as_known(found: Lateness) -> bool:
    """Whether features are to read only what was known at the cutoff: where the times of receipt can be trusted."""
    return found.trustworthy


def knowledge(
    log: EventLog, wanted: str = "auto", *, workers: int = 1, on_progress: OnProgress | None = None
) -> Knowledge:
    """What `wanted` asks for (`yes` or `no`), or what the log itself suggests (`auto`, which reads it once).

    Raises `BadInput` for another word.
    """
    if wanted == "auto":
        found = lateness(log, workers=workers, on_progress=on_progress)
        return Knowledge(default_as_known(found), found.because)
    if wanted not in {"yes", "no"}:
        raise BadInput(f"[features] as_known is {wanted!r}; expected auto, yes or no.")
    return Knowledge(wanted == "yes", f"the settings say {wanted}.")


def moved(
    log: Bucketed,
    features: FeatureSet,
    *,
    cutoff: datetime,
    population: Population,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> tuple[Moved, ...]:
    """How far each feature moves between event time and as known, the worst first.

    The rows are the population by event time; those of it whom nobody knew yet are among them. Read a bucket at a
    time: memory grows with the users only by the features that are relative to the population.
    """
    plan = make_plan(features)

    def of_bucket(events: UserEvents) -> tuple["_Movement", FloatArray, FloatArray]:
        happened, known = _both(events, plan, cutoff=cutoff, population=population)
        relative = plan.program.relative
        return _Movement.between(happened, known), happened[:, relative], known[:, relative]

    wanted = wanted_by(plan, as_known=True, population=population)
    pieces = map_buckets(log, of_bucket, wanted=wanted, workers=workers, on_progress=on_progress)
    total = reduce(_Movement.plus, (piece for piece, _, _ in pieces))
    happened, known = (np.concatenate([piece[place] for piece in pieces]) for place in (1, 2))
    total.put(plan.program.relative, _Movement.between(_in_fifths(happened), _in_fifths(known)))
    return total.moved(features.names)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one bucket adds to the figures."""

    events: int
    saying: int
    early: int
    by_class: IntArray
    by_delay: IntArray  # between _EDGES
    most: float
    long_by_hour: Counter[int]  # events received more than a week late, by the hour when they were
    very_long_by_hour: Counter[int]  # those of them that were four weeks late or more

    @classmethod
    def none(cls) -> "_Counts":
        nothing = np.zeros(len(_EDGES) - 1, dtype=np.int64)
        return cls(0, 0, 0, np.zeros(len(DELAYS), dtype=np.int64), nothing, -np.inf, Counter(), Counter())

    def plus(self, other: "_Counts") -> "_Counts":
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return _Counts(**{**sums, "most": max(self.most, other.most)})


def _counts_of(paths: Sequence[Path]) -> _Counts:
    """The figures of a bucket; an event that two files hold would count twice, which ingesting does not let happen."""
    rows = read_rows(paths, columns=["time", "event", "received_at"])
    kinds = rows["event"].combine_chunks().dictionary_encode()
    ours = np.array([is_reserved(kind) for kind in kinds.dictionary.to_pylist()], dtype=np.bool_)
    happened = ~ours[kinds.indices.to_numpy()] if len(rows) else np.zeros(0, dtype=np.bool_)
    saying = happened & rows["received_at"].is_valid().to_numpy()
    times, received = (rows[name].cast("int64").fill_null(0).to_numpy()[saying] for name in ("time", "received_at"))
    delays = elapsed_days(times, received)
    late = delays[delays >= 0]
    hours = np.floor(elapsed_days(np.zeros_like(received), received) * 24).astype(np.int64)
    return _Counts(
        events=int(happened.sum()),
        saying=len(delays),
        early=len(delays) - len(late),
        by_class=np.histogram(late, [0.0, *DELAYS.values()])[0],
        by_delay=np.histogram(np.clip(late, _EDGES[0], _EDGES[-1]), _EDGES)[0],
        most=float(delays.max(initial=-np.inf)),
        long_by_hour=_counted(hours[delays >= LONG]),
        very_long_by_hour=_counted(hours[delays >= VERY_LONG]),
    )


def _counted(hours: IntArray) -> Counter[int]:
    found, counts = np.unique(hours, return_counts=True)
    return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))


def _judged(counts: _Counts) -> Lateness:
    most = max(BULK_EVENTS, BULK_SHARE * counts.saying)
    imports = [hour for hour, count in counts.long_by_hour.items() if count >= most]
    bulk = sum(counts.long_by_hour[hour] for hour in imports)
    also_very_long = sum(counts.very_long_by_hour[hour] for hour in imports)
    return Lateness(
        events=counts.events,
        saying=counts.saying,
        early=counts.early,
        delays=dict(zip(DELAYS, counts.by_class.tolist(), strict=True)),
        days_50=_quantile(counts, 0.5),
        days_90=_quantile(counts, 0.9),
        days_99=_quantile(counts, 0.99),
        days_most=max(counts.most, 0.0) if counts.saying else np.nan,
        bulk=bulk,
        backfilled=bulk + counts.very_long_by_hour.total() - also_very_long,
    )


def _quantile(counts: _Counts, share: float) -> float:
    """The delay that this share of the events does not exceed, to 5 %; an early one counts as none."""
    if not counts.saying:
        return float("nan")
    below = counts.early + np.cumsum(counts.by_delay)
    place = int(np.searchsorted(below, share * counts.saying))
    if counts.early >= share * counts.saying or place == 0:
        return 0.0
    return float(min(_EDGES[place + 1], max(counts.most, 0.0)))


def _span(length: float) -> str:
    """A delay in the largest unit of which there is one.

    >>> _span(1.5), _span(0.05)
    ('1.5 days', '1.2 hours')
    """
    for unit, size in (("days", 1.0), ("hours", 1 / 24), ("minutes", 1 / 1440)):
        if length >= size:
            return f"{length / size:.3g} {unit}"
    return f"{length * 86_400:.3g} seconds"


def _both(events: UserEvents, plan: Plan, *, cutoff: datetime, population: Population) -> tuple[FloatArray, FloatArray]:
    """The features of the population, by event time and as known."""
    rows = np.flatnonzero(population.eligible(events, cutoff=cutoff))
    moments = np.full(len(rows), to_microseconds(cutoff), dtype=np.int64)
    happened = features_of(events, plan, rows=rows, cutoffs=moments)
    return happened, features_of(events, plan, rows=rows, cutoffs=moments, as_known=True)


def _in_fifths(values: FloatArray) -> FloatArray:
    return Fifths.among(values).of(values)


@dataclass(frozen=True, slots=True)
class _Movement:
    """Sums over rows, one a feature; those of squares are about the mean, so that they can be added without loss."""

    rows: int
    differing: IntArray
    both: IntArray  # rows with a value either way
    distance: FloatArray  # sum of absolute differences over them
    valued: FloatArray  # rows with a value by event time
    mean: FloatArray
    squares: FloatArray

    @classmethod
    def between(cls, happened: FloatArray, known: FloatArray) -> "_Movement":
        missing, apart = np.isnan(happened), np.abs(happened - known)
        valued = (~missing).sum(axis=0).astype(np.float64)
        mean = np.where(missing, 0.0, happened).sum(axis=0) / np.maximum(valued, 1)
        return cls(
            rows=len(happened),
            differing=((happened != known) & ~(missing & np.isnan(known))).sum(axis=0),
            both=(~np.isnan(apart)).sum(axis=0),
            distance=np.nansum(apart, axis=0),
            valued=valued,
            mean=mean,
            squares=np.where(missing, 0.0, (happened - mean) ** 2).sum(axis=0),
        )

    def plus(self, other: "_Movement") -> "_Movement":
        """Both together (Chan, Golub and LeVeque 1979)."""
        valued, step = self.valued + other.valued, other.mean - self.mean
        weight = other.valued / np.maximum(valued, 1)
        return _Movement(
            rows=self.rows + other.rows,
            differing=self.differing + other.differing,
            both=self.both + other.both,
            distance=self.distance + other.distance,
            valued=valued,
            mean=self.mean + step * weight,
            squares=self.squares + other.squares + step**2 * self.valued * weight,
        )

    def put(self, columns: NDArray[np.int64], other: "_Movement") -> None:
        """Write some features' sums over all rows."""
        for field in fields(self):
            if field.name != "rows":
                getattr(self, field.name)[columns] = getattr(other, field.name)

    def moved(self, names: Sequence[str]) -> tuple[Moved, ...]:
        """The figures, the worst first."""
        spread = np.sqrt(self.squares / np.maximum(self.valued, 1))
        distance = self.distance / np.maximum(self.both, 1)
        deviations = np.divide(distance, spread, out=np.full(len(names), np.nan), where=spread > 0)
        shares = self.differing / max(1, self.rows)
        found = [Moved(*row) for row in zip(names, shares.tolist(), deviations.tolist(), strict=True)]
        return tuple(sorted(found, key=_worst_first))


def _worst_first(one: Moved) -> tuple[float, float, str]:
    unmeasured = np.inf if one.share else 0.0  # what is always the same and moves has no scale to be measured on
    return -float(np.nan_to_num(one.deviations, nan=unmeasured)), -one.share, one.name
