from zlib import crc32

import numpy as np
import pyarrow as pa
import pytest

from features.events import PROPERTIES
from features.identity import bucket_of, buckets_of, content_hashes, content_ids, xxh64


@pytest.mark.parametrize(
    ("text", "published"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"xxhash", 0x32DD38952C4BC720),
        (b"Call me Ishmael. Some years ago--never mind how long precisely-", 0x02A2E85470D6FD96),
    ],
)
def test_the_hash_is_xxh64_as_published(text: bytes, published: int) -> None:
    assert xxh64(text) == published


def test_the_bucket_of_a_column_is_the_bucket_of_each_user() -> None:
    users = ["ada", "bert", "chén", "", "dalia" * 30]
    assert buckets_of(pa.array(users), 16).tolist() == [bucket_of(user, 16) for user in users]
    assert bucket_of("chén", 16) == crc32("chén".encode()) % 16
    assert buckets_of(pa.array(users).slice(2, 2), 16).tolist() == [bucket_of(user, 16) for user in users[2:4]]


def rows(*contents: tuple[int, str, float | None, dict[str, str]]) -> pa.Table:
    times, events, values, properties = zip(*contents, strict=True)
    return pa.table(
        {
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "event": pa.array(events),
            "value": pa.array(values, pa.float64()),
            "properties": pa.array([list(each.items()) for each in properties], PROPERTIES),
        }
    )


def test_ids_from_content_stay_what_they_were_in_the_first_release() -> None:
    content = rows(
        (1_767_225_600_000_000, "purchase", 12.5, {"sku": "tea"}), (1_767_225_600_000_000, "login", None, {})
    )
    users = np.zeros(2, dtype=np.int64)
    assert content_ids(content, users, users).to_pylist() == ["63a7a2f671d05f54", "b3fbc6988d5484dc"]


def test_the_order_of_properties_does_not_matter_but_all_else_does() -> None:
    same = content_hashes(rows((1, "purchase", 0.0, {"a": "1", "b": "2"}), (1, "purchase", 0.0, {"b": "2", "a": "1"})))
    assert same[0] == same[1]
    other = content_hashes(
        rows(
            (1, "purchase", 0.0, {}),
            (2, "purchase", 0.0, {}),
            (1, "login", 0.0, {}),
            (1, "purchase", 1.0, {}),
            (1, "purchase", None, {}),
            (1, "purchase", 0.0, {"a": "1"}),
            (1, "purchase", 0.0, {"1": "a"}),
            (1, "purchase", 0.0, {"a": "1", "b": "2"}),
            (1, "purchase", 0.0, {"a": "2", "b": "1"}),
        )
    )
    assert len(set(other.tolist())) == 9


def test_twins_are_numbered_within_their_user_and_source() -> None:
    twins = rows(*[(1, "login", None, {})] * 5)
    ids = content_ids(twins, np.array([0, 0, 1, 0, 0]), np.array([0, 0, 0, 0, 1])).to_pylist()
    first = ids[0]
    assert ids == [first, f"{first}-2", first, f"{first}-3", first]
