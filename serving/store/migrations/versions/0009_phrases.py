"""Phrases: a run keeps what all its users are told once, a score their numbers; and what was told in the run before."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_EMPTY = "[]"
_ROWS = 1000  # at a time
_BEFORE = (("previous_cutoff", sa.BigInteger(), "cutoff"), ("previous_model_version", sa.String(200), "model_version"))
_TEXTS = ("reasons", "reasons_zh", "changes", "changes_zh")
Row = Any  # of columns that are gone, or not there yet

_runs = sa.table("runs", sa.column("run_id"), sa.column("phrases"))
_scores = sa.table("scores", *map(sa.column, ("run_id", "user_id", *_TEXTS)))


def upgrade() -> None:
    """Of what was told, only the codes become phrases: where values stand in a sentence is not known any more."""
    op.add_column("runs", sa.Column("phrases", sa.Text, nullable=False, server_default=_EMPTY))
    for name, kind, of_before in _BEFORE:
        op.add_column("runs", sa.Column(name, kind))
        op.execute(
            f"UPDATE runs SET {name} = (SELECT p.{of_before} FROM runs p WHERE p.run_id = runs.previous_run_id)"  # noqa: S608 - constants
        )
    op.add_column("scores", sa.Column("previous_churn_probability", sa.Float(53)))
    op.execute(
        "UPDATE scores SET previous_churn_probability = (SELECT p.churn_probability FROM runs r JOIN scores p "
        "ON p.run_id = r.previous_run_id AND p.user_id = scores.user_id WHERE r.run_id = scores.run_id)"
    )
    for run_id in _run_ids():
        codes: dict[str, int] = {}
        _rewrite(run_id, partial(_kept, codes))
        phrases = orjson.dumps([(code, "", "", "", "") for code in codes]).decode()
        op.get_bind().execute(sa.update(_runs).where(_runs.c.run_id == run_id).values(phrases=phrases))
    for name in ("changes_zh", "reasons_zh"):
        op.drop_column("scores", name)


def downgrade() -> None:
    """Put the sentences together again; what was told in a run that is gone is forgotten."""
    for name in ("reasons_zh", "changes_zh"):
        op.add_column("scores", sa.Column(name, sa.Text, nullable=False, server_default=_EMPTY))
    for run_id in _run_ids():
        found = op.get_bind().execute(sa.select(_runs.c.phrases).where(_runs.c.run_id == run_id)).scalar_one()
        _rewrite(run_id, partial(_told, orjson.loads(found)))
    op.drop_column("scores", "previous_churn_probability")
    for name in ("previous_model_version", "previous_cutoff", "phrases"):
        op.drop_column("runs", name)


def _run_ids() -> list[int]:
    return list(op.get_bind().execute(sa.select(_runs.c.run_id)).scalars())


def _rewrite(run_id: int, rewritten: Callable[[Row], dict[str, str]]) -> None:
    """Give the texts of a run's scores their new values."""
    update = sa.update(_scores).where(_scores.c.run_id == run_id, _scores.c.user_id == sa.bindparam("of_user"))
    for rows in _pages(run_id):
        changed = [{"of_user": row.user_id, **rewritten(row)} for row in rows]
        names = [name for name in changed[0] if name != "of_user"]
        op.get_bind().execute(update.values({name: sa.bindparam(name) for name in names}), changed)


def _pages(run_id: int) -> Iterator[list[Row]]:
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("scores")}
    told = [_scores.c[name] for name in _TEXTS if name in columns]
    asked = sa.select(_scores.c.user_id, *told).where(_scores.c.run_id == run_id).order_by(_scores.c.user_id)
    after = ""
    while page := list(op.get_bind().execute(asked.where(_scores.c.user_id > after).limit(_ROWS))):
        yield page
        after = page[-1].user_id


def _kept(codes: dict[str, int], row: Row) -> dict[str, str]:
    """The texts of a score as lines: numbers of codes, and whole sentences as values."""
    reasons, changes = [], []
    for texts in ((row.reasons, row.changes), (row.reasons_zh, row.changes_zh)):
        told, moved = (orjson.loads(text) for text in texts)
        numbers = [str(codes.setdefault(one["code"], len(codes))) for one in (*told, *moved)]
        values = [[_escaped(one["sentence"]), repr(one["contribution"])] for one in told]
        reasons.append([[number, *value] for number, value in zip(numbers, values, strict=False)])
        values = [[_escaped(one["sentence"]), _escaped(one["before"]), repr(one["contribution"])] for one in moved]
        moving = zip(numbers[len(told) :], values, strict=True)
        changes.append([[number, now, number, *rest] for number, (now, *rest) in moving])
    return {"reasons": _lines(*reasons), "changes": _lines(*changes)}


def _escaped(text: str) -> str:
    return orjson.dumps(text).decode()[1:-1]


def _lines(english: list[list[str]], chinese: list[list[str]]) -> str:
    """The oldest runs were told in one language only."""
    if not english:
        return _EMPTY
    blocks = [english] if not chinese or english == chinese else [english, chinese]
    return "\n\n".join("\n".join("\t".join(line) for line in block) for block in blocks)


def _told(phrases: list[list[str]], row: Row) -> dict[str, str]:
    """The texts of a score as sentences."""
    texts = {}
    for chinese, ending in enumerate(("", "_zh")):
        say = partial(_said, phrases, 2 * chinese)
        texts["reasons" + ending] = orjson.dumps(
            [
                {"code": phrases[int(n)][0], "sentence": say(n, value), "contribution": float(much)}
                for n, value, much in _fields(row.reasons, chinese)
            ]
        ).decode()
        texts["changes" + ending] = orjson.dumps(
            [
                {
                    "code": phrases[int(n)][0],
                    "sentence": say(n, value),
                    "contribution": float(much),
                    "before": say(then, before),
                }
                for n, value, then, before, much in _fields(row.changes, chinese)
            ]
        ).decode()
    return texts


def _fields(kept: str, chinese: int) -> list[list[str]]:
    if kept == _EMPTY:
        return []
    blocks = kept.split("\n\n")
    return [line.split("\t") for line in blocks[min(chinese, len(blocks) - 1)].split("\n")]


def _said(phrases: list[list[str]], place: int, number: str, value: str) -> str:
    _, *around = phrases[int(number)]
    return "".join((around[place], orjson.loads(f'"{value}"'), around[place + 1]))
