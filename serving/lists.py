"""Lists of users as CSV that a spreadsheet opens without running anything in it."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from features.errors import BadInput
from features.windows import iso
from serving.store import StoredScore

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "user_id",
    "churn_probability",
    "percentile",
    "tier",
    "reasons",
    "lifecycle_stage",
    "segment",
    "value_at_risk",
    "contactable",
    "cutoff",
    "horizon_start",
    "horizon_end",
    "model_version",
    "definition_id",
)
# What makes a spreadsheet read a cell as a formula; the last four are the full-width forms that some take too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
Cell = str | float | int


def safe_cell(cell: Cell) -> Cell:
    """The cell; a text that a spreadsheet would run as a formula gets an apostrophe before it. Numbers stay numbers.

    >>> safe_cell("=1+1"), safe_cell(-0.5), safe_cell("ada")
    ("'=1+1", -0.5, 'ada')
    """
    return "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def csv_lines(rows: Iterable[Sequence[Cell]], *, columns: Sequence[str] = COLUMNS) -> Iterator[str]:
    """The header and the rows as lines of CSV (RFC 4180), each cell safe to open."""
    for row in itertools.chain([columns], rows):
        line = io.StringIO()
        csv.writer(line).writerow([safe_cell(cell) for cell in row])
        yield line.getvalue()


def list_row(score: StoredScore) -> tuple[Cell, ...]:
    """A stored score as the cells of `COLUMNS`; reasons are sentences, strongest first."""
    facts = score.run.facts
    return (
        score.user_id,
        score.churn_probability,
        score.percentile,
        score.risk_tier,
        "; ".join(reason["sentence"] for reason in orjson.loads(score.reasons_in())),
        _told(score.lifecycle_stage),
        _told(score.segment),
        _told(score.value_at_risk),
        "" if score.contactable is None else str(score.contactable).lower(),
        iso(facts.cutoff),
        iso(facts.horizon.start),
        iso(facts.horizon.end),
        facts.model_version,
        facts.definition_id,
    )


def _told(value: Cell | None) -> Cell:
    return "" if value is None else value


def write_table(table: "pa.Table", path: Path) -> None:
    """Write a table to a `.csv` (each cell safe to open in a spreadsheet) or `.parquet` file, whole or not at all.

    Raises `BadInput` for another ending.
    """
    if path.suffix not in _WRITERS:
        raise BadInput(
            f"{path}: a list is written as .csv or .parquet, as its name says; got {path.suffix or 'no ending'}."
        )
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        _WRITERS[path.suffix](table, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_csv(table: "pa.Table", path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = (tuple(row.values()) for batch in table.to_batches(max_chunksize=10_000) for row in batch.to_pylist())
        file.writelines(csv_lines(rows, columns=table.column_names))


def _write_parquet(table: "pa.Table", path: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 (the service lists users without it)

    pq.write_table(table, path)


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet}
