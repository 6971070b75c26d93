"""Tonight's batch: everybody in the population at a cutoff gets a score, a place among the others, and reasons.

The log is walked twice: who is there and where the fifths end must be known before anybody is scored. No more is held
of all users than what is told of them; their features are there a bucket at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import NotReady
from features.feature_set import FeatureSet
from features.fifths import DatedFifths, Fifths
from features.plan import Plan, make_plan
from features.pool import each
from features.population import active_in
from features.snapshots import (
    Bucketed,
    Snapshots,
    fifths_of,
    map_buckets,
    of_events,
    relative_to,
    stack,
    wanted_by,
)
from features.user_events import UserEvents, Wanted
from features.windows import Interval, iso
from models.bundle import Bundle
from models.movers import Movers
from models.reasons import (
    Change,
    Language,
    Reason,
    changes_in_words,
    each_changes,
    each_reasons,
    movers,
    movers_between,
    reasons_in_words,
)
from models.tiers import Tier, TierRule, percentiles
from serving.house_rules import NO_RULES, HouseRules
from serving.run_facts import check_fingerprint, run_facts
from serving.standing import Facts, Standing
from serving.store.records import Absence, RunFacts, Score

CHUNK_USERS = 8_000  # explaining takes some rows of numbers a user; those of a chunk stay small
DEFAULT_TIERS = TierRule()
_BEGINNING = datetime.min.replace(tzinfo=UTC)
OnProgress = Callable[[str, int, int], None]  # what is being done, steps done, steps there are


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPopulation:
    """Everybody's scores at one cutoff, in the order of the log, and who is known but was not in the population.

    A few hundred bytes a user: what is told in words is made when it is read.
    """

    facts: RunFacts
    features: FeatureSet
    user_ids: NDArray[np.object_]
    churn_probability: NDArray[np.float64]  # 0 to 1, calibrated
    percentile: NDArray[np.float64]  # 0 to 100, 100 most at risk
    risk_tier: list[Tier]
    speaks: Movers  # for leaving, or for staying
    moved: Movers  # since the run before; none where it was not compared
    standings: list[Standing]
    outside: dict[str, Absence]  # who is known and has no score, and why

    def __len__(self) -> int:
        return len(self.user_ids)

    @property
    def reasons(self) -> list[tuple[Reason, ...]]:
        """Everybody's, strongest first."""
        return reasons_in_words(self.features, self.speaks)

    @property
    def changes(self) -> list[tuple[Change, ...]]:
        """What moved each score since the run before, largest first."""
        return changes_in_words(self.features, self.moved)

    def scores(self) -> Iterator[Score]:
        """One record a user, as `ScoreStore.write_run` takes them, a few thousand in memory at a time."""
        for start in range(0, len(self), CHUNK_USERS):
            yield from self._scores(slice(start, start + CHUNK_USERS))

    def _scores(self, chosen: slice) -> Iterator[Score]:
        numbers = (self.user_ids[chosen], self.churn_probability[chosen], self.percentile[chosen])
        rows = zip(
            *(column.tolist() for column in numbers),
            self.risk_tier[chosen],
            each_reasons(self.features, self.speaks.rows(chosen)),
            each_changes(self.features, self.moved.rows(chosen)),
            self.standings[chosen],
            strict=True,
        )
        for user_id, probability, percentile, tier, reasons, moved, standing in rows:
            yield Score(
                user_id,
                probability,
                percentile,
                tier,
                reasons,
                moved,
                value_at_risk=None if standing.worth is None else probability * standing.worth,
                lifecycle_stage=standing.lifecycle_stage,
                segment=standing.segment,
                contactable=standing.contactable,
            )

    def to_table(self) -> pa.Table:
        """A row a user with the columns of `serving.lists.COLUMNS`; times are ISO 8601 text, reasons sentences."""
        starts = range(0, len(self), CHUNK_USERS)
        return pa.concat_tables([self._table(slice(start, start + CHUNK_USERS)) for start in starts])

    def _table(self, chosen: slice) -> pa.Table:
        facts, told = self.facts, list(self._scores(chosen))
        shared = {
            "cutoff": iso(facts.cutoff),
            "horizon_start": iso(facts.horizon.start),
            "horizon_end": iso(facts.horizon.end),
            "model_version": facts.model_version,
            "definition_id": facts.definition_id,
        }
        reasons = ["; ".join(one.wording.said(facts.language) for one in each.reasons) for each in told]
        own: dict[str, pa.Array[Any]] = {  # Any: columns of several types
            "user_id": pa.array(self.user_ids[chosen], pa.string()),
            "churn_probability": pa.array(self.churn_probability[chosen]),
            "percentile": pa.array(self.percentile[chosen]),
            "tier": pa.array(self.risk_tier[chosen], pa.string()),
            "reasons": pa.array(reasons, pa.string()),
            "lifecycle_stage": pa.array([score.lifecycle_stage for score in told], pa.string()),
            "segment": pa.array([score.segment for score in told], pa.string()),
            "value_at_risk": pa.array([score.value_at_risk for score in told], pa.float64()),
            "contactable": pa.array([score.contactable for score in told], pa.bool_()),
        }
        return pa.table({**own, **{name: pa.array([text] * len(told), pa.string()) for name, text in shared.items()}})


def score_population(  # noqa: PLR0913 - who, by what, compared with what, and what the company says about it
    log: Bucketed,
    bundle: Bundle,
    *,
    cutoff: datetime,
    model_version: str,
    tiers: TierRule = DEFAULT_TIERS,
    rules: HouseRules = NO_RULES,
    since: RunFacts | None = None,
    language: Language = "en",
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> ScoredPopulation:
    """Scores of everybody in the population at the cutoff, as far as was known then if the bundle says so.

    `since` are the facts of the run before, for what has moved each score since its cutoff: both times by this model,
    so that a new model is not taken for a change of the user. `language` is the one of reasons where nobody asks for
    another. Raises `NotReady` when nobody is to be scored, `Damaged` when the bundle's features are not those that it
    was trained with.
    """
    progress = on_progress or _silent
    check_fingerprint(bundle)
    facts = Facts(bundle.definition, rules)
    people = _population(log, bundle, facts, cutoff=cutoff, workers=workers, progress=progress)
    if not people.count:
        raise NotReady(
            f"nobody was {bundle.definition.population.says()} {iso(cutoff)}, so there is nobody to score; "
            "choose a cutoff inside the time of the events."
        )
    before = _Before.of(bundle, since, cutoff=cutoff)
    judged = _judge(log, bundle, people, before, cutoff=cutoff, workers=workers, progress=progress)
    margins = np.concatenate([each.margins for each in judged])
    return ScoredPopulation(
        facts=run_facts(bundle, cutoff=cutoff, model_version=model_version, fifths=people.fifths, language=language),
        features=bundle.features,
        user_ids=np.concatenate([each.users for each in judged]),
        churn_probability=bundle.blend.probabilities(margins),
        percentile=percentiles(margins),  # the margin has fewer ties than the probability, and the same order
        risk_tier=tiers.tiers(margins),
        speaks=Movers.joined([each.speaks for each in judged]),
        moved=Movers.joined([each.moved for each in judged]),
        standings=list(facts.standings(people.standing)),
        outside=people.outside,
    )


def known_users(events: UserEvents, *, cutoff: datetime, as_known: bool) -> set[str]:
    """The users with an event before the cutoff; a profile alone is none."""
    ever = Interval(_BEGINNING, cutoff)
    before = active_in(events, ever, kinds=(), known_before=cutoff if as_known else None)
    return {events.user_ids[place] for place in np.flatnonzero(before)}


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Who is to be scored, in the order of buckets, and who is not."""

    kept: list[NDArray[np.bool_]]  # of each bucket, who of its population is to be scored
    standing: NDArray[np.float64]  # a row of facts each
    fifths: DatedFifths | None
    outside: dict[str, Absence]

    @property
    def count(self) -> int:
        """How many are to be scored."""
        return len(self.standing)


def _population(
    log: Bucketed, bundle: Bundle, facts: Facts, *, cutoff: datetime, workers: int, progress: OnProgress
) -> _People:
    """Everybody's facts, and what their fifths are made of; the other features wait until they are scored."""
    placed = make_plan(bundle.features).program.relative.tolist()
    asked_for = FeatureSet((*(bundle.features.features[place] for place in placed), *facts.features.features))
    plan, population, as_known = make_plan(asked_for), bundle.definition.population, bundle.as_known

    def of_bucket(events: UserEvents) -> tuple[Snapshots, NDArray[np.bool_], dict[str, Absence]]:
        inside = of_events(events, plan, asked_for.names, cutoffs=[cutoff], population=population, as_known=as_known)
        others = sorted(known_users(events, cutoff=cutoff, as_known=as_known) - set(inside.users))
        outside = dict.fromkeys(others, Absence.OUTSIDE)
        why = facts.absences(inside.matrix[:, len(placed) :])
        outside |= {user: absence for user, absence in zip(inside.users, why, strict=True) if absence is not None}
        kept = np.array([absence is None for absence in why], dtype=np.bool_)
        return inside.rows(kept), kept, outside

    pieces = map_buckets(
        log,
        of_bucket,
        wanted=wanted_by(plan, as_known=as_known, population=population),
        workers=workers,
        on_progress=lambda done, of: progress("reading events", done, of),
    )
    raw = stack([snapshots for snapshots, _, _ in pieces], names=asked_for.names)
    return _People(
        kept=[kept for _, kept, _ in pieces],
        standing=raw.matrix[:, len(placed) :],
        fifths=fifths_of(raw, plan, cutoff=cutoff, fingerprint=bundle.features.fingerprint),
        outside={user: why for _, _, others in pieces for user, why in others.items()},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Before:
    """With what the scores are compared."""

    cutoff: datetime
    fifths: Fifths | None  # None: no feature asks for any

    @classmethod
    def of(cls, bundle: Bundle, since: RunFacts | None, *, cutoff: datetime) -> "_Before | None":
        """The run before; nothing where there is none, or users stood in fifths then that are not known."""
        if since is None or since.cutoff >= cutoff:
            return None
        known = since.fifths is not None and since.fifths.fingerprint == bundle.features.fingerprint
        if len(make_plan(bundle.features).program.relative) and not known:
            return None
        return cls(since.cutoff, since.fifths.fifths if since.fifths is not None and known else None)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What the model says of some users."""

    users: NDArray[np.object_]
    margins: NDArray[np.float64]
    speaks: Movers
    moved: Movers


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """How a model's features are read of a bucket."""

    bundle: Bundle
    plan: Plan

    @property
    def wanted(self) -> Wanted:
        """What must be read of events."""
        return wanted_by(self.plan, as_known=self.bundle.as_known, population=self.bundle.definition.population)

    def at(self, events: UserEvents, cutoff: datetime, fifths: Fifths | None) -> Snapshots:
        """The features of the population among these users."""
        raw = of_events(
            events,
            self.plan,
            self.bundle.features.names,
            cutoffs=[cutoff],
            population=self.bundle.definition.population,
            as_known=self.bundle.as_known,
        )
        return relative_to(raw, self.plan, fifths)


def _judge(
    log: Bucketed,
    bundle: Bundle,
    people: _People,
    before: _Before | None,
    *,
    cutoff: datetime,
    workers: int,
    progress: OnProgress,
) -> list[_Judged]:
    """What the model says of everybody, bucket by bucket: the features of a bucket are forgotten before the next."""
    reading = _Reading(bundle, make_plan(bundle.features))
    fifths = None if people.fifths is None else people.fifths.fifths
    wanted, scored = reading.wanted, list[int]()  # users of each bucket that is done

    def of_bucket(bucket: int) -> list[_Judged]:
        events = log.read_bucket(bucket, wanted)
        now = reading.at(events, cutoff, fifths).rows(people.kept[bucket])
        then = None if before is None else reading.at(events, before.cutoff, before.fifths)
        starts = range(0, len(now), CHUNK_USERS)
        found = [_judged(bundle, now.rows(np.arange(len(now))[start : start + CHUNK_USERS]), then) for start in starts]
        scored.append(len(now))
        return found

    def tell(_done: int, _of: int) -> None:
        progress("scoring users", sum(scored), people.count)

    return [part for parts in each(of_bucket, range(log.buckets), workers=workers, on_progress=tell) for part in parts]


def _judged(bundle: Bundle, now: Snapshots, then: Snapshots | None) -> _Judged:
    features = bundle.features
    judged = bundle.judge(now.matrix)
    speaks, moved = movers(features, now.matrix, judged.contributions), Movers.none(len(now))
    if then is not None:
        _, rows, earlier = np.intersect1d(now.users, then.users, return_indices=True)
        matrix = then.matrix[earlier]
        difference = judged.contributions[rows, :-1] - _contributions(bundle, matrix)
        found = movers_between(features, now.matrix[rows], matrix, moved=difference)
        moved = found.spread(rows, over=len(now))
    return _Judged(now.users, judged.margins, speaks, moved)


def _contributions(bundle: Bundle, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return bundle.judge(matrix).contributions[:, :-1] if len(matrix) else matrix  # nobody has none


def _silent(_what: str, _done: int, _of: int) -> None:
    """Nobody asked for progress."""
