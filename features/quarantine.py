"""The rows that were not let in, as NDJSON: one object a row with its place, code, reason and the row as it came."""

from datetime import datetime
from pathlib import Path
from types import TracebackType

import orjson
import pyarrow as pa


class Quarantine:
    """A file of refused rows, there only when an import ends well and refused some.

    Use as a context: after an exception nothing is kept, because then nothing was imported either.
    """

    def __init__(self, folder: Path, *, now: datetime) -> None:
        self._folder = folder
        self._name = f"{now:%Y%m%dT%H%M%S%fZ}"
        self.reasons: dict[str, int] = {}

    @property
    def rows(self) -> int:
        """How many rows were refused."""
        return sum(self.reasons.values())

    @property
    def path(self) -> Path | None:
        """The file, none when no row was refused."""
        return self._folder / f"{self._name}.ndjson" if self.reasons else None

    def add(self, rejected: pa.Table) -> None:
        """Keep some refused rows."""
        if not rejected.num_rows:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._partial.open("ab") as file:
            for row in rejected.to_pylist():
                self.reasons[row["code"]] = self.reasons.get(row["code"], 0) + 1
                file.write(orjson.dumps({**row, "row": orjson.loads(row["row"])}, option=orjson.OPT_APPEND_NEWLINE))

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._partial.unlink(missing_ok=True)
        elif self.path is not None:
            self._partial.rename(self.path)

    @property
    def _partial(self) -> Path:
        return self._folder / f".{self._name}.partial"
