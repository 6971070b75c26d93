"""Writing score runs: rows in bounded chunks under a run that nobody reads yet, then one pointer moves."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from features.errors import BadInput
from features.windows import to_microseconds
from serving.store.records import RunFacts, Score
from serving.store.tables import current_run, outside, runs, scores

CHUNK_ROWS = 20_000
_TOP_PERCENTILE = 100.0
TIERS = ("high", "medium", "low")
_INSERT_SCORES = (
    "INSERT INTO scores (run_id, user_id, churn_probability, percentile, risk_tier, reasons) VALUES (?, ?, ?, ?, ?, ?)"
)
_INSERT_OUTSIDE = "INSERT INTO outside (run_id, user_id) VALUES (?, ?)"
Row = tuple[Any, ...]  # Any: what a database column holds


def write_run(
    writer: Engine,
    facts: RunFacts,
    population: Iterable[Score],
    *,
    elsewhere: Iterable[str],
    now: datetime,
    keep_runs: int,
    confirm: Callable[[], None],
) -> int:
    """The id of the new run, which is the current one when this returns. The caller holds the write lock.

    `confirm` is called when all rows are written and before they are shown; what it raises keeps them unseen.
    """
    _remove(writer, _unfinished(writer))
    run_id = _begin_run(writer, facts, now=now)
    rows = (_row(run_id, score) for score in population)
    users = _insert(writer, _INSERT_SCORES, rows, run_id=run_id)
    if users == 0:
        raise BadInput(
            f"nobody to score at the cutoff {facts.cutoff:%Y-%m-%d}: the population is empty; the current run stays. "
            "Check the cutoff and the look-back."
        )
    others = _insert(writer, _INSERT_OUTSIDE, ((run_id, _user_id(user)) for user in elsewhere), run_id=run_id)
    confirm()
    _publish(writer, run_id, users=users, others=others)
    _remove(writer, _outdated(writer, keep_runs=keep_runs))
    _forget_outside(writer)
    return run_id


def show_again(writer: Engine, *, model_version: str) -> int | None:
    """The id of the newest complete run of a model's version, which is the current one when this returns.

    None, and nothing is changed, when no run of that version is kept. The caller holds the write lock.
    """
    newest = sa.select(sa.func.max(runs.c.run_id)).where(runs.c.complete == 1, runs.c.model_version == model_version)
    with writer.begin() as connection:
        run_id = connection.execute(newest).scalar()
        if run_id is not None:
            _point_to(connection, run_id)
    return run_id


def _begin_run(writer: Engine, facts: RunFacts, *, now: datetime) -> int:
    values = {
        "scored_at": to_microseconds(now),
        "cutoff": to_microseconds(facts.cutoff),
        "horizon_start": to_microseconds(facts.horizon.start),
        "horizon_end": to_microseconds(facts.horizon.end),
        "valid_until": to_microseconds(facts.valid_until),
        "model_version": facts.model_version,
        "definition_id": facts.definition_id,
        "model": orjson.dumps(facts.model).decode(),
        "fifths": None if facts.fifths is None else orjson.dumps(facts.fifths.to_json()).decode(),
    }
    with writer.begin() as connection:
        return int(connection.execute(sa.insert(runs).values(values).returning(runs.c.run_id)).scalar_one())


def _insert(writer: Engine, statement: str, rows: Iterator[Row], *, run_id: int) -> int:
    """How many rows were written; each chunk is a transaction, so that memory, log and readers' waits stay small."""
    count = 0
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        with writer.begin() as connection:
            _execute_many(connection, statement, chunk, run_id=run_id)
        count += len(chunk)
    return count


def _execute_many(connection: Connection, statement: str, chunk: list[Row], *, run_id: int) -> None:
    try:
        connection.exec_driver_sql(statement, chunk)
    except sa.exc.IntegrityError as error:
        raise BadInput(f"run {run_id} names a user twice ({error.orig}); expected one score a user.") from error


def _row(run_id: int, score: Score) -> Row:
    in_range = 0.0 <= score.churn_probability <= 1.0 and 0.0 <= score.percentile <= _TOP_PERCENTILE  # refuses NaN too
    if not in_range or score.risk_tier not in TIERS:
        raise BadInput(
            f"the score of {score.user_id!r}: probability {score.churn_probability}, percentile {score.percentile}, "
            f"tier {score.risk_tier!r}; expected 0 to 1, 0 to 100, and one of {', '.join(TIERS)}."
        )
    reasons = [{"code": r.code, "sentence": r.sentence, "contribution": _finite(r.contribution)} for r in score.reasons]
    return (
        run_id,
        _user_id(score.user_id),
        float(score.churn_probability),
        float(score.percentile),
        score.risk_tier,
        orjson.dumps(reasons).decode(),
    )


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise BadInput(f"a reason contributes {number}; expected a finite number of log-odds.")
    return round(float(number), 6)


def _user_id(user_id: str) -> str:
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise BadInput(
            f"the user id {user_id!r} cannot be written as UTF-8; the event log should not hold it."
        ) from None
    return user_id


def _publish(writer: Engine, run_id: int, *, users: int, others: int) -> None:
    with writer.begin() as connection:
        connection.execute(
            sa.update(runs).where(runs.c.run_id == run_id).values(complete=1, users=users, outside=others)
        )
        _point_to(connection, run_id)


def _point_to(connection: Connection, run_id: int) -> None:
    connection.execute(sa.delete(current_run))
    connection.execute(sa.insert(current_run).values(place=1, run_id=run_id))


def _unfinished(writer: Engine) -> list[int]:
    with writer.connect() as connection:
        return list(connection.execute(sa.select(runs.c.run_id).where(runs.c.complete == 0)).scalars())


def _outdated(writer: Engine, *, keep_runs: int) -> list[int]:
    newest_first = sa.select(runs.c.run_id).where(runs.c.complete == 1).order_by(runs.c.run_id.desc())
    with writer.connect() as connection:
        return list(connection.execute(newest_first).scalars())[max(keep_runs, 1) :]


def _remove(writer: Engine, run_ids: list[int]) -> None:
    for run_id in run_ids:
        with writer.begin() as connection:  # first: no page of a run half removed is ever served
            connection.execute(sa.update(runs).where(runs.c.run_id == run_id).values(complete=0))
        _delete_rows(writer, scores, sa.and_(scores.c.run_id == run_id))
        _delete_rows(writer, outside, sa.and_(outside.c.run_id == run_id))
        with writer.begin() as connection:
            connection.execute(sa.delete(runs).where(runs.c.run_id == run_id))


def _forget_outside(writer: Engine) -> None:
    """Only the newest run of each version can come to answer for users outside it; older lists would be waste."""
    newest = sa.select(sa.func.max(runs.c.run_id)).where(runs.c.complete == 1).group_by(runs.c.model_version)
    _delete_rows(writer, outside, outside.c.run_id.not_in(newest))


def _delete_rows(writer: Engine, table: sa.Table, condition: sa.ColumnElement[bool]) -> None:
    some = sa.select(table.c.run_id, table.c.user_id).where(condition).limit(CHUNK_ROWS)
    statement = sa.delete(table).where(sa.tuple_(table.c.run_id, table.c.user_id).in_(some))
    removed = CHUNK_ROWS
    while removed == CHUNK_ROWS:
        with writer.begin() as connection:
            removed = connection.execute(statement).rowcount
