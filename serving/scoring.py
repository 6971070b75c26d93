"""Tonight's batch: everybody in the population at a cutoff gets a score, a place among the others, and reasons."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import Damaged, NotReady
from features.fifths import DatedFifths
from features.plan import make_plan
from features.population import active_in
from features.snapshots import (
    Bucketed,
    Snapshots,
    fifths_of,
    in_population,
    map_buckets,
    of_events,
    relative_to,
    stack,
    wanted_by,
)
from features.user_events import UserEvents
from features.windows import Interval, iso
from models.bundle import Bundle
from models.reasons import Change, Language, Reason, changes, explain
from models.tiers import Tier, TierRule, percentiles
from serving.house_rules import NO_RULES, HouseRules
from serving.standing import Facts, Standing
from serving.store.records import Absence, RunFacts, Score
from serving.validity import valid_until

CHUNK_USERS = 20_000  # explaining takes a row of numbers a user and a feature; a chunk of them stays small
DEFAULT_TIERS = TierRule()
_DEFINING = ("kind", "activity", "look_back", "lead_time", "horizon")  # what every definition has
_BEGINNING = datetime.min.replace(tzinfo=UTC)
OnProgress = Callable[[str, int, int], None]  # what is being done, steps done, steps there are


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPopulation:
    """Everybody's scores at one cutoff, sorted by user, and who is known but was not in the population."""

    facts: RunFacts
    user_ids: NDArray[np.object_]
    churn_probability: NDArray[np.float64]  # 0 to 1, calibrated
    percentile: NDArray[np.float64]  # 0 to 100, 100 most at risk
    risk_tier: list[Tier]
    reasons: list[tuple[Reason, ...]]  # strongest first
    standings: list[Standing]
    changes: list[tuple[Change, ...]]  # since the run before, largest first; none where it was not compared
    outside: dict[str, Absence]  # who is known and has no score, and why

    def __len__(self) -> int:
        return len(self.user_ids)

    def scores(self) -> Iterator[Score]:
        """One record a user, as `ScoreStore.write_run` takes them."""
        columns = (self.user_ids.tolist(), self.churn_probability.tolist(), self.percentile.tolist(), self.risk_tier)
        rows = zip(*columns, self.reasons, self.changes, self.standings, strict=True)
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
        facts = self.facts
        shared = {
            "cutoff": iso(facts.cutoff),
            "horizon_start": iso(facts.horizon.start),
            "horizon_end": iso(facts.horizon.end),
            "model_version": facts.model_version,
            "definition_id": facts.definition_id,
        }
        own: dict[str, pa.Array[Any]] = {  # Any: columns of several types
            "user_id": pa.array(self.user_ids, pa.string()),
            "churn_probability": pa.array(self.churn_probability),
            "percentile": pa.array(self.percentile),
            "tier": pa.array(self.risk_tier, pa.string()),
            "reasons": pa.array(
                ["; ".join(r.said(facts.language) for r in reasons) for reasons in self.reasons], pa.string()
            ),
            "lifecycle_stage": pa.array([standing.lifecycle_stage for standing in self.standings], pa.string()),
            "segment": pa.array([standing.segment for standing in self.standings], pa.string()),
            "value_at_risk": pa.array([score.value_at_risk for score in self.scores()], pa.float64()),
            "contactable": pa.array([standing.contactable for standing in self.standings], pa.bool_()),
        }
        return pa.table({**own, **{name: pa.array([text] * len(self), pa.string()) for name, text in shared.items()}})


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
    if not len(people.snapshots):
        raise NotReady(
            f"nobody was {bundle.definition.population.says()} {iso(cutoff)}, so there is nobody to score; "
            "choose a cutoff inside the time of the events."
        )
    margins, probabilities, reasons = _judge(bundle, people.snapshots.matrix, progress=progress)
    return ScoredPopulation(
        facts=run_facts(bundle, cutoff=cutoff, model_version=model_version, fifths=people.fifths, language=language),
        user_ids=people.snapshots.users,
        churn_probability=probabilities,
        percentile=percentiles(margins),  # the margin has fewer ties than the probability, and the same order
        risk_tier=tiers.tiers(margins),
        reasons=reasons,
        standings=list(facts.standings(people.standing)),
        changes=_changes(log, bundle, people.snapshots, since=since, cutoff=cutoff, workers=workers, progress=progress),
        outside=people.outside,
    )


def run_facts(
    bundle: Bundle,
    *,
    cutoff: datetime,
    model_version: str,
    fifths: DatedFifths | None = None,
    language: Language = "en",
) -> RunFacts:
    """What all scores of a run at this cutoff share; `fifths` are those of its population."""
    return RunFacts(
        cutoff=cutoff,
        horizon=bundle.definition.horizon_of(cutoff),
        valid_until=valid_until(bundle.definition, cutoff=cutoff),
        model_version=model_version,
        definition_id=bundle.definition.id,
        model=model_facts(bundle),
        fifths=fifths,
        language=language,
    )


def model_facts(bundle: Bundle) -> dict[str, Any]:  # Any: JSON
    """What `GET /v1/model` tells, so that the service needs no model to tell it."""
    definition = bundle.definition.to_json()
    return {
        "trained_at": bundle.facts.get("trained_at"),
        "definition": {
            "id": bundle.definition.id,
            "sentence": bundle.definition.says(),
            **{name: definition[name] for name in _DEFINING},
        },
        "quality": _quality(bundle.facts.get("quality", {})),
        "verdict": bundle.facts.get("verdict"),
        "features": [
            {"name": feature.name, "family": feature.family, "sentence": feature.pattern}
            for feature in bundle.features.features
        ],
        "feature_fingerprint": bundle.features.fingerprint,
    }


def check_fingerprint(bundle: Bundle) -> None:
    """Raise `Damaged` when the bundle's features are not those that its model was trained with."""
    trained_with = bundle.facts.get("feature_fingerprint", bundle.features.fingerprint)
    if trained_with != bundle.features.fingerprint:
        raise Damaged(
            f"the model was trained with the features {trained_with}, its bundle holds {bundle.features.fingerprint}: "
            "they are not the same. Train again with `holdfast train`."
        )


def known_users(events: UserEvents, *, cutoff: datetime, as_known: bool) -> set[str]:
    """The users with an event before the cutoff; a profile alone is none."""
    ever = Interval(_BEGINNING, cutoff)
    before = active_in(events, ever, kinds=(), known_before=cutoff if as_known else None)
    return {events.user_ids[place] for place in np.flatnonzero(before)}


def _quality(found: dict[str, float]) -> list[dict[str, Any]]:  # Any: JSON
    """The metrics of a training with their intervals: `{"auc": …, "auc_low": …, "auc_high": …}` as records."""
    names = [name for name in found if not name.endswith(("_low", "_high"))]
    return [
        {"metric": name, "value": found[name], "low": found.get(f"{name}_low"), "high": found.get(f"{name}_high")}
        for name in names
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Who is to be scored, in the order of buckets, and who is not."""

    snapshots: Snapshots
    standing: NDArray[np.float64]  # a row of facts each
    fifths: DatedFifths | None
    outside: dict[str, Absence]


def _population(
    log: Bucketed, bundle: Bundle, facts: Facts, *, cutoff: datetime, workers: int, progress: OnProgress
) -> _People:
    """Everybody's features and facts, in one pass over the log."""
    plan, names, population = make_plan(bundle.features), bundle.features.names, bundle.definition.population
    as_known = bundle.as_known

    def of_bucket(events: UserEvents) -> tuple[Snapshots, NDArray[np.float64], dict[str, Absence]]:
        asked: dict[str, Any] = {"cutoffs": [cutoff], "population": population, "as_known": as_known}
        inside = of_events(events, plan, names, **asked)
        standing = of_events(events, facts.plan, facts.features.names, **asked).matrix
        others = sorted(known_users(events, cutoff=cutoff, as_known=as_known) - set(inside.users))
        outside = dict.fromkeys(others, Absence.OUTSIDE)
        why = facts.absences(standing)
        outside |= {user: absence for user, absence in zip(inside.users, why, strict=True) if absence is not None}
        kept = np.array([absence is None for absence in why], dtype=np.bool_)
        return inside.rows(kept), standing[kept], outside

    wanted = [wanted_by(each, as_known=as_known, population=population) for each in (plan, facts.plan)]
    pieces = map_buckets(
        log,
        of_bucket,
        wanted=replace(wanted[0], properties=tuple(sorted({*wanted[0].properties, *wanted[1].properties}))),
        workers=workers,
        on_progress=lambda done, of: progress("reading events", done, of),
    )
    raw = stack([snapshots for snapshots, _, _ in pieces], names=names)
    return _People(
        snapshots=in_population(raw, plan),
        standing=np.concatenate([standing for _, standing, _ in pieces]),
        fifths=fifths_of(raw, plan, cutoff=cutoff, fingerprint=bundle.features.fingerprint),
        outside={user: why for _, _, others in pieces for user, why in others.items()},
    )


def _changes(
    log: Bucketed,
    bundle: Bundle,
    now: Snapshots,
    *,
    since: RunFacts | None,
    cutoff: datetime,
    workers: int,
    progress: OnProgress,
) -> list[tuple[Change, ...]]:
    """What moved each score since the run before; nothing where there is none, or users stood in other fifths then."""
    plan = make_plan(bundle.features)
    found: list[tuple[Change, ...]] = [()] * len(now)
    if since is None or since.cutoff >= cutoff:
        return found
    known = since.fifths is not None and since.fifths.fingerprint == bundle.features.fingerprint
    if len(plan.program.relative) and not known:
        return found
    fifths = since.fifths.fifths if since.fifths is not None and known else None
    places = {user: place for place, user in enumerate(now.users.tolist())}
    population, as_known = bundle.definition.population, bundle.as_known

    def of_bucket(events: UserEvents) -> None:
        asked: dict[str, Any] = {"cutoffs": [since.cutoff], "population": population, "as_known": as_known}
        then = relative_to(of_events(events, plan, bundle.features.names, **asked), plan, fifths)
        both = np.array([user in places for user in then.users], dtype=np.bool_)
        rows = [places[user] for user in then.users[both]]
        for place, moved in zip(
            rows, changes(bundle.model, bundle.features, now.matrix[rows], then.matrix[both]), strict=True
        ):
            found[place] = moved

    map_buckets(
        log,
        of_bucket,
        wanted=wanted_by(plan, as_known=as_known, population=population),
        workers=workers,
        on_progress=lambda done, of: progress("comparing with the run before", done, of),
    )
    return found


def _judge(
    bundle: Bundle, matrix: NDArray[np.float64], *, progress: OnProgress
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[tuple[Reason, ...]]]:
    """Margins, calibrated probabilities and reasons, chunk by chunk."""
    margins, probabilities, reasons = np.empty(len(matrix)), np.empty(len(matrix)), list[tuple[Reason, ...]]()
    for start in range(0, len(matrix), CHUNK_USERS):
        rows = slice(start, start + CHUNK_USERS)
        margins[rows] = bundle.model.margin(matrix[rows])
        probabilities[rows] = bundle.model.blend_.probabilities(margins[rows])
        reasons.extend(explain(bundle.model, bundle.features, matrix[rows]))
        progress("scoring users", min(start + CHUNK_USERS, len(matrix)), len(matrix))
    return margins, probabilities, reasons


def _silent(_what: str, _done: int, _of: int) -> None:
    """Nobody asked for progress."""
