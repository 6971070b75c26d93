"""One row through a booster by LightGBM's quick way for it, which its Python package has no method for.

`Booster.predict` takes some fifty microseconds for a row, nearly all of them in Python; the fast path of the C API
takes a few. The bits are the same: both add up the leaves in the order of the trees.
"""

import ctypes
import threading
import weakref
from typing import Any

import lightgbm
import numpy as np
from lightgbm.basic import _LIB, _safe_call  # type: ignore[attr-defined] # its own door to C: there is no public one
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_RAW_SCORE, _FLOAT64 = 1, 1  # C_API_PREDICT_RAW_SCORE, C_API_DTYPE_FLOAT64
_ALL_TREES = -1
_library: Any = _LIB  # Any: a library of C


class LoneRow:
    """The margin of one row at a time; safe to share between threads."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster  # what is made here points into it
        self._row = np.empty(booster.num_feature())
        self._margin, self._length = ctypes.c_double(), ctypes.c_int64()
        self._prepared = ctypes.c_void_p()
        self._given = ctypes.c_void_p(self._row.ctypes.data)
        self._into = (ctypes.byref(self._length), ctypes.byref(self._margin))
        self._lock = threading.Lock()
        _safe_call(
            _library.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster._handle,
                ctypes.c_int(_RAW_SCORE),
                ctypes.c_int(0),
                ctypes.c_int(_ALL_TREES),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(len(self._row)),
                b"num_threads=1",
                ctypes.byref(self._prepared),
            )
        )
        weakref.finalize(self, _library.LGBM_FastConfigFree, self._prepared)

    def __reduce__(self) -> tuple[type["LoneRow"], tuple[lightgbm.Booster]]:
        return LoneRow, (self._booster,)

    def margin(self, row: Floats) -> float:
        """The log-odds of a row of as many features as the booster has."""
        with self._lock:
            self._row[:] = row
            _safe_call(_library.LGBM_BoosterPredictForMatSingleRowFast(self._prepared, self._given, *self._into))
            return self._margin.value
