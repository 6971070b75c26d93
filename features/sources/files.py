"""Which files a user means by a name, a folder, a glob or `-`, and how each is opened."""

import glob
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from features.errors import BadInput

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = ("csv", "ndjson", "parquet")
_EXPECTED = "expected .parquet, .csv, .tsv, .ndjson or .jsonl (the last four also with .gz), or a --format"
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_MAGIC = {b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read; `path` is none for standard input."""

    name: str  # as places in it are called
    path: Path | None
    format: str  # csv, ndjson or parquet
    gzipped: bool = False


def find(sources: Sequence[str], *, format: str | None) -> list[SourceFile]:  # noqa: A002 - what the option is called
    """The files that the names mean, in order; raises `BadInput` where a name means none."""
    if format is not None and format not in FORMATS:
        raise BadInput(f"{format!r} is not a format; expected csv, ndjson or parquet.")
    found = [file for source in sources for file in _find(source, format)]
    if not found:
        raise BadInput("There is nothing to read; expected files, folders, globs or - for standard input.")
    return found


@contextmanager
def opened(file: SourceFile, stdin: BinaryIO | None) -> Iterator[IO[bytes]]:
    """The bytes of a text file, unpacked; raises `BadInput` when it is not what its name says."""
    if file.path is None:
        if stdin is None:
            raise BadInput("- means standard input, but there is none here.")
        yield stdin
        return
    _check_magic(file, file.path)
    try:
        with _bytes(file.path, gzipped=file.gzipped) as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{file.name} is damaged as a gzip file ({error}); expected a complete one.") from None


def _bytes(path: Path, *, gzipped: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if gzipped else path.open("rb")  # cast: typeshed has GzipFile beside IO


def _find(source: str, wanted: str | None) -> list[SourceFile]:
    if source == "-":
        if wanted is None:
            raise BadInput(
                "- reads standard input, which has no name to tell its format; expected --format csv or ndjson."
            )
        return [SourceFile("standard input", None, wanted)]
    path = Path(source)
    if path.is_dir():
        return _in_folder(path, wanted)
    if path.is_file():
        return [_source_file(path, path.name, wanted)]
    matches = [Path(match) for match in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207 - also absolute ones
    files = [_source_file(match, match.name, wanted) for match in matches if match.is_file()]
    if not files:
        kind = "no file matches" if glob.has_magic(source) else "there is no file or folder"
        raise BadInput(f"{source}: {kind}; expected a file, a folder, a glob in quotes or - for standard input.")
    return files


def _in_folder(folder: Path, wanted: str | None) -> list[SourceFile]:
    """Files of known formats below a folder; what is hidden or begins with `_` is not data."""
    files = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and _format(path) and not any(part.startswith((".", "_")) for part in name.parts):
            files.append(_source_file(path, str(name), wanted))
    if not files:
        raise BadInput(f"{folder}: the folder holds no file of events; {_EXPECTED}.")
    return files


def _source_file(path: Path, name: str, wanted: str | None) -> SourceFile:
    found = wanted or _format(path)
    if found is None:
        raise BadInput(f"{name} has an unknown extension; {_EXPECTED}.")
    if not path.stat().st_size:
        raise BadInput(f"{name} is empty; expected a file with events.")
    return SourceFile(name, path, found, gzipped=path.suffix.lower() == ".gz")


def _format(path: Path) -> str | None:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return _FORMATS.get(name.suffix.lower())


def _check_magic(file: SourceFile, path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(6)
    if file.gzipped and not head.startswith(_GZIP):
        raise BadInput(f"{file.name} is not compressed with gzip although it is named .gz; expected a name without it.")
    if not file.gzipped and head.startswith(_GZIP):
        raise BadInput(f"{file.name} is compressed with gzip; expected a name that ends in .gz, or unpack it.")
    if head.startswith(_PARQUET):
        raise BadInput(f"{file.name} is a Parquet file; expected {file.format}. Rename it to .parquet.")
    for magic, packer in _MAGIC.items():
        if head.startswith(magic):
            raise BadInput(f"{file.name} is compressed with {packer}; expected plain text or gzip. Unpack it first.")
