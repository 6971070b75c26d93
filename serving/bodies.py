"""Stored scores as the JSON bodies of responses: bytes, ready to send, as `schemas` documents them."""

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Response

from features.windows import iso
from serving.schemas.scores import Language
from serving.store import Absence, AtRiskPage, Lookup, Run, StoredScore
from serving.store.records import Reason
from serving.validity import valid_until

if TYPE_CHECKING:
    from serving.champions import Served
    from serving.fresh import FreshCurve, FreshScore  # Numba: who only looks scores up does not wait for it

Body = dict[str, Any]  # Any: JSON
_PRIVATE = (b"cache-control", b"private, no-cache")  # a score is about a person: no shared cache keeps it


def json_response(body: Body, *, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """A response that skips the framework's second validation; the store holds only valid scores."""
    response = Response(orjson.dumps(body), status, headers, "application/json")
    response.raw_headers.append(_PRIVATE)
    return response


def score_body(score: StoredScore, language: Language | None = None) -> Body:
    """One score; `language` is en, zh, none, or None for the run's own."""
    before, previously = _before_fields(score.run), score.previous_churn_probability
    return {
        "user_id": score.user_id,
        "churn_probability": score.churn_probability,
        "percentile": score.percentile,
        "risk_tier": score.risk_tier,
        "reasons": [] if language == "none" else orjson.Fragment(score.reasons_in(language)),
        "previous": None if before is None or previously is None else _previous(before, previously, score),
        "changes": [] if language == "none" else orjson.Fragment(score.changes_in(language)),
        "value_at_risk": score.value_at_risk,
        "lifecycle_stage": score.lifecycle_stage,
        "segment": score.segment,
        "contactable": score.contactable,
        **_run_fields(score.run),
    }


def fresh_body(score: "FreshScore", language: str, shared: Body) -> Body:
    """A score that was computed just now; `shared` is what all scores of the request have in common."""
    standing, as_of = score.standing, score.fifths_as_of
    worth = None if standing is None else standing.worth
    return {
        "user_id": score.user_id,
        "churn_probability": score.churn_probability,
        "reasons": [] if language == "none" else [_reason(reason, language) for reason in score.reasons],
        "value_at_risk": None if worth is None else round(worth * score.churn_probability, 6),
        "lifecycle_stage": None if standing is None else standing.lifecycle_stage,
        "contactable": None if standing is None else standing.contactable,
        "population_as_of": None if as_of is None else iso(as_of),
        **shared,
    }


def computed_fields(served: "Served", cutoff: datetime) -> Body:
    """What all scores that are computed together have in common: one model, one cutoff."""
    definition = served.scorer.bundle.definition
    horizon = definition.horizon_of(cutoff)
    return {
        "cutoff": iso(cutoff),
        "horizon": {"start": iso(horizon.start), "end": iso(horizon.end)},
        "definition_id": definition.id,
        "model_version": served.version,
        "valid_until": iso(valid_until(definition, cutoff=cutoff)),
    }


def curve_body(curve: "FreshCurve", *, model_version: str) -> Body:
    """The risk of one user by day."""
    points = zip(curve.days, curve.churn_probability, strict=True)
    return {
        "user_id": curve.user_id,
        "cutoff": iso(curve.cutoff),
        "points": [{"days": days, "churn_probability": probability} for days, probability in points],
        "median_days": curve.median_days,
        "model_version": model_version,
    }


def lookup_body(found: Lookup, user_ids: list[str], language: Language | None = None) -> Body:
    """Scores in the order asked, and who is missing and why."""
    scores = [score_body(answer, language) for answer in found.answers if isinstance(answer, StoredScore)]
    missing = [
        {"user_id": user_id, "code": answer.value}
        for user_id, answer in zip(user_ids, found.answers, strict=True)
        if isinstance(answer, Absence)
    ]
    return {"run_id": found.run.run_id, "scores": scores, "missing": missing}


def at_risk_body(page: AtRiskPage, *, next_cursor: str | None, language: Language | None = None) -> Body:
    """A page of users at risk."""
    return {
        "run_id": page.run.run_id,
        "scores": [score_body(score, language) for score in page.scores],
        "next_cursor": next_cursor,
    }


def run_body(run: Run, *, current: bool) -> Body:
    """A run that is kept."""
    facts = run.facts
    return {
        "run_id": run.run_id,
        "current": current,
        "cutoff": iso(facts.cutoff),
        "scored_at": iso(run.scored_at),
        "valid_until": iso(facts.valid_until),
        "model_version": facts.model_version,
        "definition_id": facts.definition_id,
        "users": run.users,
        "users_outside": run.outside,
    }


def _previous(before: Body, previously: float, score: StoredScore) -> Body:
    return {"churn_probability": previously, "difference": score.churn_probability - previously, **before}


def _reason(reason: Reason, language: str) -> Body:
    return {
        "code": reason.code,
        "sentence": reason.wording.said(language),
        "contribution": round(reason.contribution, 6),
    }


@lru_cache(maxsize=64)  # as below
def _before_fields(run: Run) -> Body | None:
    before = run.before
    if before is None:
        return None
    return {"cutoff": iso(before.cutoff), "model_version": before.model_version, "run_id": before.run_id}


@lru_cache(maxsize=64)  # runs are compared by identity, and the store hands out the same object for a run
def _run_fields(run: Run) -> Body:
    facts = run.facts
    return {
        "cutoff": iso(facts.cutoff),
        "horizon": {"start": iso(facts.horizon.start), "end": iso(facts.horizon.end)},
        "definition_id": facts.definition_id,
        "model_version": facts.model_version,
        "run_id": run.run_id,
        "valid_until": iso(facts.valid_until),
    }
