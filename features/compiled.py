"""Operators as machine code that the kernel calls by address: one dispatch for all, and nothing is compiled twice.

What they see is lent to them from the kernel's tables.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from features import operators
from features.operators import ActiveDays

_TYPES: Any = numba.types  # Any here and below: Numba ships no types
_CODE: Any = cgutils  # as above
_ARRAYS: Any = arrayobj
_NUMBERS = numba.float64[::1]
_ACTIVE_DAYS = _TYPES.NamedTuple(
    (numba.int64[::1], _NUMBERS, _NUMBERS, _NUMBERS, numba.int64, numba.float64, numba.float64, numba.int64, _NUMBERS),
    ActiveDays,
)
_SIGNATURE: Any = numba.float64(_ACTIVE_DAYS)
_ALIVE: list[Any] = []  # machine code is freed with the object that compiled it


def address_of(function: Callable[[ActiveDays], float]) -> int:
    """The address of a compiled operator; ours are kept on disk, a user's is compiled when its file is loaded."""
    is_ours = function.__module__ == operators.__name__  # a file of the user's has no place where its copy could lie
    dispatcher = numba.njit(_SIGNATURE, cache=is_ours, nogil=True, error_model="numpy")(function)
    _ALIVE.append(dispatcher)
    compiled = dispatcher.overloads[_SIGNATURE.args]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def _call_operator(_context: Any, address: Any, active: Any) -> Any:
    """Call the operator at an address, by Numba's own convention for calls between compiled functions."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        kind = context.call_conv.get_function_type(_SIGNATURE.return_type, _SIGNATURE.args)
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        status, answer = context.call_conv.call_function(
            builder, function, _SIGNATURE.return_type, _SIGNATURE.args, arguments[1:]
        )
        with _CODE.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return answer

    return _SIGNATURE.return_type(address, active), generate


def _lent(_context: Any, table: Any, row: Any, length: Any) -> Any:
    """The first numbers of a row of a table as an array that nobody counts references to.

    An ordinary slice takes part in the counting, with atomic operations that cost more than a small operator does.
    It may not outlive the table.
    """
    array = _TYPES.Array(table.dtype, 1, "C")

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        given = context.make_array(table)(context, builder, arguments[0])
        start = builder.mul(arguments[1], _CODE.unpack_tuple(builder, given.shape)[1])
        view = context.make_array(array)(context, builder)
        _ARRAYS.populate_array(
            view,
            data=builder.gep(given.data, [start]),
            shape=_CODE.pack_array(builder, [arguments[2]]),
            strides=_CODE.pack_array(builder, [given.itemsize]),
            itemsize=given.itemsize,
            meminfo=None,
        )
        return view._getvalue()

    return array(table, row, length), generate


call_operator: Any = intrinsic(_call_operator)
lent: Any = intrinsic(_lent)
