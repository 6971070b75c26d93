"""The contract of an event, and the check that every row passes or fails with a reason before it enters the log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import BadInput
from features.identity import text_buffers
from features.instants import (
    AMBIGUOUS,
    CODES,
    EARLIEST,
    FUTURE,
    MISSING,
    NAIVE,
    NONE,
    TOO_OLD,
    Instants,
    Mask,
    Problems,
    TimeRule,
    instants,
    null_mask,
)
from features.properties import as_text, from_columns
from features.user_events import IntArray
from features.windows import days, to_microseconds

PROPERTIES = pa.map_(pa.string(), pa.string())
EVENT_SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("event_id", pa.string()),  # never missing in the log
        pa.field("received_at", pa.timestamp("us", "UTC")),
        pa.field("properties", PROPERTIES),
    ]
)
_CODED = pa.dictionary(pa.int32(), pa.string())
CODED_SCHEMA = EVENT_SCHEMA.set(0, EVENT_SCHEMA.field("user_id").with_type(_CODED)).set(
    2, EVENT_SCHEMA.field("event").with_type(_CODED)
)  # a text that comes many times is checked, hashed and moved once
REJECTED_SCHEMA = pa.schema([(name, pa.string()) for name in ("place", "code", "reason", "row")])

LARGEST_VALUE = 1e15  # in either direction: sums of what is larger lose their cents, and at last overflow
LONGEST_TEXT = 1000  # bytes of a user id, an event kind or an event id; more is a row gone wrong
_UNSEEN = (  # zero-width characters, marks of direction, byte order marks, fillers: a text of them alone shows nothing
    r"^[\p{Z}\p{Cf}\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2800}\x{3164}\x{FE00}-\x{FE0F}"
    r"\x{FFA0}\x{E0100}-\x{E01EF}]+$"
)
_SHOWN = 60  # characters of a wrong value that a reason repeats
FUTURE_TOLERANCE = days(1)  # clocks of devices run ahead

_TIME_SENTENCES = {
    "bad": "is not a time; expected ISO 8601, for example 2026-12-01T09:00:00Z",
    "naive": "has no offset from UTC; expected one, as in 2026-12-01T09:00:00Z, or --timezone Europe/London",
    "ambiguous": "could mean several times; expected ISO 8601 such as 2026-12-01T09:00:00Z, or"
    " --time-format unix-s, unix-ms or a pattern such as '%d/%m/%Y'",
    "too_old": f"lies before {EARLIEST:%Y}; expected a time that somebody meant",
    "future": "lies in the future; expected at most a day ahead of now",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that did not get in."""

    place: str
    code: str
    reason: str
    row: str  # as it came: JSON, or a JSON text of a line that has no columns


@dataclass(frozen=True, slots=True)
class RawRows:
    """Some rows of one file as they came, their columns named as in the contract."""

    file: str
    unit: str  # what numbers count: "line" or "row"
    numbers: IntArray
    columns: Mapping[str, pa.Array]  # user_id, time, event and any of value, event_id, received_at; any type
    properties: pa.Array | None  # map<string, string>
    originals: pa.Table | pa.Array  # rows as read; an array holds them as JSON
    names: Mapping[str, str] = field(default_factory=dict)  # what the file calls its columns
    broken: tuple[Rejection, ...] = ()  # rows that could not even be taken apart

    def place(self, row: int) -> str:
        """Where a row stands, for example `events.csv line 41`."""
        return f"{self.file} {self.unit} {self.numbers[row]}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that keep the contract, and those that do not with the place and the reason."""

    coded: pa.Table  # the good ones, CODED_SCHEMA
    rejected: pa.Table  # REJECTED_SCHEMA

    @property
    def good(self) -> pa.Table:
        """The rows that keep the contract, as EVENT_SCHEMA."""
        return self.coded.cast(EVENT_SCHEMA)

    @property
    def read(self) -> int:
        """How many rows came in."""
        return int(self.coded.num_rows + self.rejected.num_rows)


def validate(raw: RawRows, *, rule: TimeRule, now: datetime, rule_works: bool = False, profiles: bool = False) -> Batch:
    """Every row either kept or rejected with the first reason found; `profiles` are of a kind that is ours.

    Raises `BadInput` when it is the file that is wrong and not a row: a column of a type that cannot hold what it
    should, or times none of which can be placed for want of a time zone or a format. Earlier rows of the file that came
    out good show that the rule works: then a time that it cannot read is the row's own fault.
    """
    checks = _Checks(raw, rule_works=rule_works)
    arrays = [
        checks.names("user_id"),
        checks.times("time", rule=rule, now=now, required=True),
        checks.names("event"),
        checks.number("value"),
        checks.ids("event_id"),
        checks.times("received_at", rule=rule, now=now, required=False),
        from_columns({}, rows=len(raw.numbers)) if raw.properties is None else raw.properties,
    ]
    if not profiles:
        checks.reserved("event", arrays[2])
    rows = pa.Table.from_arrays(arrays, schema=CODED_SCHEMA)
    good = checks.finding_of == 0
    return Batch(rows if good.all() else rows.filter(pa.array(good)), _rejected(raw, checks))


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is wrong with some rows: the first finding of a row is its reason."""

    code: str
    column: str
    sentence: str


class _Checks:
    """The checks of one batch: what they return is canonical, what they find is kept by row."""

    def __init__(self, raw: RawRows, *, rule_works: bool) -> None:
        self.raw = raw
        self.rule_works = rule_works
        self.findings = [_Finding("", "", "")]
        self.finding_of = np.zeros(len(raw.numbers), dtype=np.int64)  # a row's index into findings, 0 = nothing wrong

    def names(self, name: str) -> pa.DictionaryArray:
        """Texts that come many times and are never missing, as codes."""
        texts, fractions = self._texts(name)
        coded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        blank, unseen, long, control = (_rows_with(mask, coded) for mask in _problems_of_texts(coded.dictionary))
        self._reject_texts(name, fractions, long, control)
        self._reject(unseen, f"missing_{name}", name, "has no character that can be seen; expected a text")
        self._reject(blank | null_mask(coded.indices), f"missing_{name}", name, "is missing; expected a text")
        return coded

    def ids(self, name: str) -> pa.Array:
        """Texts that come once, or not at all."""
        if name not in self.raw.columns:
            return pa.nulls(len(self.raw.numbers), pa.string())
        texts, fractions = self._texts(name)
        texts = plain(texts)
        blank, unseen, long, control = _problems_of_texts(texts)
        self._reject_texts(name, fractions, long, control)
        nothing = blank | unseen
        return pc.if_else(pa.array(nothing), pa.scalar(None, pa.string()), texts) if nothing.any() else texts

    def reserved(self, name: str, kinds: pa.DictionaryArray) -> None:
        ours = pc.starts_with(kinds.dictionary, "$").to_numpy(zero_copy_only=False)
        self._reject(_rows_with(ours, kinds), f"reserved_{name}", name, "begins with $; expected a kind that does not")

    def times(self, name: str, *, rule: TimeRule, now: datetime, required: bool) -> pa.Array:
        if not required and name not in self.raw.columns:
            return pa.nulls(len(self.raw.numbers), pa.timestamp("us", "UTC"))
        column = self._column(name, pa.timestamp("us", "UTC"))
        try:
            read = instants(column, rule)
        except (TypeError, pa.ArrowInvalid):
            raise BadInput(f"{self._subject(name)} is of type {column.type}; expected times.") from None
        problems = _with_range(read, now)
        if not self.rule_works:
            self._refuse_file(name, problems, rule)
        missing = problems == MISSING
        found = np.flatnonzero(np.bincount(problems, minlength=len(CODES)))
        for problem, sentence in _TIME_SENTENCES.items():
            if CODES.index(problem) in found:
                self._reject(problems == CODES.index(problem), f"{problem}_{name}", name, sentence)
        if required:
            self._reject(missing, f"missing_{name}", name, "is missing; expected a time")
        return pa.array(read.times, mask=missing).cast(pa.timestamp("us", "UTC"))

    def number(self, name: str) -> pa.Array:
        column = self._column(name, pa.float64())
        try:
            numbers, bad = _as_numbers(column)
        except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise BadInput(f"{self._subject(name)} is of type {column.type}; expected numbers.") from None
        self._reject(
            bad, f"bad_{name}", name, f"is not a number up to {LARGEST_VALUE:g}; expected one such as 12.5, or nothing"
        )
        return numbers

    def _texts(self, name: str) -> tuple[pa.Array, Mask]:
        column = self.raw.columns.get(name, pa.nulls(len(self.raw.numbers), pa.string()))
        try:
            return _as_texts(column)
        except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise BadInput(
                f"{self._subject(name)} is of type {column.type}; expected texts or whole numbers."
            ) from None

    def _reject_texts(self, name: str, fractions: Mask, long: Mask, control: Mask) -> None:
        self._reject(fractions, f"bad_{name}", name, "is a fraction; expected a text or a whole number")
        self._reject(long, f"long_{name}", name, f"is longer than {LONGEST_TEXT} bytes; expected an id or a name")
        self._reject(control, f"bad_{name}", name, "holds a control character; expected plain text")

    def _column(self, name: str, otherwise: pa.DataType) -> pa.Array:
        column = self.raw.columns.get(name)
        return pa.nulls(len(self.raw.numbers), otherwise) if column is None else plain(column)

    def _subject(self, name: str) -> str:
        return f"{self.raw.file}: column {self.raw.names.get(name, name)!r}"

    def _reject(self, rows: Mask, code: str, name: str, sentence: str) -> None:
        if rows.any():
            self.finding_of[rows & (self.finding_of == 0)] = len(self.findings)
            self.findings.append(_Finding(code, name, sentence))

    def _refuse_file(self, name: str, problems: Problems, rule: TimeRule) -> None:
        """When no row of a batch can be placed, one setting is missing and not a hundred thousand rows wrong."""
        if (problems == NONE).any():
            return
        given = np.flatnonzero(problems != MISSING)
        hopeless = given[np.isin(problems[given], [NAIVE, AMBIGUOUS, *([TOO_OLD, FUTURE] if rule.format else [])])]
        if 2 * len(hopeless) > len(given):
            found = self.raw.columns[name][int(hopeless[0])].as_py()
            sentence = _TIME_SENTENCES[CODES[problems[hopeless[0]]]]
            hint = f" Is {rule.format} the right --time-format?" if rule.format else ""
            raise BadInput(f"{self._subject(name)}: none of its times can be used. '{found}', {sentence}.{hint}")


def plain(column: pa.Array) -> pa.Array:
    """The column without dictionary, extension or the wider layouts of text."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = plain(column.dictionary).take(column.indices)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    return column


def _as_texts(column: pa.Array) -> tuple[pa.Array, Mask]:
    """Texts or codes of them, and which rows are fractions: pandas makes floats of whole ids when one is missing."""
    nothing = np.zeros(len(column), dtype=bool)
    if column.type == _CODED and not column.dictionary.null_count:
        return column, nothing
    column = plain(column)
    kind = column.type
    if pa.types.is_floating(kind):
        numbers = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        with np.errstate(invalid="ignore"):
            whole = (np.rint(numbers) == numbers) & (np.abs(numbers) < 2**53)
        texts = pa.array(np.where(whole, numbers, 0).astype(np.int64), mask=~whole).cast(pa.string())
        return texts, ~whole & ~np.isnan(numbers)
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_binary(kind) or pa.types.is_boolean(kind):
        raise TypeError(str(kind))
    return column.cast(pa.string()), nothing


def _rows_with(mask: Mask, coded: pa.DictionaryArray) -> Mask:
    """The rows whose text is among those of the mask."""
    if not mask.any():
        return np.zeros(len(coded), dtype=bool)
    found: Mask = np.append(mask, False)[coded.indices.fill_null(len(mask)).to_numpy()]
    return found


def _problems_of_texts(texts: pa.Array) -> tuple[Mask, Mask, Mask, Mask]:
    """Which texts are blank, invisible, too long, or hold control characters; null is none of it."""
    lengths = pc.binary_length(texts).fill_null(1).to_numpy()
    blank = (lengths == 0) | _as_mask(pc.utf8_is_space(texts))
    if _is_plain_ascii(texts):  # as most ids are, which their bytes say ten times as fast as the expressions would
        unseen = control = np.zeros(len(texts), dtype=bool)
    else:
        unseen, control = (_as_mask(pc.match_substring_regex(texts, pattern=each)) for each in (_UNSEEN, r"\p{Cc}"))
    return blank, unseen & ~blank, lengths > LONGEST_TEXT, control & ~blank


def _is_plain_ascii(texts: pa.Array) -> bool:
    """Whether no byte is that of a control character or of a character beyond ASCII."""
    starts, letters = text_buffers(texts)
    letters = letters[starts[0] : starts[-1]]
    return not len(letters) or (int(letters.min()) >= ord(" ") and int(letters.max()) <= ord("~"))


def _as_mask(found: pa.Array) -> Mask:
    mask: Mask = found.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def _as_numbers(column: pa.Array) -> tuple[pa.Array, Mask]:
    """Finite float64 (missing: null) and which rows were something else; NaN counts as missing unless it is text."""
    kind = column.type
    if pa.types.is_string(kind):
        numbers, bad = _numbers_from_text(column)
    elif pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_binary(kind):
        raise TypeError(str(kind))
    else:
        numbers, bad = column.cast(pa.float64(), safe=False), np.zeros(len(column), dtype=bool)
    values = numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        absurd = np.abs(values) > LARGEST_VALUE
    return pa.array(values + 0.0, mask=np.isnan(values) | absurd), bad | absurd  # + 0.0: -0.0 is 0


def _numbers_from_text(texts: pa.Array) -> tuple[pa.Array, Mask]:
    texts = pc.utf8_trim_whitespace(texts)
    empty = pc.equal(texts, "").fill_null(True)
    numeric = pc.match_substring_regex(
        texts, pattern=r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"
    ).fill_null(False)
    numbers = pc.if_else(numeric, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    return numbers, pc.invert(pc.or_(numeric, empty)).to_numpy(zero_copy_only=False)


def _with_range(read: Instants, now: datetime) -> Problems:
    problems = read.problems.copy()
    known = problems == NONE
    problems[known & (read.times < to_microseconds(EARLIEST))] = TOO_OLD
    problems[known & (read.times > to_microseconds(now + FUTURE_TOLERANCE))] = FUTURE
    return problems


def _rejected(raw: RawRows, checks: _Checks) -> pa.Table:
    rows = np.flatnonzero(checks.finding_of)
    originals = raw.originals.take(pa.array(rows)).to_pylist()
    rejections = list(raw.broken)
    for row, original in zip(rows.tolist(), originals, strict=True):
        finding = checks.findings[int(checks.finding_of[row])]
        column = raw.columns.get(finding.column)
        found = "" if column is None or finding.code.startswith("missing") else f" {_shown(column[row].as_py())}"
        reason = f"{finding.column}{found} {finding.sentence}"
        rejections.append(Rejection(raw.place(row), finding.code, reason, _as_json(original)))
    columns = [[getattr(each, name) for each in rejections] for name in REJECTED_SCHEMA.names]
    return pa.table(columns, schema=REJECTED_SCHEMA)


def _shown(found: object) -> str:
    text = repr(found) if isinstance(found, str) else str(found)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _as_json(original: object) -> str:
    return original if isinstance(original, str) else as_text(original)
