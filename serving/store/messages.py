"""What the messages about a run say: JSON as in Standard Webhooks, users in batches."""

import itertools
from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.windows import from_microseconds, iso
from serving.store.phrases import Phrasebook
from serving.store.tables import runs, scores

EVENTS = ("run.completed", "run.restored", "users.tier_changed", "users.at_risk")
# What is told when a run is published; an old one that is shown again has nothing before it to be compared with.
ALSO_TOLD = {
    "run.completed": ("run.completed", "users.tier_changed", "users.at_risk"),
    "run.restored": ("run.restored", "users.at_risk"),
}
BATCH_USERS = 500
_AT_RISK = "high"
_before = scores.alias("before")


def bodies_of(connection: Connection, event: str, run_id: int) -> Iterator[str]:
    """The bodies of the messages of an event of a run, none when nobody is concerned.

    Raises `LookupError` when the run is no longer kept.
    """
    run = connection.execute(sa.select(runs).where(runs.c.run_id == run_id, runs.c.complete == 1)).one_or_none()
    if run is None:
        raise LookupError("the run is no longer kept")
    if not event.startswith("users."):
        told = {"users": run.users, "users_outside": run.outside, "groups": orjson.loads(run.summary)}
        yield _body(event, run, told)
        return
    users = _changed(connection, run) if event == "users.tier_changed" else _at_risk(connection, run)
    for number in itertools.count(1):
        batch = list(itertools.islice(users, BATCH_USERS))
        if not batch:
            return
        yield _body(event, run, {"batch": number, "users": batch})


def _body(event: str, run: sa.Row[Any], told: dict[str, object]) -> str:  # Any: of any columns
    data = {
        "run_id": run.run_id,
        "cutoff": iso(from_microseconds(run.cutoff)),
        "scored_at": iso(from_microseconds(run.scored_at)),
        "valid_until": iso(from_microseconds(run.valid_until)),
        "model_version": run.model_version,
        "definition_id": run.definition_id,
        **told,
    }
    return orjson.dumps({"type": event, "timestamp": data["scored_at"], "data": data}).decode()


def _changed(connection: Connection, run: sa.Row[Any]) -> Iterator[dict[str, object]]:  # Any: as above
    """Who had a tier in the run before and has another one now."""
    joined = scores.join(
        _before, sa.and_(_before.c.run_id == run.previous_run_id, _before.c.user_id == scores.c.user_id)
    )
    told = (scores.c.user_id, scores.c.risk_tier, _before.c.risk_tier.label("earlier"), scores.c.churn_probability)
    asked = (
        sa.select(*told)
        .select_from(joined)
        .where(scores.c.run_id == run.run_id, scores.c.risk_tier != _before.c.risk_tier)
        .order_by(scores.c.user_id)
    )
    for row in _streamed(connection, asked):
        yield {
            "user_id": row.user_id,
            "risk_tier": row.risk_tier,
            "previous_risk_tier": row.earlier,
            "churn_probability": row.churn_probability,
        }


def _at_risk(connection: Connection, run: sa.Row[Any]) -> Iterator[dict[str, object]]:  # Any: as above
    """Everybody in the tier high, most at risk first."""
    asked = (
        sa.select(scores)
        .where(scores.c.run_id == run.run_id, scores.c.risk_tier == _AT_RISK)
        .order_by(scores.c.churn_probability.desc(), scores.c.user_id)
    )
    phrases = Phrasebook.from_json(run.phrases)
    for row in _streamed(connection, asked):
        yield {
            "user_id": row.user_id,
            "churn_probability": row.churn_probability,
            "percentile": row.percentile,
            "risk_tier": row.risk_tier,
            "reasons": orjson.Fragment(phrases.reasons(row.reasons, run.language)),
            "value_at_risk": row.value_at_risk,
            "lifecycle_stage": row.lifecycle_stage,
            "segment": row.segment,
            "contactable": None if row.contactable is None else bool(row.contactable),
        }


def _streamed(connection: Connection, asked: sa.Select[Any]) -> Iterator[sa.Row[Any]]:  # Any: as above
    return iter(connection.execute(asked, execution_options={"yield_per": BATCH_USERS}))
