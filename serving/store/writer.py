"""Writing score runs: rows in bounded chunks under a run that nobody reads yet, then one pointer moves."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import get_args

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from features.errors import BadInput
from features.windows import to_microseconds
from serving.store.database import Database, Row
from serving.store.outbox import announce, make_bodies
from serving.store.phrases import Phrases, as_kept, escaped
from serving.store.records import Absence, Change, Group, Reason, RunFacts, Score
from serving.store.tables import current_run, outside, runs, scores

CHUNK_ROWS = 20_000
_TOP_PERCENTILE = 100.0
_USER_ID = scores.columns.keys().index("user_id")  # in a row
TIERS = ("high", "medium", "low")
_GROUPED_BY = get_args(Group.__annotations__["by"])


def write_run(
    database: Database,
    facts: RunFacts,
    population: Iterable[Score],
    *,
    tenant: str,
    elsewhere: Mapping[str, Absence],
    now: datetime,
    keep_runs: int,
    confirm: Callable[[], None],
) -> int:
    """The id of the new run, which is its tenant's current one when this returns. The caller holds the write lock.

    `confirm` is called when all rows are written and before they are shown; what it raises keeps them unseen.
    """
    writer = _writer(database)
    _remove(database, _unfinished(writer))
    run_id, previous = _begin_run(writer, facts, tenant=tenant, now=now)
    groups, phrases = _Groups(), Phrases()
    chunks = _chunks(_row(run_id, score, phrases) for score in groups.counting(population))
    users = _insert(database, scores, (_compared(database, rows, previous) for rows in chunks))
    if users == 0:
        raise BadInput(
            f"nobody to score at the cutoff {facts.cutoff:%Y-%m-%d}: the population is empty; the current run stays. "
            "Check the cutoff and the look-back."
        )
    others = _insert(database, outside, _chunks((run_id, _user_id(user), str(why)) for user, why in elsewhere.items()))
    confirm()
    found = {"users": users, "outside": others, "summary": groups.to_json(), "phrases": phrases.to_json()}
    with writer.begin() as connection:
        connection.execute(sa.update(runs).where(runs.c.run_id == run_id).values(complete=1, **found))
        _point_to(connection, run_id, tenant=tenant)
        announce(connection, "run.completed", run_id, tenant=tenant, now=now)
    make_bodies(database, now=now)  # while the run before is there to compare with
    _remove(database, _outdated(writer, tenant=tenant, keep_runs=keep_runs))
    _forget_outside(database)
    return run_id


def show_again(database: Database, *, tenant: str, model_version: str, now: datetime) -> int | None:
    """The id of the newest complete run of a model's version, which is the current one when this returns.

    None, and nothing is changed, when no run of that version is kept. The caller holds the write lock.
    """
    newest = sa.select(sa.func.max(runs.c.run_id)).where(
        runs.c.complete == 1, runs.c.model_version == model_version, runs.c.tenant == tenant
    )
    with _writer(database).begin() as connection:
        run_id = connection.execute(newest).scalar()
        if run_id is not None:
            _point_to(connection, run_id, tenant=tenant)
            announce(connection, "run.restored", run_id, tenant=tenant, now=now)
    return run_id


def _writer(database: Database) -> Engine:
    return database.engine.execution_options(writes=True)


def _begin_run(writer: Engine, facts: RunFacts, *, tenant: str, now: datetime) -> tuple[int, int | None]:
    """The new run, and the one that was current before."""
    current = (
        sa.select(runs.c.run_id, runs.c.cutoff, runs.c.model_version)
        .join(current_run, current_run.c.run_id == runs.c.run_id)
        .where(current_run.c.tenant == tenant)
    )
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
        "language": facts.language,
        "tenant": tenant,
    }
    with writer.begin() as connection:
        before = connection.execute(current).one_or_none()
        if before is not None:
            names = ("previous_run_id", "previous_cutoff", "previous_model_version")
            values |= dict(zip(names, before, strict=True))
        run_id = connection.execute(sa.insert(runs).values(values).returning(runs.c.run_id)).scalar_one()
    return int(run_id), None if before is None else int(before.run_id)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        yield chunk


def _insert(database: Database, table: sa.Table, chunks: Iterable[list[Row]]) -> int:
    """How many rows were written; each chunk is a transaction, so that memory, log and readers' waits stay small."""
    count = 0
    for chunk in chunks:
        with _writer(database).begin() as connection:
            database.insert(connection, table, chunk)
        count += len(chunk)
    return count


def _compared(database: Database, rows: list[Row], previous: int | None) -> list[Row]:
    """The rows with what was told of each user in the run before."""
    if previous is None:
        return rows
    asked = (
        f"SELECT asked.text, s.churn_probability FROM {database.each_of('user_ids')} asked "  # noqa: S608 - constants
        # LEFT: else SQLite reads the whole run for each user.
        "LEFT JOIN scores s ON s.run_id = :previous AND s.user_id = asked.text"
    )
    user_ids = database.listed([row[_USER_ID] for row in rows])
    known: dict[str, float] = dict(database.ask(asked, user_ids=user_ids, previous=previous))
    return [(*row[:-1], known.get(row[_USER_ID])) for row in rows]


def _row(run_id: int, score: Score, phrases: Phrases) -> Row:
    in_range = 0.0 <= score.churn_probability <= 1.0 and 0.0 <= score.percentile <= _TOP_PERCENTILE  # refuses NaN too
    if not in_range or score.risk_tier not in TIERS:
        raise BadInput(
            f"the score of {score.user_id!r}: probability {score.churn_probability}, percentile {score.percentile}, "
            f"tier {score.risk_tier!r}; expected 0 to 1, 0 to 100, and one of {', '.join(TIERS)}."
        )
    return (
        run_id,
        _user_id(score.user_id),
        float(score.churn_probability),
        float(score.percentile),
        score.risk_tier,
        _reasons(score.reasons, phrases),
        _changes(score.changes, phrases),
        None if score.value_at_risk is None else _finite(score.value_at_risk, what="a value at risk"),
        score.lifecycle_stage,
        score.segment,
        None if score.contactable is None else int(score.contactable),
        None,  # what was told before, see `_compared`
    )


def _reasons(reasons: Sequence[Reason], phrases: Phrases) -> str:
    english, chinese = [], []
    for one in reasons:
        words, much = one.wording, _contributed(one)
        number = phrases.number(one.code, words.phrase)
        english.append(f"{number}\t{escaped(words.value)}\t{much}")
        chinese.append(f"{number}\t{escaped(words.value_zh)}\t{much}")
    return as_kept(english, chinese)


def _changes(changes: Sequence[Change], phrases: Phrases) -> str:
    english, chinese = [], []
    for one in changes:
        now, then, much = one.wording, one.wording_before, _contributed(one)
        number, other = phrases.number(one.code, now.phrase), phrases.number(one.code, then.phrase)
        english.append(f"{number}\t{escaped(now.value)}\t{other}\t{escaped(then.value)}\t{much}")
        chinese.append(f"{number}\t{escaped(now.value_zh)}\t{other}\t{escaped(then.value_zh)}\t{much}")
    return as_kept(english, chinese)


def _contributed(reason: Reason) -> float:
    return _finite(reason.contribution, what="what a reason contributes")


def _finite(number: float, *, what: str) -> float:
    if not math.isfinite(number):
        raise BadInput(f"{what} is {number}; expected a finite number.")
    return round(float(number), 6)


def _user_id(user_id: str) -> str:
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise BadInput(
            f"the user id {user_id!r} cannot be written as UTF-8; the event log should not hold it."
        ) from None
    if "\0" in user_id:
        raise BadInput(f"the user id {user_id!r} holds a NUL character; the event log should not hold it.")
    return user_id


@dataclass(slots=True)
class _Counted:
    users: int = 0
    probability: float = 0.0
    value: float | None = None


class _Groups:
    """Counts users by tier, stage and segment while they pass."""

    def __init__(self) -> None:
        self._counted: defaultdict[tuple[str, str], _Counted] = defaultdict(_Counted)

    def counting(self, population: Iterable[Score]) -> Iterator[Score]:
        for score in population:
            yield score  # first: what is no score is refused before it is counted
            for by in _GROUPED_BY:
                name = getattr(score, by)
                if name is not None:
                    self._add(self._counted[by, name], score)

    def to_json(self) -> str:
        groups = [
            Group(by, name, each.users, each.probability / each.users, each.value)  # type: ignore[arg-type] # one of the three
            for (by, name), each in sorted(self._counted.items())
        ]
        return orjson.dumps([asdict(group) for group in groups]).decode()

    @staticmethod
    def _add(counted: _Counted, score: Score) -> None:
        counted.users += 1
        counted.probability += score.churn_probability
        if score.value_at_risk is not None:
            counted.value = (counted.value or 0.0) + score.value_at_risk


def _point_to(connection: Connection, run_id: int, *, tenant: str) -> None:
    connection.execute(sa.delete(current_run).where(current_run.c.tenant == tenant))
    connection.execute(sa.insert(current_run).values(tenant=tenant, run_id=run_id))


def _unfinished(writer: Engine) -> list[int]:
    with writer.connect() as connection:
        return list(connection.execute(sa.select(runs.c.run_id).where(runs.c.complete == 0)).scalars())


def _outdated(writer: Engine, *, tenant: str, keep_runs: int) -> list[int]:
    """The oldest runs of the tenant beyond those to be kept; never the current one, which may be an old one again."""
    current = sa.select(current_run.c.run_id)
    newest_first = (
        sa.select(runs.c.run_id)
        .where(runs.c.complete == 1, runs.c.tenant == tenant, runs.c.run_id.not_in(current))
        .order_by(runs.c.run_id.desc())
    )
    with writer.connect() as connection:
        return list(connection.execute(newest_first).scalars())[max(keep_runs, 1) - 1 :]


def _remove(database: Database, run_ids: list[int]) -> None:
    writer = _writer(database)
    for run_id in run_ids:
        with writer.begin() as connection:  # first: no page of a run half removed is ever served
            connection.execute(sa.update(runs).where(runs.c.run_id == run_id).values(complete=0))
        database.delete(scores.c.run_id == run_id, table=scores)
        database.delete(outside.c.run_id == run_id, table=outside)
        with writer.begin() as connection:
            connection.execute(sa.delete(runs).where(runs.c.run_id == run_id))


def _forget_outside(database: Database) -> None:
    """Only the newest run of each version can come to answer for users outside it; older lists would be waste."""
    newest = (
        sa.select(sa.func.max(runs.c.run_id)).where(runs.c.complete == 1).group_by(runs.c.tenant, runs.c.model_version)
    )
    database.delete(outside.c.run_id.not_in(newest), table=outside)
