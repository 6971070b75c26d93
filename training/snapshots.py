"""The training set: features, labels and the rules' facts of many cutoffs, each bucket of users read once."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature_set import FeatureSet
from features.fifths import DatedFifths
from features.growth import grows
from features.plan import make_plan
from features.pool import OnProgress
from features.population import Population
from features.snapshots import Bucketed, Snapshots, fifths_of, in_population, map_buckets, of_events, wanted_by
from features.user_events import FloatArray, IntArray, UserEvents, Wanted
from features.windows import to_microseconds
from models.definition import ChurnDefinition
from training.baselines import Rows, SimpleFacts, simple_facts
from training.labels import churned, halfway

MAX_ROWS = 300_000  # small trees gain nothing from more, and the matrix stays below half a gigabyte


class History(Protocol):
    """How far a log reaches."""

    @property
    def start(self) -> datetime:
        """The time of the first event."""

    @property
    def end(self) -> datetime:
        """The first whole second after the last event."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Snapshots with what then happened: rows sorted by cutoff; labels are NaN while not known."""

    snapshots: Snapshots
    labels: FloatArray
    facts: SimpleFacts
    categorical: tuple[str, ...] = ()  # the features whose numbers are codes
    growing: tuple[str, ...] = ()  # those that grow as the log does
    fifths: DatedFifths | None = None  # of the newest population; none when no feature is relative to it
    halfway: FloatArray | None = None  # the labels of half the horizon, where churn is silence
    year_ago: "TrainingSet | None" = None  # the populations a year before, where the log knows them: see `level`

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def users(self) -> NDArray[np.object_]:
        """The user of each row."""
        return self.snapshots.users

    @property
    def frame(self) -> pd.DataFrame:
        """The features as named columns, without an index: what `ChurnModel` learns from."""
        return pd.DataFrame(self.snapshots.matrix, columns=list(self.snapshots.names))

    def rows_without(self, names: Sequence[str] = ()) -> Rows:
        """What baselines look at: the features except these, and the facts of the rules."""
        kept = [place for place, name in enumerate(self.snapshots.names) if name not in names]
        coded = tuple(place for place, column in enumerate(kept) if self.snapshots.names[column] in self.categorical)
        return Rows(self.snapshots.matrix[:, kept], self.facts, coded)

    def of(self, names: Sequence[str]) -> "TrainingSet":
        """The same rows with these features only, in this order."""
        snapshots = self.snapshots
        places = [snapshots.names.index(name) for name in names]
        fewer = replace(snapshots, names=tuple(names), matrix=np.ascontiguousarray(snapshots.matrix[:, places]))
        categorical = tuple(name for name in self.categorical if name in names)
        growing = tuple(name for name in self.growing if name in names)
        return replace(self, snapshots=fewer, categorical=categorical, growing=growing)

    def at(self, cutoffs: Sequence[datetime]) -> "TrainingSet":
        """The rows of these cutoffs whose outcome is known."""
        moments = np.array([to_microseconds(cutoff) for cutoff in cutoffs], dtype=np.int64)
        return self.where(np.isin(self.snapshots.cutoffs, moments) & ~np.isnan(self.labels))

    def where(self, chosen: NDArray[np.bool_]) -> "TrainingSet":
        """The chosen rows, by mask."""
        rows, facts = self.snapshots.rows(chosen), self.facts.at(chosen)
        halfway = None if self.halfway is None else self.halfway[chosen]
        return replace(self, snapshots=rows, labels=self.labels[chosen], facts=facts, halfway=halfway)


@dataclass(frozen=True, slots=True)
class SampledPopulation:
    """A population of any kind of which each user is kept with the same chance, drawn anew for each cutoff by a hash.

    Outcomes play no part in the draw, so the share of churners and with it every probability stays as it is.
    """

    everybody: Population
    share: float = 1.0
    whole: frozenset[datetime] = frozenset()  # cutoffs at which everybody is kept
    seed: int = 0

    @property
    def wanted(self) -> Wanted:
        """What must be known of each event to tell who is in the population."""
        return self.everybody.wanted

    def eligible(self, events: UserEvents, *, cutoff: datetime, as_known: bool = False) -> NDArray[np.bool_]:
        """Which of the `n` users are in the population and drawn at this cutoff."""
        everybody = self.everybody.eligible(events, cutoff=cutoff, as_known=as_known)
        if self.share >= 1 or cutoff in self.whole:
            return everybody
        salt = zlib.crc32(f"{self.seed} {to_microseconds(cutoff)}".encode())
        draws = np.array([zlib.crc32(user.encode(), salt) for user in events.user_ids], dtype=np.float64)
        return everybody & (draws < self.share * 2**32)


def labelled(  # noqa: PLR0913 - where to read, what to compute, when, how much and how
    log: Bucketed,
    features: FeatureSet,
    definition: ChurnDefinition,
    cutoffs: Sequence[datetime],
    *,
    log_end: datetime,
    as_known: bool = False,
    whole: Sequence[datetime] = (),
    max_rows: int = MAX_ROWS,
    seed: int = 0,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> TrainingSet:
    """Features and labels of the population at each cutoff.

    About `max_rows` rows are drawn where there would be more; the cutoffs in `whole` (those that are tested and
    calibrated on) keep everybody. `as_known` shows features, population and rules only what had been received before
    each cutoff; labels are what really happened.
    """
    thinned = [cutoff for cutoff in cutoffs if cutoff not in set(whole)]
    expected = expected_rows(log, definition.population, cutoffs=thinned, as_known=as_known)
    share = min(1.0, max_rows / max(1, expected))
    population = SampledPopulation(definition.population, share=share, whole=frozenset(whole), seed=seed)
    plan, half = make_plan(features), halfway(definition)

    def of_bucket(events: UserEvents) -> TrainingSet:
        found = of_events(events, plan, features.names, cutoffs=cutoffs, population=population, as_known=as_known)
        users, moments = found.users, found.cutoffs
        labels = churned(events, definition, users=users, cutoffs=moments, log_end=log_end)
        facts = simple_facts(events, definition, users=users, cutoffs=moments, as_known=as_known)
        sooner = None if half is None else churned(events, half, users=users, cutoffs=moments, log_end=log_end)
        return TrainingSet(found, labels, facts, halfway=sooner)

    wanted = wanted_by(plan, as_known=as_known, population=population)
    pieces = map_buckets(log, of_bucket, wanted=wanted, workers=workers, on_progress=on_progress)
    rows = _stacked(pieces)
    categorical = tuple(feature.name for feature in features if feature.categories)
    growing = tuple(feature.name for feature in features if grows(feature.expression))
    fifths = fifths_of(rows.snapshots, plan, cutoff=max(whole or cutoffs), fingerprint=features.fingerprint)
    everything = in_population(rows.snapshots, plan)
    return replace(rows, snapshots=everything, categorical=categorical, growing=growing, fifths=fifths)


def expected_rows(log: Bucketed, population: Population, *, cutoffs: Sequence[datetime], as_known: bool = False) -> int:
    """About how many rows the population has at these cutoffs, judged from one bucket of users."""
    events = log.read_bucket(0, replace(population.wanted, received=as_known))
    eligible = (population.eligible(events, cutoff=cutoff, as_known=as_known) for cutoff in cutoffs)
    return log.buckets * sum(int(each.sum()) for each in eligible)


def _stacked(pieces: list[TrainingSet]) -> TrainingSet:
    """The buckets' rows as one set, sorted by cutoff; the pieces are used up, so that the matrix is held but twice."""
    names = pieces[0].snapshots.names
    users: NDArray[np.object_] = np.concatenate([piece.users for piece in pieces])
    cutoffs: IntArray = np.concatenate([piece.snapshots.cutoffs for piece in pieces])
    order = np.argsort(cutoffs, kind="stable")
    labels = np.concatenate([piece.labels for piece in pieces])[order]
    halves = [piece.halfway for piece in pieces if piece.halfway is not None]
    facts = SimpleFacts(
        *(
            np.concatenate([getattr(piece.facts, name) for piece in pieces])[order]
            for name in ("recency_days", "frequency", "monetary")
        )
    )
    places, matrix = np.argsort(order), np.empty((len(users), len(names)))
    while pieces:
        piece = pieces.pop()
        start = len(places) - len(piece)
        matrix[places[start:]], places = piece.snapshots.matrix, places[:start]
    snapshots = Snapshots(users[order], cutoffs[order], names, matrix)
    return TrainingSet(snapshots, labels, facts, halfway=np.concatenate(halves)[order] if halves else None)
