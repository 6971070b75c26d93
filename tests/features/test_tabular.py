import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from features.errors import BadInput
from features.ingest import Ingested, ingest
from features.log import EventLog
from features.sources.mapping import Mapping
from features.windows import utc

NOW = utc("2026-06-01")
HEADER = "user_id,time,event,value,channel\n"
ADA = "ada,2026-05-01T12:00:00Z,purchase,12.5,web\n"
BERT = "bert,2026-05-02T12:00:00Z,login,,app\n"


def taken(folder: Path, *sources: str | Path, mapping: Mapping | None = None, stdin: bytes | None = None) -> Ingested:
    return ingest(
        EventLog.create(folder / "log", buckets=2),
        [str(source) for source in sources],
        mapping=mapping or Mapping(),
        quarantine=folder / "quarantine",
        now=NOW,
        stdin=None if stdin is None else io.BytesIO(stdin),
    )


def written(folder: Path, text: str | bytes, name: str = "events.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def kept(folder: Path) -> list[dict[str, object]]:
    files = sorted((folder / "log").glob("bucket=*/*.parquet"))
    rows = pa.concat_tables([pq.ParquetFile(file).read() for file in files]).sort_by([("time", "ascending")])
    return [row | {"time": str(row["time"])[:10]} for row in rows.drop_columns(["event_id", "received_at"]).to_pylist()]


def quarantined(result: Ingested) -> list[tuple[str, str]]:
    assert result.quarantine_file is not None
    rows = [json.loads(line) for line in result.quarantine_file.read_text().splitlines()]
    return [(row["place"], row["code"]) for row in rows]


BOTH = [
    {"user_id": "ada", "time": "2026-05-01", "event": "purchase", "value": 12.5, "properties": [("channel", "web")]},
    {"user_id": "bert", "time": "2026-05-02", "event": "login", "value": None, "properties": [("channel", "app")]},
]


def as_objects() -> str:
    lines = [
        {"user_id": "ada", "time": "2026-05-01T12:00:00Z", "event": "purchase", "value": 12.5, "channel": "web"},
        {"user_id": "bert", "time": "2026-05-02T12:00:00Z", "event": "login", "value": None, "channel": "app"},
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def as_parquet(path: Path) -> Path:
    rows = {
        "user_id": pa.array(["ada", "bert"]).dictionary_encode(),
        "time": pa.array(
            [utc("2026-05-01T12:00:00Z"), utc("2026-05-02T12:00:00Z")], pa.timestamp("ns", "Europe/London")
        ),
        "event": pa.array(["purchase", "login"], pa.large_string()),
        "value": [12.5, float("nan")],
        "channel": ["web", "app"],
    }
    pq.write_table(pa.table(rows), path)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("events.csv", HEADER + ADA + BERT),
        ("events.csv", "\ufeff" + HEADER + ADA + "\n" + BERT.rstrip("\n")),
        ("events.csv", (HEADER + ADA + BERT).replace("\n", "\r\n")),
        ("events.csv", (HEADER + ADA + BERT).replace(",", ";")),
        ("events.tsv", (HEADER + ADA + BERT).replace(",", "\t")),
        ("events.csv.gz", gzip.compress((HEADER + ADA + BERT).encode(), mtime=0)),
        ("events.ndjson", as_objects()),
        ("events.jsonl.gz", gzip.compress(as_objects().encode(), mtime=0)),
    ],
)
def test_the_same_events_come_out_of_every_text_format(tmp_path: Path, name: str, text: str | bytes) -> None:
    result = taken(tmp_path, written(tmp_path, text, name))
    assert kept(tmp_path) == BOTH
    assert (result.read, result.accepted, result.duplicates, result.quarantined) == (2, 2, 0, 0)
    assert result.quarantine_file is None
    assert (result.start, result.end) == (utc("2026-05-01T12:00"), utc("2026-05-02T12:00"))


def test_the_same_events_come_out_of_parquet(tmp_path: Path) -> None:
    taken(tmp_path, as_parquet(tmp_path / "events.parquet"))
    assert kept(tmp_path) == BOTH


def test_an_event_counts_once_whichever_format_it_comes_in(tmp_path: Path) -> None:
    written(tmp_path, HEADER + ADA + BERT, "in/events.csv")
    written(tmp_path, as_objects(), "in/events.ndjson")
    as_parquet(tmp_path / "in" / "events.parquet")
    written(tmp_path, "not data", "in/_SUCCESS.csv")
    result = taken(tmp_path, tmp_path / "in")
    assert (result.read, result.accepted, result.duplicates) == (6, 2, 4)


def test_a_glob_reads_the_files_that_match(tmp_path: Path) -> None:
    written(tmp_path, HEADER + ADA, "2026-05-01.csv")
    written(tmp_path, HEADER + BERT, "2026-05-02.csv")
    assert taken(tmp_path, tmp_path / "2026-*.csv").accepted == 2


def test_standard_input_is_read_with_a_format(tmp_path: Path) -> None:
    assert taken(tmp_path, "-", mapping=Mapping(format="csv"), stdin=(HEADER + ADA).encode()).accepted == 1


def test_columns_go_by_the_names_that_are_given(tmp_path: Path) -> None:
    path = written(tmp_path, "customer,ts,amount\nada,2026-05-01 13:00,12.5\n")
    mapping = Mapping(
        user_id="customer", time="ts", value="amount", event_constant="purchase", timezone="Europe/London"
    )
    result = taken(tmp_path, path, mapping=mapping)
    assert kept(tmp_path) == [BOTH[0] | {"properties": []}]
    assert result.start == utc("2026-05-01T12:00")


def test_a_line_with_too_few_fields_is_kept_aside_with_its_number(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + ADA + "bert,2026-05-02T12:00:00Z\n" + BERT + "chen,,login,,web\n")
    result = taken(tmp_path, path)
    assert (result.read, result.accepted, result.quarantined) == (4, 2, 2)
    assert quarantined(result) == [("events.csv line 3", "broken_line"), ("events.csv line 5", "missing_time")]
    assert result.reasons == {"broken_line": 1, "missing_time": 1}


def test_line_numbers_count_the_lines_inside_quotes(tmp_path: Path) -> None:
    path = written(
        tmp_path, HEADER + 'ada,2026-05-01T12:00:00Z,purchase,12.5,"web\nand ""shop"""\n\nbert,?,login,,app\n'
    )
    result = taken(tmp_path, path)
    assert quarantined(result) == [("events.csv line 5", "bad_time")]
    assert kept(tmp_path)[0]["properties"] == [("channel", 'web\nand "shop"')]


def test_the_last_line_may_go_on_in_the_next_one(tmp_path: Path) -> None:
    taken(tmp_path, written(tmp_path, HEADER + 'ada,2026-05-01T12:00:00Z,purchase,12.5,"web\nshop"'))
    assert kept(tmp_path)[0]["properties"] == [("channel", "web\nshop")]


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    result = taken(tmp_path, written(tmp_path, HEADER + 'chen,2026-05-01T12:00:00Z,login,,"web\n' + ADA + BERT))
    assert (result.accepted, quarantined(result)) == (2, [("events.csv line 2", "broken_line")])


def test_a_quote_inside_a_field_is_a_letter(tmp_path: Path) -> None:
    taken(tmp_path, written(tmp_path, HEADER + 'ada,2026-05-01T12:00:00Z,purchase,12.5,5" disc\n'))
    assert kept(tmp_path)[0]["properties"] == [("channel", '5" disc')]


def test_counts_add_up_with_a_tenth_of_the_lines_broken(tmp_path: Path) -> None:
    lines = [ADA.replace("12.5", str(number)) if number % 10 else f"torn {number}\n" for number in range(1000)]
    result = taken(tmp_path, written(tmp_path, HEADER + "".join(lines) + ADA.replace("12.5", "1")))
    assert (result.read, result.accepted, result.duplicates, result.quarantined) == (1001, 901, 0, 100)
    again = taken(tmp_path, tmp_path / "events.csv")
    assert (again.read, again.accepted, again.duplicates, again.quarantined) == (1001, 0, 901, 100)


def test_broken_json_lines_are_kept_aside_with_their_numbers(tmp_path: Path) -> None:
    text = (
        as_objects()
        + '{"user_id": "chen"\n\n[1]\n{"user_id": ["dalia"], "time": "x", "event": "login"}\n{"user_id": "\\ud800"}\n'
    )
    result = taken(tmp_path, written(tmp_path, text, "events.ndjson"))
    assert (result.read, result.accepted) == (6, 2)
    assert quarantined(result) == [
        ("events.ndjson line 3", "broken_line"),
        ("events.ndjson line 5", "broken_line"),
        ("events.ndjson line 6", "bad_user_id"),
        ("events.ndjson line 7", "broken_line"),
    ]


def test_numbers_and_texts_may_mix_in_json(tmp_path: Path) -> None:
    lines = ['{"user_id": 7, "value": 1}', '{"user_id": "ada", "value": "2.5", "properties": {"sku": 3}, "tags": [1]}']
    text = "\n".join(line[:-1] + ', "time": "2026-05-01T12:00:00Z", "event": "login"}' for line in lines)
    taken(tmp_path, written(tmp_path, text, "events.ndjson"))
    found = sorted((row["user_id"], row["value"], row["properties"]) for row in kept(tmp_path))
    assert found == [("7", 1.0, []), ("ada", 2.5, [("sku", "3"), ("tags", "[1]")])]


ZIPPED = gzip.compress(b"x", mtime=0)  # mtime: it is part of a test's name, which all workers must agree on
TORN = gzip.compress(b"user_id,time\n" * 99, mtime=0)[:-9]
LATIN = (HEADER + ADA).encode() + "bert,2026-05-02T12:00:00Z,login,,caf\xe9\n".encode("latin-1")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("events.csv", b"", "events.csv is empty; expected a file with events"),
        ("events.csv", b"\n\n", "events.csv is empty; expected a line with the names of the columns"),
        ("events.ndjson", b"\n", "events.ndjson is empty; expected a JSON object an event"),
        (
            "events.csv",
            b"id,time,event\n",
            r"no column 'user_id' \(user_id\); found id, time, event.*--user-id",
        ),
        ("events.csv", b"user_id,time\n", "no column 'event'.*--event-constant KIND"),
        ("events.csv", b"user_id,time,event,time\n", "two columns named 'time'"),
        ("events.csv", LATIN, "events.csv line 3 is not UTF-8: byte 0xE9 at position 112; expected UTF-8"),
        ("events.csv", ZIPPED, "events.csv is compressed with gzip; expected a name that ends in .gz"),
        ("events.csv.gz", b"user_id,time,event\n", "events.csv.gz is not compressed with gzip"),
        ("events.csv.gz", TORN, "events.csv.gz is damaged as a gzip file"),
        ("events.csv", b"PK\x03\x04..", "events.csv is compressed with zip"),
        ("events.csv", b"PAR1....", "events.csv is a Parquet file"),
        ("events.parquet", b"user_id,time,event\n", "events.parquet is not a Parquet file that can be read"),
        ("events.xlsx", b"x", "events.xlsx has an unknown extension; expected .parquet, .csv"),
        ("events.csv", b"user_id,time,event\n" + b"x" * 2_000_000, "events.csv line 2 is longer than a megabyte"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(tmp_path: Path, name: str, text: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        taken(tmp_path, written(tmp_path, text, name))
    assert EventLog.open(tmp_path / "log").version == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("missing.csv", "missing.csv: there is no file or folder"),
        ("missing-*.csv", "no file matches; expected a file, a folder, a glob in quotes"),
        ("empty", "the folder holds no file of events"),
    ],
)
def test_a_name_that_means_no_file_is_refused(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=said):
        taken(tmp_path, tmp_path / source)


def test_standard_input_without_a_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected --format csv or ndjson"):
        taken(tmp_path, "-", stdin=b"")


def test_a_named_column_that_is_missing_is_refused_even_when_it_may_be_absent(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no column 'amount' \(value\).*--value COLUMN"):
        taken(tmp_path, written(tmp_path, HEADER + ADA), mapping=Mapping(value="amount"))


def test_when_one_file_is_wrong_none_is_taken_and_nothing_is_quarantined(tmp_path: Path) -> None:
    written(tmp_path, HEADER + ADA + "torn\n", "1.csv")
    written(tmp_path, LATIN, "2.csv")
    with pytest.raises(BadInput, match=r"2\.csv line 3 is not UTF-8"):
        taken(tmp_path, tmp_path / "*.csv")
    assert EventLog.open(tmp_path / "log").version == 0
    assert list((tmp_path / "quarantine").iterdir()) == []


def test_one_broken_time_among_naive_ones_does_not_hide_that_the_time_zone_is_missing(tmp_path: Path) -> None:
    rows = [f"ada,2026-05-{day:02}T12:00:00,purchase,1,web\n" for day in range(1, 29)]
    file = written(tmp_path, HEADER + "ada,2026-13-01T12:00:00,purchase,1,web\n" + "".join(rows))
    with pytest.raises(BadInput, match=r"none of its times can be used.*'2026-05-01T12:00:00'.*--timezone"):
        taken(tmp_path, file)
    assert not list((tmp_path / "quarantine").glob("*"))


PLANS = "user_id,valid_from,plan\nada,2026-05-01T12:00:00Z,free\nbert,2026-05-02T12:00:00Z,pro\n"


def test_profiles_come_in_as_events_of_a_kind_of_ours(tmp_path: Path) -> None:
    mapping = Mapping(time="valid_from", event_constant="$profile")
    assert taken(tmp_path, written(tmp_path, PLANS), mapping=mapping).accepted == 2
    assert [(row["event"], row["properties"]) for row in kept(tmp_path)] == [
        ("$profile", [("plan", "free")]),
        ("$profile", [("plan", "pro")]),
    ]


def test_no_other_kind_of_ours_can_be_given() -> None:
    with pytest.raises(BadInput, match=r"'\$erased' begins with \$, as our own kinds do"):
        Mapping(event_constant="$erased")


@pytest.mark.parametrize("name", ["events.csv", "events.parquet"])
def test_of_refused_rows_not_even_the_names_are_in_the_log(tmp_path: Path, name: str) -> None:
    rows = pa.table(
        {"user_id": ["ada", "emil"], "time": [utc("2026-05-01"), utc("1970-01-01")], "event": ["a", "torn"]}
    )
    if name == "events.csv":
        pa_csv.write_csv(rows, tmp_path / name)
    else:
        pq.write_table(rows, tmp_path / name)
    assert taken(tmp_path, tmp_path / name).quarantined == 1
    (file,) = (tmp_path / "log").glob("bucket=*/*.parquet")
    stored = file.read_bytes()
    assert (b"ada" in stored, b"emil" in stored, b"torn" in stored) == (True, False, False)
