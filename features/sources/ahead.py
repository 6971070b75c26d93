"""Reading ahead: the next pieces of a source are read in a thread while the last one is worked on."""

from collections.abc import Generator, Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

Piece = TypeVar("Piece")
_PATIENCE = 0.05  # seconds until a reader that waits for room looks whether anybody still wants its piece


def ahead(pieces: Iterator[Piece], *, most: int = 2) -> Generator[Piece]:
    """The pieces, up to `most` of them read before they are asked for; an error of reading comes where it came.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    read: Queue[tuple[Piece] | BaseException | None] = Queue(maxsize=most)
    unwanted = Event()
    thread = Thread(target=_fill, args=(read, pieces, unwanted), daemon=True)
    thread.start()
    try:
        while (found := read.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        unwanted.set()
        thread.join()


def _fill(read: "Queue[tuple[Piece] | BaseException | None]", pieces: Iterator[Piece], unwanted: Event) -> None:
    try:
        for piece in pieces:
            if not _put(read, (piece,), unwanted):
                return
        _put(read, None, unwanted)
    except BaseException as error:  # noqa: BLE001 - raised again where the pieces are asked for
        _put(read, error, unwanted)


def _put(
    read: "Queue[tuple[Piece] | BaseException | None]", each: tuple[Piece] | BaseException | None, unwanted: Event
) -> bool:
    """Whether it was put, because somebody wants it."""
    while not unwanted.is_set():
        try:
            read.put(each, timeout=_PATIENCE)
        except Full:
            continue
        return True
    return False
