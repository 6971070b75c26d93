"""Features as a table that data scientists take home: pandas, Polars or Arrow, categories as categories."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features import catalog, snapshots
from features.errors import BadInput
from features.feature_set import Feature, FeatureSet
from features.log import EventLog
from features.pool import OnProgress
from features.population import Population
from features.snapshots import Snapshots
from features.windows import days, from_microseconds, to_microseconds, utc

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

EVERYBODY = Population(activity=(), look_back=days(364))
Moment: TypeAlias = datetime | str


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable(Snapshots):
    """Snapshots that know their features: a row for each user of the population at each cutoff."""

    features: FeatureSet

    @classmethod
    def of(cls, rows: Snapshots, features: FeatureSet) -> "FeatureTable":
        """The rows with the features that they are of."""
        return cls(rows.users, rows.cutoffs, rows.names, rows.matrix, features)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "FeatureTable":
        """The chosen rows, by mask or by index."""
        return replace(self, users=self.users[chosen], cutoffs=self.cutoffs[chosen], matrix=self.matrix[chosen])

    def to_pandas(self) -> "pd.DataFrame":
        """The features as columns, indexed by user and cutoff; a category is a `Categorical`, missing is NaN."""
        import pandas as pd  # noqa: PLC0415 - pandas costs half a second that a request must not pay

        moments = pd.to_datetime(self.cutoffs, unit="us", utc=True)
        index = pd.MultiIndex.from_arrays([self.users, moments], names=["user_id", "cutoff"])
        frame = pd.DataFrame(self.matrix, index=index, columns=list(self.names))
        for place, feature in self._categorical:
            codes = _codes(self.matrix[:, place])
            frame[feature.name] = pd.Categorical.from_codes(codes, categories=pd.Index(feature.categories))
        return frame

    def to_polars(self) -> "pl.DataFrame":
        """The columns `user_id`, `cutoff` and the features; a category is an `Enum`, missing is null.

        Raises `BadInput` where Polars is not installed.
        """
        try:
            import polars as pl  # noqa: PLC0415 - optional
        except ImportError:
            raise BadInput("Polars is not installed here; `pip install polars` brings it.") from None
        frame = pl.DataFrame(pl.from_arrow(self.to_arrow()))
        enums = [pl.col(each.name).cast(pl.String).cast(pl.Enum(each.categories)) for _, each in self._categorical]
        return frame.with_columns(enums)

    def to_arrow(self) -> pa.Table:
        """The columns `user_id`, `cutoff` and the features; a category is a dictionary, missing is null."""
        columns: dict[str, pa.Array] = {
            "user_id": pa.array(self.users, pa.string()),
            "cutoff": pa.array(self.cutoffs, pa.timestamp("us", tz="UTC")),
        }
        for place, feature in enumerate(self.features):
            columns[feature.name] = _column(self.matrix[:, place], feature)
        return pa.table(columns)

    @classmethod
    def from_arrow(cls, table: pa.Table, features: FeatureSet) -> "FeatureTable":
        """The rows that `to_arrow` wrote."""
        matrix = np.empty((table.num_rows, len(features)), dtype=np.float64)
        for place, feature in enumerate(features):
            matrix[:, place] = _numbers(table[feature.name], feature)
        moments = table["cutoff"].cast(pa.int64()).to_numpy()
        users = np.array(table["user_id"].to_pylist(), dtype=object)
        return cls(users, moments, features.names, matrix, features)

    @property
    def _categorical(self) -> list[tuple[int, Feature]]:
        return [(place, feature) for place, feature in enumerate(self.features) if feature.categories]


def build(
    log: EventLog | Path | str,
    *,
    cutoffs: Moment | Sequence[Moment],
    features: FeatureSet | None = None,
    population: Population | None = None,
    as_known: bool = False,
    workers: int = 2,
    on_progress: OnProgress | None = None,
) -> FeatureTable:
    """The features of the population at each cutoff.

    `log` is an event log or its folder. A cutoff is an aware datetime or a text such as `2026-06-01`, which is that
    day's midnight UTC. Without `features` they are the standard catalogue for this log; without a `population` it is
    everybody with an event in the 364 days before the cutoff. `as_known` reads only what had been received before
    each cutoff. Raises `NotReady` where there is no log.
    """
    opened = log if isinstance(log, EventLog) else EventLog.open(Path(log))
    chosen = features if features is not None else catalog.standard(opened.summary())
    rows = snapshots.build(
        opened,
        chosen,
        cutoffs=moments(cutoffs),
        population=population or EVERYBODY,
        as_known=as_known,
        workers=workers,
        on_progress=on_progress,
    )
    return FeatureTable.of(rows, chosen)


def moments(said: Moment | Sequence[Moment]) -> list[datetime]:
    """The cutoffs as instants in order, each once; raises `BadInput` for none, and for one without a time zone.

    >>> moments(["2026-06-01", "2026-05-01"])[0].isoformat()
    '2026-05-01T00:00:00+00:00'
    """
    found = [_moment(each) for each in ([said] if isinstance(said, str | datetime) else said)]
    if not found:
        raise BadInput('there is no cutoff; expected at least one, for example cutoffs=["2026-06-01"].')
    return sorted(set(found))


def _moment(said: Moment) -> datetime:
    if isinstance(said, str):
        return utc(said)
    if not isinstance(said, datetime):
        raise BadInput(f"{said!r} is not a cutoff; expected a text such as '2026-06-01', or an aware datetime.")
    if said.tzinfo is None:
        raise BadInput(f"the cutoff {said} has no time zone; add one, for example tzinfo=datetime.UTC.")
    return from_microseconds(to_microseconds(said))  # also what only looks like a datetime, as a pandas Timestamp


def _codes(numbers: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.where(np.isnan(numbers), -1, np.nan_to_num(numbers)).astype(np.int32)


def _column(numbers: NDArray[np.float64], feature: Feature) -> pa.Array:
    if not feature.categories:
        return pa.array(numbers, pa.float64(), from_pandas=True)  # pandas' way: NaN is null
    codes = _codes(numbers)
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes < 0), pa.array(feature.categories))


def _numbers(column: pa.ChunkedArray, feature: Feature) -> NDArray[np.float64]:
    if not feature.categories:
        found: NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
        return found
    table = {text: float(code) for code, text in enumerate(feature.categories)}
    return np.array([np.nan if text is None else table[text] for text in column.to_pylist()], dtype=np.float64)
