"""Text in blocks of whole records, each with its line number, so that a reason can name the line it is about."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numba as nb
import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.user_events import IntArray

BLOCK = 1 << 23  # bytes read at a time
LONGEST_RECORD = 1 << 20  # bytes; longer is a quote that was never closed, or no text at all
UNCLOSED = -1  # instead of a number of fields
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",;\t|"
_NO_QUOTES = 256  # no byte
_NEWLINE, _RETURN = 10, 13


@dataclass(frozen=True, slots=True)
class Records:
    """Whole records of a text, one after the other."""

    text: NDArray[np.uint8]
    ends: IntArray  # where each record ends, its line end included
    fields: IntArray  # how many fields each has; 0 = a blank line, UNCLOSED = a quote that nothing closes
    lines: IntArray  # the line on which each begins, from 1
    heights: IntArray  # how many lines each has
    delimiter: str

    @property
    def starts(self) -> IntArray:
        """Where each record begins."""
        return np.concatenate([[0], self.ends[:-1]]).astype(np.int64)

    def record(self, number: int) -> str:
        """One record as text, without its line end."""
        return self.text[self.starts[number] : self.ends[number]].tobytes().decode().rstrip("\r\n")

    def only(self, chosen: NDArray[np.bool_]) -> bytes:
        """The text of some of the records."""
        if chosen.all():
            return self.text.tobytes()
        return self.text[np.repeat(chosen, self.ends - self.starts)].tobytes()


def records(stream: IO[bytes], *, name: str, quoted: bool, block_size: int = BLOCK) -> Iterator[Records]:
    """The records of a text in UTF-8; raises `BadInput` where it is not, with the line and the byte.

    Fields are divided by whichever of comma, semicolon, tab and bar the first line holds most of.
    """
    rest, line, place, delimiter = b"", 1, 0, ""
    while True:
        fresh = stream.read(block_size)
        block = rest + fresh
        if not delimiter:
            place = len(_BOM) if block.startswith(_BOM) else 0
            block = block[place:]
            delimiter = _delimiter(block[:LONGEST_RECORD].split(b"\n", 1)[0])
        text = np.frombuffer(block, dtype=np.uint8)
        ends, fields, newlines = _split(text, ord(delimiter), ord('"') if quoted else _NO_QUOTES, not fresh)
        used = int(ends[-1]) if len(ends) else 0
        if len(block) - used > LONGEST_RECORD:
            raise BadInput(f"{name} line {line + newlines.sum()} is longer than a megabyte; expected lines of text.")
        _check_utf8(block[:used], name=name, line=line, place=place)
        if used:
            yield Records(text[:used], ends, fields, line + np.cumsum(newlines) - newlines, newlines, delimiter)
        rest, line, place = block[used:], line + int(newlines.sum()), place + used
        if not fresh:
            return


def _delimiter(line: bytes) -> str:
    return max(_DELIMITERS, key=lambda each: line.count(each.encode()))  # the first of equals: a comma


def _check_utf8(block: bytes, *, name: str, line: int, place: int) -> None:
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line += block.count(b"\n", 0, error.start)
        found = "UTF-16" if place == 0 and block.startswith(_UTF_16) else "WINDOWS-1252"
        raise BadInput(
            f"{name} line {line} is not UTF-8: byte 0x{block[error.start]:02X} at position {place + error.start}; "
            f"expected UTF-8. Save it so, or convert it: iconv -f {found} -t UTF-8."
        ) from None


@nb.njit(nogil=True, cache=True)
def _split(text: NDArray[np.uint8], delimiter: int, quote: int, is_end: bool) -> tuple[IntArray, IntArray, IntArray]:
    """Where records end, their fields and their lines. A quote counts at the start of a field only, as in RFC 4180."""
    size = len(text)
    room = 1
    for byte in text:
        room += byte in (_NEWLINE, _RETURN)
    ends, fields, lines = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room, np.int64)
    count = place = 0
    while place < size:
        stop, field_count = _record(text, place, delimiter, quote, is_end)
        if stop < 0:
            break
        ends[count], fields[count] = stop, field_count
        lines[count] = max(1, np.sum(text[place:stop] == _NEWLINE))
        count += 1
        place = stop
    return ends[:count], fields[:count], lines[:count]


@nb.njit(nogil=True, cache=True)
def _record(text: NDArray[np.uint8], start: int, delimiter: int, quote: int, is_end: bool) -> tuple[int, int]:
    """The end of the record at `start` (-1: not in this block) and its fields."""
    size = len(text)
    place, field_count, field_start = start, 1, True
    while place < size:
        byte = text[place]
        if byte in (_NEWLINE, _RETURN):
            return _line_end(text, place, is_end), field_count if place > start else 0
        if field_start and byte == quote:
            closed = _quote_end(text, place + 1, min(size, start + LONGEST_RECORD), quote)
            if closed < 0:
                return _freed(text, start, is_end), UNCLOSED
            place = closed
        field_start = byte == delimiter
        field_count += field_start
        place += 1
    return (size if is_end else -1), field_count


@nb.njit(nogil=True, cache=True)
def _line_end(text: NDArray[np.uint8], place: int, is_end: bool) -> int:
    """Where the next record begins after the line end at `place`; -1 when a line feed may follow in the next block."""
    if text[place] == _NEWLINE:
        return place + 1
    if place + 1 == len(text):
        return place + 1 if is_end else -1
    return place + 2 if text[place + 1] == _NEWLINE else place + 1


@nb.njit(nogil=True, cache=True)
def _quote_end(text: NDArray[np.uint8], start: int, limit: int, quote: int) -> int:
    """Where the quote that closes a field stands (two in a row are a letter); -1 when there is none up to the limit."""
    place = start
    while place < limit:
        if text[place] == quote:
            if place + 1 == len(text) or text[place + 1] != quote:
                return place
            place += 1
        place += 1
    return -1


@nb.njit(nogil=True, cache=True)
def _freed(text: NDArray[np.uint8], start: int, is_end: bool) -> int:
    """The end of the first line of a record whose quote is not closed; -1 when it may be closed in the next block."""
    if not is_end and len(text) - start <= LONGEST_RECORD:
        return -1
    for place in range(start, len(text)):
        if text[place] == _NEWLINE:
            return place + 1
    return len(text)
