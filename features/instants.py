"""When an event happened, from whatever a file writes: instants in UTC, or the reason why a time is refused.

Nothing is guessed: a time without an offset needs a time zone, a bare number its unit, `03/04/2026` its order.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.errors import BadInput
from features.user_events import FloatArray, IntArray
from features.windows import local_to_utc, to_microseconds, utc, zone_named

EARLIEST = utc("1990-01-01")  # before that, a time is a mistake: 1970 is what a lost number looks like
_LATEST = to_microseconds(utc("2200-01-01"))
_MICROSECONDS = {"unix-s": 1_000_000, "unix-ms": 1_000}

_CLOCK = r"([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d([.]\d{1,6})?)?)?"
_NAIVE = rf"^\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ]{_CLOCK})?$"
_AWARE = rf"^\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]{_CLOCK}(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)$"
_AMBIGUOUS = r"^(-?\d+([.]\d*)?([eE][+]?\d+)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}.*)$"

CODES = ("", "missing", "bad", "naive", "ambiguous", "too_old", "future")  # of what can be wrong with a time
NONE, MISSING, BAD, NAIVE, AMBIGUOUS, TOO_OLD, FUTURE = (np.int8(code) for code in range(len(CODES)))
Problems = NDArray[np.int8]  # an index into CODES a row: texts would cost more than reading the times
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TimeRule:
    """What a file does not say about its times.

    `timezone` is an IANA name for times without an offset; `format` is `unix-s`, `unix-ms` or a pattern such as
    `%d/%m/%Y %H:%M` for times that are not ISO 8601.
    """

    timezone: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None:
            zone_named(self.timezone)
        if self.format is not None and self.format not in _MICROSECONDS and "%" not in self.format:
            raise BadInput(
                f"{self.format!r} is not a time format; expected unix-s, unix-ms or a pattern such as '%d/%m/%Y %H:%M'."
            )


@dataclass(frozen=True, slots=True)
class Instants:
    """Microseconds since 1970 UTC where a time was understood, and a code for every other row."""

    times: IntArray
    problems: Problems  # up to AMBIGUOUS


def instants(column: pa.Array, rule: TimeRule) -> Instants:
    """The instants that a column of times means; raises `TypeError` for a type that holds no times."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return _typed(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _placed(_typed(column), rule)
    if pa.types.is_string(kind):
        return _from_text(column, rule)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_numbers(column, rule)
    if pa.types.is_null(kind):
        return Instants(np.zeros(len(column), dtype=np.int64), np.full(len(column), MISSING))
    raise TypeError(str(kind))


def null_mask(column: pa.Array) -> Mask:
    """Which rows are null."""
    mask: Mask = column.is_null().to_numpy(zero_copy_only=False)
    return mask


def _typed(column: pa.Array) -> Instants:
    zone = getattr(column.type, "tz", None)
    nanoseconds = getattr(column.type, "unit", "") == "ns"
    exact = column.cast(pa.timestamp("us", zone), safe=not nanoseconds)  # what is below a microsecond is cut off
    return _read(exact)


def _read(stamps: pa.Array) -> Instants:
    times = stamps.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return Instants(times, np.where(null_mask(stamps), MISSING, NONE))


def _placed(local: Instants, rule: TimeRule) -> Instants:
    """Local times put on the time line by the rule's time zone; without one they stay naive."""
    if rule.timezone is not None:
        return Instants(local_to_utc(local.times, timezone=rule.timezone), local.problems)
    return Instants(local.times, np.where(local.problems == NONE, NAIVE, local.problems))


def _from_text(texts: pa.Array, rule: TimeRule) -> Instants:
    if rule.format in _MICROSECONDS:
        return _from_numeric_text(texts, rule)
    if rule.format is not None:
        return _from_pattern(texts, rule)
    try:
        return _read(texts.cast(pa.timestamp("us", "UTC")))  # the common case: every row is ISO 8601 with an offset
    except pa.ArrowInvalid:
        return _row_by_row(texts, rule)


def _row_by_row(texts: pa.Array, rule: TimeRule) -> Instants:
    texts = _spelled_alike(texts)
    real = _names_a_day(texts)
    aware, naive = _matches(texts, _AWARE) & real, _matches(texts, _NAIVE) & real
    problems = np.where(_matches(texts, _AMBIGUOUS), AMBIGUOUS, BAD)
    problems[null_mask(texts)] = MISSING
    problems[_matches(texts, _NAIVE)] = BAD
    times = np.zeros(len(texts), dtype=np.int64)
    times[aware] = _read(texts.filter(pa.array(aware)).cast(pa.timestamp("us", "UTC"))).times
    problems[aware] = NONE
    placed = _placed(_read(texts.filter(pa.array(naive)).cast(pa.timestamp("us"))), rule)
    times[naive], problems[naive] = placed.times, placed.problems
    return Instants(times, problems)


def _spelled_alike(texts: pa.Array) -> pa.Array:
    """`… UTC` and ` +00:00` as ISO 8601 writes them, six digits of a second at most, trimmed; blank is null."""
    texts = pc.utf8_trim_whitespace(texts)
    texts = pc.replace_substring_regex(texts, pattern=r"(:\d\d) ?(UTC|GMT|Z)$", replacement=r"\1Z")
    texts = pc.replace_substring_regex(texts, pattern=r"(:\d\d([.]\d+)?) ([+-]\d\d:?\d\d)$", replacement=r"\1\3")
    texts = pc.replace_substring_regex(texts, pattern=r"([.]\d{6})\d+", replacement=r"\1")
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _names_a_day(texts: pa.Array) -> Mask:
    days = pc.utf8_slice_codeunits(texts, 0, 10).dictionary_encode()
    real = np.array([_is_day(day) for day in days.dictionary.to_pylist()] + [False], dtype=bool)
    found: Mask = real[days.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return found


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is not None


def _from_pattern(texts: pa.Array, rule: TimeRule) -> Instants:
    coded = texts.dictionary_encode()
    moments = [_moment(text, rule.format or "") for text in coded.dictionary.to_pylist()] + [None]
    rows = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    known = np.array([moment is not None for moment in moments])
    aware = np.array([moment is not None and moment.tzinfo is not None for moment in moments])
    stamps = [0 if m is None else to_microseconds(m if m.tzinfo else m.replace(tzinfo=UTC)) for m in moments]
    times = np.array(stamps, dtype=np.int64)[rows]
    problems = np.where(null_mask(texts), MISSING, np.where(known[rows], NONE, BAD))
    placed = _placed(Instants(times, problems), rule)
    return Instants(np.where(aware[rows], times, placed.times), np.where(aware[rows], problems, placed.problems))


def _moment(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), pattern)  # noqa: DTZ007 - the time zone comes from the rule
    except ValueError:
        return None


def _from_numeric_text(texts: pa.Array, rule: TimeRule) -> Instants:
    texts = _spelled_alike(texts)
    numeric = _matches(texts, r"^-?\d{1,18}([.]\d+)?$")
    whole = not _matches(texts, "[.]").any()
    numbers = pc.if_else(pa.array(numeric), texts, pa.scalar(None, pa.string()))
    read = _from_numbers(numbers.cast(pa.int64() if whole else pa.float64()), rule)
    return Instants(read.times, np.where(~numeric & ~null_mask(texts), BAD, read.problems))


def _from_numbers(numbers: pa.Array, rule: TimeRule) -> Instants:
    missing = null_mask(numbers)
    if rule.format not in _MICROSECONDS:
        problems = np.where(missing, MISSING, AMBIGUOUS)
        return Instants(np.zeros(len(numbers), dtype=np.int64), problems)
    if pa.types.is_floating(numbers.type):
        values: FloatArray = numbers.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, values) * _MICROSECONDS[rule.format]
        times = np.rint(np.clip(scaled, 0, _LATEST)).astype(np.int64)
    else:
        whole = numbers.cast(pa.int64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
        times = np.clip(whole, 0, _LATEST // _MICROSECONDS[rule.format]) * _MICROSECONDS[rule.format]
    return Instants(times, np.where(missing, MISSING, NONE))


def _matches(texts: pa.Array, pattern: str) -> Mask:
    found = pc.match_substring_regex(texts, pattern=pattern).fill_null(False)
    mask: Mask = found.to_numpy(zero_copy_only=False)
    return mask
