"""Do users and scores look like those that the model was trained on? Two populations, features from the same kernel.

*Before* is the newest population that the deployed model has learnt from, *now* the one at the end of the log; both are
computed anew, a sample of each. The measure is the population stability index with the noise of as many rows (see
`training.stability`); the point that noise alone exceeds is taken at 5 % over all features together (Bonferroni).
Beside it stands the two-sample Kolmogorov-Smirnov test with Holm's correction; users who are in both samples make it
cautious.

Tenure and lifetime counts grow as the log does, whoever the users are. Therefore all sides are shown as much history as
the one that has least: what lies further back is left out. Seasons move much too. So the move is compared with the one
over the same span *before* the training, where the log reaches back so far: only what moved clearly more is told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.expressions import OfCutoff
from features.kinds import is_reserved
from features.plan import make_plan
from features.pool import OnProgress
from features.snapshots import Bucketed, Snapshots, in_population, map_buckets, of_events, stack, wanted_by
from features.user_events import FloatArray, Property, UserEvents
from features.windows import days, iso, shift, to_microseconds, utc
from models.bundle import Bundle
from training.snapshots import SampledPopulation, expected_rows
from training.stability import SAMPLE, Shift, population_shift
from training.watch import Figures, Finding, Gravity

MOST_ROWS = 20_000  # a cutoff; noise of the index is then about 0.002
MOVED = 0.25  # the index at which credit scoring, where it comes from, rebuilds a model (Siddiqi 2006)
USUAL = 2.0  # times the move over the same span before
IMPORTANT = 0.05  # of what moves the scores: such a feature is a warning, any other an advice
SHORTEST = days(7)  # between before and now; less shows weekdays
FEWEST = 100  # rows a side
LOOK_BACKS = 2  # of history that the earliest side must have; with less most features would be cut short
SHOWN = 3
ERROR = 0.05  # chance that noise alone is told of, over all features together


@dataclass(frozen=True, slots=True)
class Move:
    """How far one quantity has moved, and whether that is more than noise and than what it moves anyway."""

    shift: Shift
    noise: float  # of the index, corrected for the number of quantities
    usual: float | None  # the index over the same span before; none where the history does not reach
    distance: float  # Kolmogorov-Smirnov
    chance: float  # of such a distance without any move, corrected by Holm
    weight: float  # share of what moves the scores; 1 for the scores themselves

    @property
    def told(self) -> bool:
        """Whether it is worth a word."""
        far = self.shift.index >= MOVED and self.shift.index > self.noise and self.chance < ERROR
        return far and (self.usual is None or self.shift.index > USUAL * self.usual)

    def to_json(self) -> Figures:
        """The move as plain JSON."""
        return {
            "psi": self.shift.index,
            "psi_noise": self.noise,
            "psi_before": self.usual,
            "ks": self.distance,
            "p": self.chance,
            "importance": self.weight,
            "rows": [self.shift.before, self.shift.after],
        }


@dataclass(frozen=True, slots=True)
class Drift:
    """Moves between two cutoffs; features by drift times importance, the most worrying first."""

    before: datetime
    now: datetime
    scores: Move
    features: tuple[Move, ...]


def drift(
    log: Bucketed,
    bundle: Bundle,
    *,
    start: datetime,
    now: datetime,
    seed: int,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Drift | None:
    """What moved since the newest population of the training; none where too little time has passed or too few are."""
    before = _newest_learnt(bundle)
    if before is None or now - before < SHORTEST:
        return None
    earlier = shift(before, -(now - before))
    reaches = earlier >= shift(start, LOOK_BACKS * bundle.definition.look_back)
    cutoffs = [earlier, before, now] if reaches else [before, now]
    seen = cutoffs[0] - start
    sides = [
        _sample(log, bundle, each, since=shift(each, -seen), seed=seed, workers=workers, on_progress=on_progress)
        for each in cutoffs
    ]
    if min(len(side) for side in sides[-2:]) < FEWEST:
        return None
    if reaches and len(sides[0]) < FEWEST:
        sides = sides[1:]
    return Drift(before, now, *_moves(bundle, sides))


def findings(found: Drift | None) -> Iterator[Finding]:
    """The scores' move and those of the features."""
    if found is None:
        yield Finding("no_drift_yet", Gravity.OK, "the model has learnt from nearly all there is; drift shows later")
        return
    yield _of_scores(found)
    yield _of_features(found)


def _of_scores(found: Drift) -> Finding:
    move, told = found.scores, found.scores.told
    return Finding(
        "score_drift",
        Gravity.WARNING if told else Gravity.OK,
        f"since {iso(found.before)[:10]} the scores' stability index is {move.shift.index:.3f} (noise up to "
        f"{move.noise:.3f}{_before(move)}; {move.shift.before:,} and {move.shift.after:,} users)",
        "who is scored is not who was learnt from; see the features" if told else "",
        move.to_json() | {"before": iso(found.before), "now": iso(found.now)},
        retrain=told,
    )


def _of_features(found: Drift) -> Finding:
    told = [move for move in found.features if move.told]
    important = [move for move in told if move.weight >= IMPORTANT]
    figures: Figures = {move.shift.name: move.to_json() for move in told or found.features[:SHOWN]}
    if not told:
        return Finding(
            "feature_drift", Gravity.OK, f"none of {len(found.features)} features moved by what matters", "", figures
        )
    named = ", ".join(f"{move.shift.name} ({move.shift.index:.2f}{_before(move)})" for move in told[:SHOWN])
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return Finding(
        "feature_drift",
        Gravity.WARNING if important else Gravity.ADVICE,
        f"{len(told)} of {len(found.features)} features moved, those that matter most first: {named}{more}",
        "see whether it is the users or the recording that changed",
        figures,
    )


def _before(move: Move) -> str:
    return "" if move.usual is None else f", {move.usual:.2f} over the same span before"


def _newest_learnt(bundle: Bundle) -> datetime | None:
    until = bundle.facts.get("learnt_until")
    return None if until is None else shift(utc(until), -(bundle.definition.lead_time + bundle.definition.horizon))


def _sample(
    log: Bucketed,
    bundle: Bundle,
    cutoff: datetime,
    *,
    since: datetime,
    seed: int,
    workers: int,
    on_progress: OnProgress | None,
) -> Snapshots:
    """Features of at most about `MOST_ROWS` of the population at the cutoff, of events from `since` on."""
    everybody, as_known, plan = bundle.definition.population, bundle.as_known, make_plan(bundle.features)
    rows = expected_rows(log, everybody, cutoffs=[cutoff], as_known=as_known)
    some = SampledPopulation(everybody, share=min(1.0, MOST_ROWS / max(1, rows)), seed=seed)
    pieces = map_buckets(
        log,
        lambda events: of_events(
            _from(events, since), plan, bundle.features.names, cutoffs=[cutoff], population=some, as_known=as_known
        ),
        wanted=wanted_by(plan, as_known=as_known, population=some),
        workers=workers,
        on_progress=on_progress,
    )
    return in_population(stack(pieces, names=bundle.features.names), plan)


def _from(events: UserEvents, since: datetime) -> UserEvents:
    """The events from this moment on, and whatever is ours, such as profiles, however old."""
    ours = np.array([is_reserved(kind) for kind in events.kind_names], dtype=np.bool_)[events.kinds]
    kept: NDArray[np.bool_] = ours | (events.times >= to_microseconds(since))
    owners = np.repeat(np.arange(len(events)), np.diff(events.offsets))[kept]
    return replace(
        events,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(events)))]).astype(np.int64),
        times=events.times[kept],
        kinds=events.kinds[kept],
        values=events.values[kept],
        received=None if events.received is None else events.received[kept],
        properties={name: Property(each.codes[kept], each.texts) for name, each in events.properties.items()},
    )


def _moves(bundle: Bundle, sides: Sequence[Snapshots]) -> tuple[Move, tuple[Move, ...]]:
    before, now = sides[-2:]
    weights = _importance(bundle, now.matrix)
    scores = [bundle.model.margin(side.matrix) for side in sides]
    watched = [place for place, feature in enumerate(bundle.features) if not isinstance(feature.expression, OfCutoff)]
    names = bundle.features.names
    chances = _holm([_distance(before.matrix[:, place], now.matrix[:, place]) for place in watched])
    found = [
        _move(
            names[place],
            [side.matrix[:, place] for side in sides],
            chance,
            weight=float(weights[place]),
            tests=len(watched),
        )
        for place, chance in zip(watched, chances, strict=True)
    ]
    ranked = sorted(found, key=lambda move: -move.shift.index * move.weight)
    of_scores = _move("scores", scores, _distance(scores[-2], scores[-1]), weight=1.0, tests=1)
    return of_scores, tuple(ranked)


def _move(name: str, sides: Sequence[FloatArray], distance: tuple[float, float], *, weight: float, tests: int) -> Move:
    from scipy.special import chdtri  # noqa: PLC0415 - costs a quarter of a second

    found = population_shift(name, sides[-2], sides[-1])
    usual = population_shift(name, sides[0], sides[1]).index if len(sides) > 2 else None  # noqa: PLR2004 - before, now and one more
    noise = float(chdtri(max(1, found.bins - 1), ERROR / tests)) * (1 / found.before + 1 / found.after)
    return Move(found, noise, usual, *distance, weight)


def _distance(before: FloatArray, now: FloatArray) -> tuple[float, float]:
    """The largest distance of the two distributions and its chance; missing values are beyond all others."""
    from scipy.stats import ks_2samp  # noqa: PLC0415 - costs half a second

    found = ks_2samp(np.nan_to_num(before, nan=np.inf), np.nan_to_num(now, nan=np.inf), method="asymp")
    return float(found.statistic), float(found.pvalue)


def _holm(found: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same with chances corrected for being so many (Holm 1979)."""
    chances = np.array([chance for _, chance in found])
    order = np.argsort(chances)
    corrected = np.empty(len(chances))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(chances[order] * np.arange(len(chances), 0, -1)))
    return [(distance, float(chance)) for (distance, _), chance in zip(found, corrected, strict=True)]


def _importance(bundle: Bundle, matrix: FloatArray) -> FloatArray:
    """The share of each feature in what moves the scores: mean absolute contributions of some rows."""
    sizes = np.abs(bundle.model.contributions(matrix[:: max(1, len(matrix) // SAMPLE)])[:, :-1]).mean(axis=0)
    return np.asarray(sizes / max(float(sizes.sum()), np.finfo(float).tiny))
