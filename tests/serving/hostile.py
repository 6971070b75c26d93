"""Bodies that break services: of what every address takes, with each value made hostile, and of no use at all."""

import copy
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving.encodings import zstd
from serving.rules import JSON, PARQUET

PLACE = "@here@"
VALUES = {
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "1e400": b"1e400",
    "a number of 5,000 digits": b"9" * 5_000,
    "a lone surrogate": b'"\\ud800"',
    "a surrogate as bytes": b'"\xed\xa0\x80"',
    "a NUL": b'"\\u0000"',
    "half a megabyte": b'"' + b"x" * 500_000 + b'"',
    "20,000 lists": b"[" * 20_000 + b"]" * 20_000,
    "20,000 lists without end": b"[" * 20_000,
    "5,000 objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "many keys": b"{" + b",".join(b'"k%d":1' % key for key in range(5_000)) + b"}",
    "many things": b"[" + b"1," * 50_000 + b"1]",
    "a twin key": b'{"a":1,"a":2}',
    "nothing": b"null",
    "true": b"true",
    "an integer": b"20261101",
    "an empty text": b'""',
}
JUNK = {
    "nothing": b"",
    "spaces": b" " * 10_000,
    "a brace": b"{",
    "a NUL": b"\x00",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "latin-1": '{"é": "ü"}'.encode("latin-1"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half a character": b'{"user_ids": ["\xe4\xbd',
    "line breaks": b"\n" * 100_000,
    "HTML": b"<html><script>alert(1)</script></html>",
    "a form": b"a=1&b=2",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "37 MB of spaces": b" " * 37_000_000,
    "37 MB of lists": b"[" * 37_000_000,
}


@dataclass(frozen=True)
class Hostile:
    """A request's body and headers that no client of ours would send."""

    name: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def bodies(kind: str, example: Any) -> Iterator[Hostile]:  # Any: JSON
    """Hostile bodies for an address that takes this kind of body; `example` is one that it takes."""
    good = json.dumps(example).encode() if kind != PARQUET else _parquet({"user_id": ["ada"], "spend_56d": [1.0]})
    told = {"content-type": kind}
    for name, junk in JUNK.items():
        yield Hostile(name, junk, told)
    if kind == PARQUET:
        yield from _of_parquet(told)
    else:
        for where, template in _templates(example):
            for name, value in VALUES.items():
                yield Hostile(f"{name} at {where}", template.replace(f'"{PLACE}"'.encode(), value), told)
    for share in (1, len(good) // 2, len(good) - 1):
        yield Hostile(f"the first {share} bytes", good[:share], told)
    yield from _packed(good, told)
    for other in (
        "text/plain",
        "",
        "application/xml",
        "multipart/form-data; boundary=x",
        f"{JSON}; charset=utf-16",
        "a" * 9_000,
    ):
        yield Hostile(f"as {other[:40]!r}", good, {"content-type": other})


def _packed(good: bytes, told: dict[str, str]) -> Iterator[Hostile]:
    bomb = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    gzipped = b"".join(bomb.compress(bytes(10_000_000)) for _ in range(30)) + bomb.flush()
    of_gzip = {
        "a bomb of 300 MB": gzipped,
        "a bomb in a bomb": gzip.compress(gzipped),
        "a bomb of many parts": gzip.compress(b"") * 20_000,
        "that is none": good,
        "that breaks off": gzip.compress(good)[:-5],
        "with a wrong sum": gzip.compress(good)[:-8] + bytes(8),
        "of nothing": gzip.compress(b""),
    }
    of_zstd = {
        "a bomb of 300 MB": zstd.compress(bytes(300_000_000)),
        "that is none": good,
        "that breaks off": zstd.compress(good)[:-3],
        "with a window of 2 GB": b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(20),
        "of nothing": zstd.compress(b""),
    }
    for encoding, packed in (("gzip", of_gzip), ("zstd", of_zstd)):
        for name, body in packed.items():
            yield Hostile(f"{encoding} {name}", body, {**told, "content-encoding": encoding})
    for encoding in ("br", "gzip, gzip", "x" * 5_000):
        yield Hostile(f"packed as {encoding[:20]}", good, {**told, "content-encoding": encoding})


def _of_parquet(told: dict[str, str]) -> Iterator[Hostile]:
    rows = 20_000_000
    same = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), ["x" * 1_000_000])
    runs = pa.chunked_array(
        [pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), ["x"])] * (rows // 1_000_000)
    )
    moment = pa.chunked_array(
        [pa.array([1_700_000_000_000_000] * 1_000_000, pa.timestamp("us", "UTC"))] * (rows // 1_000_000)
    )
    yield Hostile("a gigabyte of one text", _parquet({"user_id": same, "spend_56d": [1.0] * 1_000}), told)
    yield Hostile("20 million events", _parquet({"user_id": runs, "event": runs, "time": moment}), told)
    yield Hostile("lists", _parquet({"user_id": ["ada"], "spend_56d": [[1.0]]}), told)
    yield Hostile("no rows", _parquet({"user_id": pa.array([], pa.string())}), told)
    yield Hostile(
        "times of other worlds",
        _parquet(
            {
                "user_id": ["ada"],
                "event": ["visit"],
                "time": pa.array([2**62], pa.timestamp("us", "UTC")),
            }
        ),
        told,
    )
    whole = _parquet({"user_id": ["ada"], "spend_56d": [1.0]})
    for place in range(0, len(whole), 97):  # a byte wrong here and there
        yield Hostile(f"byte {place}", whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :], told)


def _parquet(columns: dict[str, Any]) -> bytes:  # Any: what a column is made of
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", row_group_size=50_000_000)
    return sink.getvalue()


def _templates(example: Any) -> Iterator[tuple[str, bytes]]:  # Any: JSON
    """The example with each of its values in turn replaced by a mark; and with a field of which nobody knows."""
    yield "the whole", f'"{PLACE}"'.encode()
    for path in _paths(example):
        changed = copy.deepcopy(example)
        inner = changed
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = PLACE
        yield ".".join(map(str, path)), json.dumps(changed).encode()
    if isinstance(example, dict):
        yield "more", json.dumps({**example, "more": PLACE}).encode()


def _paths(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # Any: JSON
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*so_far, step)
        yield from _paths(inner, (*so_far, step))


USER_IDS = (
    "'; DROP TABLE scores; --", '" OR 1=1 --', "1' UNION SELECT hash FROM keys--", "%' OR '1'='1", "\\'; SELECT 1--",
    "../../etc/passwd", "..", ".", "/", "//", "a/b", "file:///etc/passwd", "at-risk", "a/score", "?", "#",
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;", "{{7*7}}", "${jndi:ldap://x}", "%s%n",
    "{0.__class__}", "score", "null", "NaN", "-1", "0", "1e400", "true", "[]", "a,b", "a b+c", "=1+1", "@SUM(A1)",
    "\U0001f600", "\u7528\u6237", "\u0645\u0633\u062a\u062e\u062f\u0645", "\u0141", "e\u0301",
    "\u202eabc", "\ufeffx", "\uffff", "\U0010ffff", "\r\nset-cookie: a=b", " ", "  a  ", "\t", "\n", "\x7f", "\x01",
    "x" * 1000, "\U0001f600" * 1000, "%", "%00", "%2F",
)  # fmt: skip
"""Ids that somebody may well have: each is a user like any other."""
NO_USER_IDS = ("", "\0", "a\0b", "x" * 1025, "x" * 20_000)
IN_PATHS = ("%", "%zz", "%ff", "%ed%a0%80", "%c0%af", "..%2f..%2f", "%2e%2e/", ";a=b", "a%0d%0ab", "%u0041", "\\..\\")
"""What may stand in an address where an id is expected, as it is."""
