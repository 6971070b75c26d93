import threading
from collections.abc import Iterator

import pytest

from features.sources.ahead import ahead


def test_an_error_of_reading_comes_after_what_was_read_before_it() -> None:
    def torn() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("torn")

    pieces = ahead(torn())
    assert [next(pieces), next(pieces)] == [1, 2]
    with pytest.raises(ValueError, match="torn"):
        next(pieces)


def test_no_more_is_read_than_there_is_room_for_and_nothing_once_nobody_listens() -> None:
    read = []

    def endless() -> Iterator[int]:
        for number in range(1_000_000):
            read.append(number)
            yield number

    before = threading.active_count()
    pieces = ahead(endless(), most=2)
    assert [next(pieces), next(pieces)] == [0, 1]
    pieces.close()
    assert len(read) <= 6  # two given, two waiting, one in hand
    assert threading.active_count() == before
