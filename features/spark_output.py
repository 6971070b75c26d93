"""A folder of Parquet files that tasks write, as plain Parquet or as a Delta table: there whole or not at all."""

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, CommitProperties

from features.errors import BadInput, Busy
from features.folders import sync, take_place
from features.manifest import MANIFEST

Format: TypeAlias = Literal["parquet", "delta"]
FORMATS: tuple[Format, ...] = ("parquet", "delta")
_FACTS = "_holdfast.json"  # Spark, Arrow and DuckDB pass over names that begin with _
_MADE_BY = "Made by Holdfast"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the result."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where a result goes; `overwrite` replaces one that Holdfast wrote there before."""

    folder: Path
    format: Format = "parquet"
    overwrite: bool = False

    def check(self) -> None:
        """Raise `BadInput` when the result could not be put there in the end."""
        if self.format not in FORMATS:
            raise BadInput(f"the format {self.format!r} is not known; expected {' or '.join(FORMATS)}.")
        if not self.folder.exists():
            return
        if not self.overwrite:
            raise BadInput(
                f"{self.folder} exists already; choose another folder, or overwrite it: --overwrite, in Python "
                "Target(folder, overwrite=True)."
            )
        if not self._is_ours():
            raise BadInput(
                f"{self.folder} is not a result in the format {self.format} that Holdfast wrote, and is left alone; "
                "choose another folder."
            )

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """An empty folder beside the target for the tasks to write into; gone at the end, unless it was published."""
        parent = self.folder.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}-", dir=parent))
        draft.chmod(0o777)  # executors may run as another user
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def publish(
        self,
        draft: Path,
        parts: Sequence[Part],
        *,
        schema: pa.Schema,
        facts: Mapping[str, str],
        manifest: str | None = None,
    ) -> None:
        """Put the parts of the draft into the target's place; `facts` say where they come from.

        A Delta table takes them in one commit, and what it held stays for readers of its older versions. A Parquet
        folder moves into place, with the text of a `manifest` where there is one; where it replaces another, there is
        none for the instant between two moves. Raises `Busy` when somebody else put something there meanwhile.
        """
        _remove_all_but(draft, parts)
        if self.format == "delta" and self.folder.exists():
            self._commit_to_table(draft, parts, schema=schema, facts=facts)
            return
        if self.format == "delta":
            DeltaTable.create(draft, schema=Schema.from_arrow(schema), description=_MADE_BY)
            _commit(draft, parts, mode="append", schema=schema, facts=facts)
        else:
            (draft / _FACTS).write_text(json.dumps({"made_by": _MADE_BY, **facts}, indent=1), "utf-8")
            if manifest is not None:
                (draft / MANIFEST).write_text(manifest, "utf-8")
                sync(draft / MANIFEST)
        draft.chmod(0o755)
        take_place(draft, self.folder, overwrite=self.overwrite)

    def _is_ours(self) -> bool:
        if self.format == "delta":
            found = DeltaTable.is_deltatable(str(self.folder))
            return found and DeltaTable(self.folder).metadata().description == _MADE_BY
        with suppress(OSError, ValueError):
            return bool(json.loads((self.folder / _FACTS).read_text("utf-8")).get("made_by") == _MADE_BY)
        return (self.folder / MANIFEST).is_file()

    def _commit_to_table(
        self, draft: Path, parts: Sequence[Part], *, schema: pa.Schema, facts: Mapping[str, str]
    ) -> None:
        moved = [(draft / part.name).rename(self.folder / part.name) for part in parts]
        sync(self.folder)
        try:
            _commit(self.folder, parts, mode="overwrite", schema=schema, facts=facts)
        except BaseException as error:  # also Ctrl-C, which may come after the commit was made
            named = set(pa.table(DeltaTable(self.folder).get_add_actions())["path"].to_pylist())
            for path in moved:
                if path.name not in named:
                    path.unlink(missing_ok=True)
            if isinstance(error, CommitFailedError):
                raise Busy(f"{self.folder} was changed by somebody else meanwhile; run it again.") from error
            raise


def write_part(table: pa.Table, folder: Path, *, bucket: int) -> Part:
    """Write one file of a draft so that it is on the disk; every attempt at a bucket has a name of its own."""
    path = folder / f"{bucket:05d}-{uuid.uuid4().hex}.parquet"
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(table, unfinished, compression="zstd", compression_level=1)
    sync(unfinished)
    unfinished.rename(path)
    return Part(path.name, table.num_rows)


def parts_in(draft: Path) -> int:
    """How many files of a draft are finished."""
    return sum(1 for _ in draft.glob("*.parquet"))


def _commit(folder: Path, parts: Sequence[Part], *, mode: str, schema: pa.Schema, facts: Mapping[str, str]) -> None:
    DeltaTable(folder).create_write_transaction(
        [_added(folder, part) for part in parts],
        mode,
        Schema.from_arrow(schema),
        [],
        commit_properties=CommitProperties(custom_metadata=dict(facts)),
    )


def _added(folder: Path, part: Part) -> AddAction:
    found = (folder / part.name).stat()
    return AddAction(
        path=part.name,
        size=found.st_size,
        partition_values={},
        modification_time=int(found.st_mtime * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": part.rows}),
    )


def _remove_all_but(draft: Path, parts: Sequence[Part]) -> None:
    """Remove what attempts left behind whose task another attempt finished."""
    wanted = {part.name for part in parts}
    for path in draft.iterdir():
        if path.name not in wanted:
            path.unlink(missing_ok=True)
    sync(draft)
