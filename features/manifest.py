"""What a folder of features says about itself: what was asked for, which files there are, and whether all is there."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pq

from features import populations
from features.errors import BadInput, Damaged, NotReady
from features.feature_set import FeatureSet
from features.folders import sync
from features.log import EventLog
from features.plan import Plan, make_plan
from features.population import Population
from features.windows import iso

MANIFEST = "_manifest.json"  # Arrow, Spark and DuckDB pass over names that begin with _
_FORMAT = 1
_SHOWN = 2  # texts of a list that a message names


@dataclass(frozen=True)
class Request:
    """What a folder holds, or is to hold: two builds of one request give the same bits."""

    features: FeatureSet
    cutoffs: tuple[datetime, ...]
    population: Population
    as_known: bool
    log: str
    log_version: int
    buckets: int

    @classmethod
    def of(
        cls,
        log: EventLog,
        features: FeatureSet,
        *,
        cutoffs: Sequence[datetime],
        population: Population,
        as_known: bool = False,
    ) -> Self:
        """The request for features of this version of the log."""
        ordered = tuple(sorted(set(cutoffs)))
        if not ordered:
            raise BadInput("there is no cutoff to build features at; expected at least one.")
        folder = str(log.path.absolute())
        return cls(features, ordered, population, as_known, folder, log.version, log.buckets)

    @cached_property
    def plan(self) -> Plan:
        """The plan of its features."""
        return make_plan(self.features)

    @cached_property
    def facts(self) -> dict[str, Any]:  # Any: JSON
        """What makes it this request and no other."""
        return {
            "features": self.features.fingerprint,
            "cutoffs": [iso(cutoff) for cutoff in self.cutoffs],
            "population": populations.plain(self.population),
            "as_known": self.as_known,
            "log": self.log,
            "log_version": self.log_version,
            "buckets": self.buckets,
        }

    @property
    def id(self) -> str:
        """A name that changes with any of the facts."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:16]


def draft_of(target: Path) -> Path:
    """Where a folder grows before it is finished."""
    return target.absolute().with_name(f".{target.absolute().name}.unfinished")


def must_be(request: Request, manifest: dict[str, Any], folder: Path, *, what: str) -> None:  # Any: JSON
    """Raise `BadInput` when the folder is of another request, with what differs."""
    there = manifest["request"]
    differing = _differing(request, manifest)
    if differing:
        said = "; ".join(
            f"{name}: {_short(there.get(name))}, asked for {_short(request.facts[name])}" for name in differing
        )
        raise BadInput(
            f"{folder} holds {what} of another request ({said}). Choose another folder, ask for the same again, "
            "or overwrite it: --overwrite, in Python overwrite=True."
        )


def is_of(request: Request, manifest: dict[str, Any]) -> bool:  # Any: JSON
    """Whether a manifest is of this request."""
    return not _differing(request, manifest)


def write_manifest(request: Request, folder: Path, *, files: list[dict[str, Any]], complete: bool) -> None:  # Any: JSON
    """Put the manifest into the folder, in one step."""
    unfinished = folder / f".{MANIFEST}"
    unfinished.write_text(text_of(request, files=files, complete=complete), "utf-8")
    sync(unfinished)
    unfinished.replace(folder / MANIFEST)


def text_of(request: Request, *, files: list[dict[str, Any]], complete: bool) -> str:  # Any: JSON
    """The text of a manifest."""
    document = {
        "format": _FORMAT,
        "complete": complete,
        "request": request.facts,
        "features": request.features.to_json(),
        "files": files,
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def entry_of(path: Path) -> dict[str, Any]:  # Any: JSON
    """What a manifest says of a file."""
    return {"name": path.name, "rows": pq.read_metadata(path).num_rows, "bytes": path.stat().st_size}


def manifest_of(target: Path) -> dict[str, Any]:  # Any: JSON
    """The manifest of a finished folder."""
    if not (target / MANIFEST).exists():
        begun = " yet: its build was interrupted, or goes on" if draft_of(target).exists() else ""
        raise NotReady(f"there are no features in {target}{begun}. Build them: holdfast features build --to FOLDER")
    return load(target)


def load(folder: Path) -> dict[str, Any]:  # Any: JSON
    """The manifest in the folder, which has one; raises `Damaged` for one that is not understood."""
    path = folder / MANIFEST
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))  # Any: JSON
        version = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(
            f"{path} is not the manifest it should be ({error!r}); delete {folder} and build again."
        ) from None
    if version != _FORMAT:
        raise Damaged(
            f"{path} is of format {version!r}, this version reads {_FORMAT}; delete {folder} and build again."
        )
    return document


def files_of(target: Path, manifest: dict[str, Any]) -> list[Path]:  # Any: JSON
    """The files that a manifest lists, each there in the size that it had."""
    for file in manifest["files"]:
        path = target / file["name"]
        size = path.stat().st_size if path.is_file() else None
        if size != file["bytes"]:
            found = "missing" if size is None else f"of {size:,} bytes, not {file['bytes']:,}"
            raise Damaged(f"{path} is {found}: it was changed after it was built. Delete {target} and build again.")
    return [target / file["name"] for file in manifest["files"]]


def _differing(request: Request, manifest: dict[str, Any]) -> list[str]:  # Any: JSON
    there = manifest["request"]
    return [name for name in request.facts if there.get(name) != request.facts[name]]


def _short(fact: object) -> str:
    """A fact in a message: a long list by its ends."""
    if isinstance(fact, list) and len(fact) > _SHOWN:
        return f"{fact[0]} … {fact[-1]} ({len(fact)})"
    return ", ".join(map(str, fact)) if isinstance(fact, list) else str(fact)
