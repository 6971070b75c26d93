"""Compressed bodies, in and out: gzip and zstd.

What comes in is unpacked a piece at a time, so that a small body which unpacks to gigabytes takes no memory.
"""

import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

from serving.refusals import RefusedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS = ("gzip", "zstd")
SMALLEST_PACKED = 1_400  # bytes: what fits into one packet does not arrive sooner for being shorter
PACKED_IN_THE_LOOP = 64_000  # bytes; more takes milliseconds, and is packed in a thread
_PIECE = 256 * 1024
_GZIP_LEVEL, _ZSTD_LEVEL = 4, 1  # on lists of scores zstd 1 is smaller than gzip 9, in a tenth of its time
_LARGEST_WINDOW = 23  # 8 MB, which RFC 9659 lets a sender of zstd count on
_PACKABLE = ("application/json", "application/problem+json", "application/x-ndjson", "text/")
_WITH_HEADER = 16 + zlib.MAX_WBITS


class Unpacker(Protocol):
    """Unpacks a body that arrives in pieces."""

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        """What this much of the body unpacks to, in pieces of bounded size; raises `RefusedError` where broken."""

    def finish(self) -> None:
        """Raises `RefusedError` when the body ended too early."""


def unpacker_of(content_encoding: bytes | None) -> Unpacker | None:
    """What unpacks a body with this header; None where there is nothing to unpack.

    Raises `RefusedError` for any other encoding than gzip and zstd, and for one within another.
    """
    name = (content_encoding or b"").decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return _Gzip()
    if name == "zstd":
        return _Zstd()
    raise RefusedError(
        "unsupported_media_type",
        "the body is packed in a way that is not taken; expected Content-Encoding gzip or zstd, or none.",
        {"accept-encoding": ", ".join(ENCODINGS)},
    )


class _Gzip:
    def __init__(self) -> None:
        self._unpacked = zlib.decompressobj(_WITH_HEADER)

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._unpacked.eof:  # another member: RFC 1952 has them follow one another
                self._unpacked = zlib.decompressobj(_WITH_HEADER)
            try:
                yield self._unpacked.decompress(packed, _PIECE)
            except zlib.error:
                raise _broken("gzip") from None
            packed = self._unpacked.unconsumed_tail or self._unpacked.unused_data

    def finish(self) -> None:
        if not self._unpacked.eof:
            raise _broken("gzip")


class _Zstd:
    def __init__(self) -> None:
        self._unpacked = self._new()

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._unpacked.eof:
                self._unpacked = self._new()
            try:
                yield self._unpacked.decompress(packed, _PIECE)
                while not (self._unpacked.needs_input or self._unpacked.eof):
                    yield self._unpacked.decompress(b"", _PIECE)
            except zstd.ZstdError:
                raise _broken("zstd") from None
            packed = self._unpacked.unused_data if self._unpacked.eof else b""

    def finish(self) -> None:
        if not self._unpacked.eof:
            raise _broken("zstd")

    @staticmethod
    def _new() -> zstd.ZstdDecompressor:
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW})


def wanted_encoding(accept_encoding: bytes | None) -> str | None:
    """The encoding that a client takes and likes best; of equals zstd.

    >>> wanted_encoding(b"gzip, deflate, br, zstd"), wanted_encoding(b"gzip;q=1, zstd;q=0.5"), wanted_encoding(b"br")
    ('zstd', 'gzip', None)
    >>> wanted_encoding(b"gzip;q=0, *;q=0.1"), wanted_encoding(b"identity, gzip;q=0.5")
    ('zstd', 'gzip')
    """
    if not accept_encoding:
        return None
    liked = dict(_liking(part) for part in accept_encoding.decode("latin-1").lower().split(","))
    others = liked.get("*", 0.0)
    best = max(("zstd", "gzip"), key=lambda name: liked.get(name, others))
    return best if liked.get(best, others) > 0 else None


def may_be_packed(content_type: str) -> bool:
    """Whether bodies of a media type become shorter by packing.

    >>> may_be_packed("text/csv; charset=utf-8"), may_be_packed("application/vnd.apache.parquet")
    (True, False)
    """
    return content_type.startswith(_PACKABLE)


class Packer:
    """Packs a response's body, in one piece or in several."""

    def __init__(self, encoding: str) -> None:
        self._gzip = zlib.compressobj(_GZIP_LEVEL, wbits=_WITH_HEADER) if encoding == "gzip" else None
        self._zstd = zstd.ZstdCompressor(level=_ZSTD_LEVEL) if encoding == "zstd" else None

    def pack(self, body: bytes, *, last: bool) -> bytes:
        """What there is to send once this has been added; it may be nothing yet unless it is the last."""
        if self._gzip is not None:
            return self._gzip.compress(body) + (self._gzip.flush() if last else b"")
        if self._zstd is not None:
            return self._zstd.compress(body) + (self._zstd.flush() if last else b"")
        return body


def _liking(part: str) -> tuple[str, float]:
    name, _, parameter = part.strip().partition(";")
    try:
        return name.strip(), float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        return name.strip(), 0.0


def _broken(name: str) -> RefusedError:
    return RefusedError("bad_request", f"the body is not whole {name}; pack it anew, or send it as it is.")
