"""Which bucket a user lives in, and the id of an event that came without one.

Both are part of what is stored, so they must never change: the bucket is CRC-32 (ISO 3309) of the user id's UTF-8
bytes, the derived id is XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) of the content.
"""

from zlib import crc32

import numba as nb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.user_events import IntArray

Hashes = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_MISSING = np.uint64(0x6D697373696E6721)  # stands for a missing value, which is not the same as 0
_STRIPE = 32  # bytes
_CRC32 = np.array([crc32(bytes([byte ^ 0xFF])) ^ 0xFF000000 for byte in range(256)], dtype=np.uint32)  # its table
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def bucket_of(user_id: str, buckets: int) -> int:
    """The bucket that holds all events of a user.

    >>> bucket_of("ada", 16)
    8
    """
    return crc32(user_id.encode()) % buckets


def buckets_of(user_ids: pa.Array, buckets: int) -> NDArray[np.int32]:
    """The bucket of every row."""
    return (_crc32(*text_buffers(user_ids)) % np.uint32(buckets)).astype(np.int32)


def content_ids(rows: pa.Table, source: IntArray, users: IntArray, *, twins_among: IntArray | None = None) -> pa.Array:
    """The ids of events without one, from their content and its occurrence number for that user within its source.

    `source` numbers the source of each row and `users` codes its user. The content is the time, the kind, the value
    and the properties (in any order): 16 hex digits, and `-2`, `-3` … for honest twins within one source. Who knows
    which rows share their user and time with others names those, ascending, and saves the search among all.
    """
    hashes = content_hashes(rows)
    digits = hex_text(hashes)
    among = np.arange(len(hashes)) if twins_among is None else twins_among
    twins, occurrence = _occurrences(hashes, source, users, among=among)
    if not len(twins):
        return digits
    suffixed = [f"{digits[int(row)].as_py()}-{number}" for row, number in zip(twins, occurrence, strict=True)]
    mask = np.zeros(len(digits), dtype=bool)
    mask[twins] = True
    return pc.replace_with_mask(digits, mask, pa.array(suffixed, pa.string()))


def content_hashes(rows: pa.Table) -> Hashes:
    """64 bits of time, kind, value and properties for every row: XXH64 field by field, each seeded with the last."""
    count = rows.num_rows
    hashes = np.zeros(count, dtype=np.uint64)
    _mix_numbers(hashes, column(rows, "time").cast(pa.int64()).to_numpy().view(np.uint64))
    _mix_coded(hashes, column(rows, "event"))
    _mix_numbers(hashes, _value_bits(column(rows, "value")))
    properties = column(rows, "properties")
    starts = np.frombuffer(properties.buffers()[1], dtype=np.int32)[properties.offset :][: count + 1]
    pairs = np.zeros(len(properties.keys), dtype=np.uint64)
    _mix_texts(pairs, *text_buffers(properties.keys))
    _mix_texts(pairs, *text_buffers(properties.items))
    _mix_numbers(hashes, _sums(pairs, starts.astype(np.int64) - np.int64(properties.keys.offset)))
    return hashes


def hex_text(hashes: Hashes) -> pa.Array:
    """16 digits for each."""
    text = np.empty(len(hashes) * 16, dtype=np.uint8)
    _write_hex(hashes, text)
    offsets = np.arange(0, len(text) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(hashes), pa.py_buffer(offsets), pa.py_buffer(text))


def xxh64(content: bytes, seed: int = 0) -> int:
    """XXH64 of some bytes.

    >>> f"{xxh64(b''):x}"
    'ef46db3751d8e999'
    """
    return int(_xxh64(np.frombuffer(content, dtype=np.uint8), 0, len(content), np.uint64(seed)))


def column(rows: pa.Table, name: str) -> pa.Array:
    """A table's column in one piece."""
    chunked = rows.column(name)
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()


def text_buffers(texts: pa.Array) -> tuple[NDArray[np.int32], Bytes]:
    """Where each text begins and the last one ends, and the bytes of all."""
    _, offsets, content = texts.buffers()
    starts = np.zeros(1, dtype=np.int32) if offsets is None else np.frombuffer(offsets, dtype=np.int32)
    empty = np.zeros(0, dtype=np.uint8)
    letters = empty if content is None else np.frombuffer(content, dtype=np.uint8)
    return starts[texts.offset :][: len(texts) + 1], letters


def _value_bits(values: pa.Array) -> Hashes:
    missing = values.is_null().to_numpy(zero_copy_only=False)
    bits: Hashes = values.fill_null(0.0).to_numpy().view(np.uint64).copy()
    bits[missing] = _MISSING
    return bits


def _mix_coded(hashes: Hashes, texts: pa.Array) -> None:
    """The same as mixing in each row's text, from codes if there are any."""
    coded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    starts, content = text_buffers(coded.dictionary)
    _mix_chosen_texts(hashes, coded.indices.to_numpy(), starts, content)


def _occurrences(hashes: Hashes, source: IntArray, users: IntArray, *, among: IntArray) -> tuple[IntArray, IntArray]:
    """The rows that repeat the content of an earlier row of the same user and source, and which repetition each is."""
    order = among[np.argsort(hashes[among])]
    equal = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    seen_twice = np.unique(
        np.concatenate([order[equal], order[equal + 1]])
    )  # few: sorting all rows by three keys is slow
    order = seen_twice[np.lexsort((source[seen_twice], users[seen_twice], hashes[seen_twice]))]
    same = np.zeros(len(order), dtype=bool)
    before, after = order[:-1], order[1:]
    same[1:] = (hashes[before] == hashes[after]) & (users[before] == users[after]) & (source[before] == source[after])
    place = np.arange(len(order))
    first = np.maximum.accumulate(np.where(same, 0, place))
    return order[same], (place - first)[same] + 1


@nb.njit(nogil=True, cache=True)
def _crc32(starts: NDArray[np.int32], content: Bytes) -> NDArray[np.uint32]:
    sums = np.empty(len(starts) - 1, dtype=np.uint32)
    for row in range(len(sums)):
        rest = np.uint32(0xFFFFFFFF)
        for place in range(starts[row], starts[row + 1]):
            rest = _CRC32[np.uint8(rest ^ content[place])] ^ (rest >> np.uint32(8))
        sums[row] = ~rest
    return sums


@nb.njit(nogil=True, cache=True)
def _write_hex(hashes: Hashes, text: Bytes) -> None:
    for row in range(len(hashes)):
        rest = hashes[row]
        for digit in range(15, -1, -1):
            text[row * 16 + digit] = _HEX[rest & np.uint64(15)]
            rest >>= np.uint64(4)


@nb.njit(nogil=True, cache=True)
def _sums(pairs: Hashes, starts: IntArray) -> Hashes:
    sums = np.zeros(len(starts) - 1, dtype=np.uint64)
    for row in range(len(sums)):
        for pair in range(starts[row], starts[row + 1]):
            sums[row] += pairs[pair]
    return sums


@nb.njit(nogil=True, cache=True)
def _mix_numbers(hashes: Hashes, numbers: Hashes) -> None:
    """Replace each hash by XXH64 of the number's 8 little-endian bytes, seeded with the hash."""
    for row in range(len(hashes)):
        word = _tail_word(hashes[row] + _P5 + np.uint64(8), numbers[row])
        hashes[row] = _avalanche(word)


@nb.njit(nogil=True, cache=True)
def _mix_texts(hashes: Hashes, starts: NDArray[np.int32], content: Bytes) -> None:
    """Replace each hash by XXH64 of the text's UTF-8 bytes, seeded with the hash."""
    for row in range(len(hashes)):
        hashes[row] = _xxh64(content, starts[row], starts[row + 1], hashes[row])


@nb.njit(nogil=True, cache=True)
def _mix_chosen_texts(hashes: Hashes, chosen: NDArray[np.int32], starts: NDArray[np.int32], content: Bytes) -> None:
    """The same with the text of each row chosen among some."""
    for row in range(len(hashes)):
        text = chosen[row]
        hashes[row] = _xxh64(content, starts[text], starts[text + 1], hashes[row])


@nb.njit(nogil=True, cache=True)
def _rotate(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@nb.njit(nogil=True, cache=True)
def _avalanche(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> np.uint64(33))) * _P2
    word = (word ^ (word >> np.uint64(29))) * _P3
    return word ^ (word >> np.uint64(32))


@nb.njit(nogil=True, cache=True)
def _round(state: np.uint64, word: np.uint64) -> np.uint64:
    return _rotate(state + word * _P2, 31) * _P1


@nb.njit(nogil=True, cache=True)
def _tail_word(state: np.uint64, word: np.uint64) -> np.uint64:
    return _rotate(state ^ _round(np.uint64(0), word), 27) * _P1 + _P4


@nb.njit(nogil=True, cache=True)
def _word(content: Bytes, start: int, size: int) -> np.uint64:
    word = np.uint64(0)
    for place in range(size):
        word |= np.uint64(content[start + place]) << np.uint64(8 * place)
    return word


@nb.njit(nogil=True, cache=True)
def _stripes(content: Bytes, start: int, stop: int, seed: np.uint64) -> np.uint64:
    """The four-lane part of XXH64, for texts of 32 bytes and more."""
    a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
    while start + _STRIPE <= stop:
        a = _round(a, _word(content, start, 8))
        b = _round(b, _word(content, start + 8, 8))
        c = _round(c, _word(content, start + 16, 8))
        d = _round(d, _word(content, start + 24, 8))
        start += _STRIPE
    state = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
    for lane in (a, b, c, d):
        state = (state ^ _round(np.uint64(0), lane)) * _P1 + _P4
    return state


@nb.njit(nogil=True, cache=True)
def _xxh64(content: Bytes, start: int, stop: int, seed: np.uint64) -> np.uint64:
    length = stop - start
    state = _stripes(content, start, stop, seed) if length >= _STRIPE else seed + _P5
    start += length // _STRIPE * _STRIPE
    state += np.uint64(length)
    while start + 8 <= stop:
        state = _tail_word(state, _word(content, start, 8))
        start += 8
    if start + 4 <= stop:
        state = _rotate(state ^ (_word(content, start, 4) * _P1), 23) * _P2 + _P3
        start += 4
    while start < stop:
        state = _rotate(state ^ (np.uint64(content[start]) * _P5), 11) * _P1
        start += 1
    return _avalanche(state)
