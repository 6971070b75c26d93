"""Features on disk: a folder of Parquet files, one a bucket, that appears whole, and goes on where it was interrupted.

    snapshots/                  bucket-00000.parquet … and _manifest.json: what was asked for and which files there are
    .snapshots.unfinished/      the same while it is being built; takes the name above in one step at the end

Every file is written under another name first, and says inside which request and which bucket it belongs to.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from features.errors import BadInput, Busy, Damaged
from features.feature_set import FeatureSet
from features.fifths import Fifths
from features.folders import sync, take_place
from features.log import EventLog
from features.manifest import (
    MANIFEST,
    Request,
    draft_of,
    entry_of,
    files_of,
    is_of,
    load,
    manifest_of,
    must_be,
    write_manifest,
)
from features.pool import OnProgress, each
from features.population import Population
from features.snapshots import of_events, stack, wanted_by
from features.table import FeatureTable
from features.windows import to_microseconds

_TAG = b"holdfast"  # where a file says what it belongs to
_OPENLY = 0o755

Edges = dict[int, Fifths]  # cutoff in microseconds → where the fifths of relative features end


@dataclass(frozen=True, slots=True)
class Written:
    """What a build left: `kept` of the files were there from a build that had been interrupted."""

    folder: Path
    rows: int
    files: int
    kept: int


def write(  # noqa: PLR0913 - what to compute, of whom, where to put it and how
    log: EventLog,
    features: FeatureSet,
    *,
    cutoffs: Sequence[datetime],
    population: Population,
    target: Path,
    as_known: bool = False,
    workers: int = 2,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> Written:
    """Write the rows of `snapshots.build`, bit for bit, as a folder of Parquet files with a manifest.

    The folder appears when all is done. After an interruption the same call goes on where that stopped; a folder that
    is finished already is left as it is. Memory is bounded by `workers` buckets. `overwrite` replaces features of
    another request, once the new ones are there. Raises `BadInput` when the folder holds something else, `Busy` when
    another process is writing it.
    """
    request = Request.of(log, features, cutoffs=cutoffs, population=population, as_known=as_known)
    if _is_taken(target) and not (overwrite and _may_go(request, target)):
        return _found(request, target)
    draft = draft_of(target)
    with _alone(draft):
        if _is_taken(target) and not (overwrite and _may_go(request, target)):  # another process was quicker
            return _found(request, target)
        _begin(request, draft, overwrite=overwrite)
        build = _Build(request, log, draft, workers)
        kept = build.finished
        files = build.run(on_progress)
        _finish(request, draft, files, target, overwrite=overwrite)
    return Written(target, sum(file["rows"] for file in files), len(files), kept)


def read(target: Path) -> FeatureTable:
    """The rows of a finished folder in memory, as `build` returns them.

    Raises `NotReady` when there is none or it is not finished, `Damaged` when a file is missing or changed.
    """
    manifest, features = manifest_of(target), features_of(target)
    pieces = [FeatureTable.from_arrow(_read(path), features) for path in files_of(target, manifest)]
    return FeatureTable.of(stack(pieces, names=features.names), features)


def open_dataset(target: Path) -> ds.Dataset:
    """A finished folder as an Arrow dataset, for what does not fit into memory; raises as `read`."""
    return ds.dataset(files_of(target, manifest_of(target)), format="parquet")


def features_of(target: Path) -> FeatureSet:
    """The features of a finished folder; raises as `read`."""
    return FeatureSet.from_json(manifest_of(target)["features"])


class _Build:
    """The work in a draft: first what is relative to the population, where features need it, then every bucket."""

    def __init__(self, request: Request, log: EventLog, draft: Path, workers: int) -> None:
        self._request = request
        self._log = log
        self._draft = draft
        self._workers = workers
        self._relative = self._of_relative()

    @property
    def finished(self) -> int:
        """How many of the buckets' files are there."""
        return sum(self._is_there("bucket", bucket, self._request) for bucket in range(self._request.buckets))

    def run(self, on_progress: OnProgress | None) -> list[dict[str, Any]]:  # Any: JSON
        """The entries of the manifest, once every file is there."""
        buckets, passes = self._request.buckets, 1 if self._relative is None else 2
        told = on_progress or _silent
        edges: Edges = {}
        if self._relative is not None:
            first = partial(self._write, "relative", self._relative, {})
            self._each("relative", self._relative, first, lambda done, _: told(done, passes * buckets))
            edges = self._edges(self._relative)
        done_before = (passes - 1) * buckets
        last = partial(self._write, "bucket", self._request, edges)
        self._each("bucket", self._request, last, lambda done, _: told(done_before + done, passes * buckets))
        return [entry_of(self._path("bucket", bucket)) for bucket in range(buckets)]

    def _of_relative(self) -> Request | None:
        """The request for those features alone that are relative to the population; none when there are none."""
        places = self._request.plan.program.relative.tolist()
        chosen = FeatureSet(tuple(self._request.features.features[place] for place in places))
        return replace(self._request, features=chosen) if places else None

    def _each(self, part: str, request: Request, work: Callable[[int], None], told: OnProgress) -> None:
        missing = [b for b in range(request.buckets) if not self._is_there(part, b, request)]
        there = request.buckets - len(missing)
        each(work, missing, workers=self._workers, on_progress=lambda done, _: told(there + done, request.buckets))

    def _write(self, part: str, request: Request, edges: Edges, bucket: int) -> None:
        wanted = wanted_by(request.plan, as_known=request.as_known, population=request.population)
        events = self._log.read_bucket(bucket, wanted)
        names = request.features.names
        rows = of_events(
            events,
            request.plan,
            names,
            cutoffs=request.cutoffs,
            population=request.population,
            as_known=request.as_known,
        )
        for cutoff, fifths in edges.items():
            fifths.put(rows.matrix, request.plan.program.relative, rows=rows.cutoffs == cutoff)
        table = FeatureTable.of(stack([rows], names=names), request.features).to_arrow()
        _write_whole(table.replace_schema_metadata({_TAG: _tag(request, bucket)}), self._path(part, bucket))

    def _edges(self, relative: Request) -> Edges:
        """The fifths at each cutoff from the values of all users, one cutoff in memory at a time."""
        rows = ds.dataset([self._path("relative", bucket) for bucket in range(relative.buckets)], format="parquet")
        edges = {}
        for cutoff in relative.cutoffs:
            found = rows.to_table(columns=list(relative.features.names), filter=ds.field("cutoff") == pa.scalar(cutoff))
            values = np.column_stack([column.to_numpy() for column in found.columns])
            edges[to_microseconds(cutoff)] = Fifths.among(values)
        return edges

    def _is_there(self, part: str, bucket: int, request: Request) -> bool:
        """Whether a bucket's file is there, whole, and of this request."""
        try:
            metadata = pq.read_metadata(self._path(part, bucket)).metadata
        except (OSError, pa.ArrowInvalid):
            return False
        return bool((metadata or {}).get(_TAG) == _tag(request, bucket))

    def _path(self, part: str, bucket: int) -> Path:
        return self._draft / f"{part}-{bucket:05d}.parquet"


def _begin(request: Request, draft: Path, *, overwrite: bool) -> None:
    """Say in the draft what it is to be; raises `BadInput` when it is to be something else that may not be lost."""
    if (draft / MANIFEST).exists() and not (overwrite and _may_go(request, draft)):
        must_be(request, load(draft), draft, what="an interrupted build")
        return
    write_manifest(request, draft, files=[], complete=False)


def _may_go(request: Request, folder: Path) -> bool:
    """Whether features of another request, or damaged ones, are in the folder; raises `BadInput` for what is no such.

    Features of this request are what one asks for: nothing is gained by making them again.
    """
    manifest = _manifest(folder)
    try:
        files_of(folder, manifest)
    except Damaged:
        return True
    return not is_of(request, manifest)


def _manifest(folder: Path) -> dict[str, Any]:  # Any: JSON
    if not (folder / MANIFEST).exists():
        raise BadInput(f"{folder} exists and is no folder of features; choose another folder.")
    return load(folder)


def _found(request: Request, target: Path) -> Written:
    """What is there already, when it is what was asked for."""
    manifest = _manifest(target)
    must_be(request, manifest, target, what="a build")
    files = files_of(target, manifest)
    return Written(target, sum(file["rows"] for file in manifest["files"]), len(files), len(files))


def _finish(
    request: Request,
    draft: Path,
    files: list[dict[str, Any]],  # Any: JSON
    target: Path,
    *,
    overwrite: bool,
) -> None:
    """Give the finished draft its name."""
    wanted = {file["name"] for file in files}
    for path in draft.iterdir():
        if path.name not in wanted and path.name != MANIFEST:
            path.unlink()
    write_manifest(request, draft, files=files, complete=True)
    draft.chmod(_OPENLY)
    take_place(draft, target, overwrite=overwrite)


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise Damaged(f"{path} cannot be read ({error}); delete its folder and build again.") from error


def _tag(request: Request, bucket: int) -> bytes:
    """What a file says inside of what it belongs to."""
    return json.dumps({"request": request.id, "bucket": bucket}).encode()


def _write_whole(table: pa.Table, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}")
    pq.write_table(table, unfinished, compression="zstd", compression_level=1)
    sync(unfinished)
    unfinished.replace(path)


def _is_taken(target: Path) -> bool:
    return target.exists() and not (target.is_dir() and not any(target.iterdir()))


@contextmanager
def _alone(draft: Path) -> Iterator[None]:
    """Hold the draft's lock, which its holder's end releases however it comes; raises `Busy`."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - who only reads needs none

    draft.mkdir(parents=True, exist_ok=True)
    lock = FileLock(draft.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(f"another process is building {draft.name.removesuffix('.unfinished')[1:]}; wait for it.") from None
    try:
        yield
    finally:
        if draft.exists() and not (draft / MANIFEST).exists():
            shutil.rmtree(draft)
        draft.with_suffix(".lock").unlink(missing_ok=True)
        lock.release()


def _silent(_done: int, _of: int) -> None:
    """Nobody asked for progress."""
