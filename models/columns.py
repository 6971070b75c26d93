"""How a table becomes the matrix that a model reads: columns by name when they have names, by position when not."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from features.errors import BadInput
from models.finite import infinite

Matrix: TypeAlias = NDArray[np.float64]
_ROWS_AND_COLUMNS = 2


class ColumnError(BadInput, ValueError):
    """A table whose columns or values a model cannot read; also a `ValueError`, as scikit-learn expects."""


def names_of(table: Any) -> tuple[str, ...] | None:  # Any: whatever a caller hands to scikit-learn
    """The column names of a DataFrame or Arrow table; None for what has no names.

    >>> names_of(pa.table({"visits": [1.0]}))
    ('visits',)
    """
    if isinstance(table, pa.Table | pa.RecordBatch):
        return tuple(table.schema.names)
    if isinstance(table, pd.DataFrame) and len(table.columns):
        return _text_names(table)
    return None


def matrix_of(table: Any, names: Sequence[str] | None) -> Matrix:  # Any: whatever a caller hands to scikit-learn
    """The table as float64 rows in the order of `names`; missing values are NaN.

    A table without names, or a model without (`names` is None), is read by position.
    Raises `ColumnError` for missing, additional or repeated columns, for text and for infinite values.

    >>> matrix_of(pd.DataFrame({"b": [2], "a": [1]}), ["a", "b"])
    array([[1., 2.]])
    """
    matrix = np.ascontiguousarray(table) if _is_plain(table) else _checked(table, names)
    said = infinite(matrix, names)
    if said:
        raise ColumnError(said)
    return matrix


def _is_plain(table: Any) -> bool:  # Any: as above
    """Whether it is numbers in rows already: a lone row has no time for more checks."""
    return (
        type(table) is np.ndarray and table.ndim == _ROWS_AND_COLUMNS and table.dtype == np.float64 and table.size > 0
    )


def _checked(table: Any, names: Sequence[str] | None) -> Matrix:  # Any: as above
    if isinstance(table, pa.Table | pa.RecordBatch):
        table = table.to_pandas()
    if isinstance(table, pd.DataFrame):
        table = _numbers(_in_order(table, names))
    matrix = check_array(table, dtype=np.float64, order="C", ensure_all_finite=False, input_name="X")
    return np.asarray(matrix, dtype=np.float64)


def _text_names(frame: pd.DataFrame) -> tuple[str, ...] | None:
    texts = [isinstance(name, str) for name in frame.columns]
    if all(texts):
        return tuple(frame.columns)
    if any(texts):
        raise TypeError(  # the words of scikit-learn, whose checks look for them
            "Feature names are only supported if all input features have string names; "
            f"here {sum(texts)} of {len(texts)} columns have one."
        )
    return None


def _in_order(frame: pd.DataFrame, names: Sequence[str] | None) -> pd.DataFrame:
    found = names_of(frame)
    if names is None or found is None:
        return frame
    if len(set(found)) < len(found):
        repeated = sorted({name for name in found if found.count(name) > 1})
        raise ColumnError(f"columns appear twice: {_some(repeated)}; expected each feature once.")
    missing = [name for name in names if name not in set(found)]
    unknown = [name for name in found if name not in set(names)]
    if missing or unknown:
        parts = [f"missing {_some(missing)}"] if missing else []
        parts += [f"not known to the model {_some(unknown)}"] if unknown else []
        raise ColumnError(f"the columns are not those of the model: {'; '.join(parts)}. Give exactly its features.")
    return frame if tuple(names) == found else frame[list(names)]


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    for name, kind in frame.dtypes.items():
        if not (pd.api.types.is_numeric_dtype(kind) or kind == np.object_):
            raise ColumnError(f"column {name!r} holds {kind}; expected numbers, with NaN for missing.")
    if all(isinstance(kind, np.dtype) and kind != np.object_ for kind in frame.dtypes):
        return frame
    try:
        return pd.DataFrame(frame.to_numpy(dtype=np.float64, na_value=np.nan), columns=frame.columns)
    except (TypeError, ValueError):
        columns = [str(name) for name, kind in frame.dtypes.items() if kind == np.object_]
        raise ColumnError(f"columns {_some(columns)} hold something else than numbers; give numbers only.") from None


def _some(names: Sequence[str], *, most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
