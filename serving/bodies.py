"""Stored scores as the JSON bodies of responses: bytes, ready to send, as `schemas` documents them."""

from functools import lru_cache
from typing import Any

import orjson
from fastapi import Response

from features.windows import iso
from serving.store import Absence, AtRiskPage, Lookup, Run, StoredScore

Body = dict[str, Any]  # Any: JSON
_PRIVATE = {"cache-control": "private, no-cache"}  # a score is about a person: no shared cache keeps it


def json_response(body: Body, *, headers: dict[str, str] | None = None) -> Response:
    """A response that skips the framework's second validation; the store holds only valid scores."""
    return Response(orjson.dumps(body), 200, {**_PRIVATE, **(headers or {})}, "application/json")


def score_body(score: StoredScore) -> Body:
    """One score; the reasons were made JSON when the run was written and go out as they are."""
    return {
        "user_id": score.user_id,
        "churn_probability": score.churn_probability,
        "percentile": score.percentile,
        "risk_tier": score.risk_tier,
        "reasons": orjson.Fragment(score.reasons),
        **_run_fields(score.run),
    }


def lookup_body(found: Lookup, user_ids: list[str]) -> Body:
    """Scores in the order asked, and who is missing and why."""
    scores = [score_body(answer) for answer in found.answers if isinstance(answer, StoredScore)]
    missing = [
        {"user_id": user_id, "code": answer.value}
        for user_id, answer in zip(user_ids, found.answers, strict=True)
        if isinstance(answer, Absence)
    ]
    return {"run_id": found.run.run_id, "scores": scores, "missing": missing}


def at_risk_body(page: AtRiskPage, *, next_cursor: str | None) -> Body:
    """A page of users at risk."""
    return {
        "run_id": page.run.run_id,
        "scores": [score_body(score) for score in page.scores],
        "next_cursor": next_cursor,
    }


@lru_cache(maxsize=16)  # runs are compared by identity, and the store hands out the same object for a run
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
