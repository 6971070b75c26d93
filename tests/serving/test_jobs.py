"""Files of users in, files of scores out: every user is answered, one worker at a time, and nobody waits."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.log import EventLog
from features.windows import days, from_microseconds, iso, shift
from serving.job_files import COLUMNS, MEDIA_TYPES
from serving.jobs import HELD, Jobs
from serving.schemas.jobs import JobOut
from serving.scoring import ScoredPopulation, score_population
from serving.settings import DataFolder
from serving.store import ScoreStore, jobs
from tests.postgres import BOTH
from tests.shop import DEFINITION, FEATURES, QUICK, TONIGHT, publish, visits, write
from training.run import train

pytestmark = BOTH
NOW = datetime(2026, 8, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    log: EventLog
    scored: ScoredPopulation
    folder: DataFolder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    log = write(folder / "events", visits(users=120))
    learnt = train(log, DEFINITION, FEATURES, now=TONIGHT, code_version="0.1.0", settings=QUICK)
    publish(learnt, folder / "champion", "1")
    scored = score_population(log, learnt.bundle, cutoff=TONIGHT, model_version="1")
    return Shop(log, scored, DataFolder(folder / "champion", folder / "events"))


@pytest.fixture
def client(shop: Shop, empty_store: ScoreStore, url: str, make_client: Callable[..., Any], tmp_path: Path) -> Any:
    empty_store.write_run(shop.scored.facts, shop.scored.scores(), now=TONIGHT)
    made = make_client(empty_store, url, folders={"": shop.folder}, jobs_folder=tmp_path / "jobs")
    made.app.state.champions.look()
    return made


def rows(shop: Shop, users: list[str]) -> list[dict[str, Any]]:
    found = []
    for user in users:
        events = shop.log.read_user(user)
        for time, kind, value in zip(events.times, events.kinds, events.values, strict=True):
            moment = from_microseconds(int(time))
            found.append({"user_id": user, "time": moment, "event": events.kind_names[kind], "value": float(value)})
    return found


def ndjson(shop: Shop, users: list[str]) -> bytes:
    lines = []
    for user in users:
        told = [{**row, "time": row["time"].isoformat()} for row in rows(shop, [user])]
        events = [{name: row[name] for name in ("time", "event", "value")} for row in told]
        lines.append(json.dumps({"user_id": user, "events": events}))
    return "\n".join(lines).encode()


def start(client: Any, body: bytes, kind: str = "ndjson", query: str = "", **headers: str) -> Any:
    address = f"/v1/scores/jobs?cutoff={iso(TONIGHT)}{query}"
    return client("POST", address, content=body, headers={"content-type": MEDIA_TYPES[kind], **headers})


def done(client: Any, answer: Any) -> JobOut:
    assert answer.status_code == 202, answer.text
    queued = JobOut.model_validate_json(answer.content, strict=True)
    assert (queued.state, answer.headers["location"]) == ("queued", f"/v1/scores/jobs/{queued.job_id}")
    work: Jobs = client.app.state.jobs
    assert work.step(now=NOW)
    return JobOut.model_validate_json(client.get(answer.headers["location"]).content, strict=True)


def test_every_line_of_a_file_is_answered_with_the_batchs_bits(shop: Shop, client: Any) -> None:
    users = shop.scored.user_ids[:30].tolist()
    body = ndjson(shop, users) + b'\n\n{"user_id": "emil", "events": []}\n{broken\n{"user_id": "x"}\n'
    job = done(client, start(client, body))
    assert (job.state, job.users, job.scored, job.missing, job.refused) == ("done", 33, 30, 1, 2)
    assert job.model_version == "1"
    answer = client.get(job.result or "")
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert [record["user_id"] for record in records] == [*users, "emil", None, None]
    assert [record["churn_probability"] for record in records[:30]] == shop.scored.churn_probability[:30].tolist()
    assert [record["code"] for record in records[30:]] == ["user_unknown", "invalid_request", "invalid_request"]
    assert records[31]["message"].startswith("line 33: not valid JSON")
    assert answer.headers["content-disposition"] == 'attachment; filename="scores.ndjson"'


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_events_in_parquet_come_back_as_the_kind_that_is_asked_for(shop: Shop, client: Any, kind: str) -> None:
    users = shop.scored.user_ids[:5].tolist()
    told = rows(shop, users)
    told = told[::2] + told[1::2]  # users need not lie together
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(told), sink)
    job = done(client, start(client, sink.getvalue(), "parquet", f"&result={kind}"))
    assert (job.state, job.scored, job.refused) == ("done", 5, 0)
    answer = client.get(job.result or "")
    if kind == "csv":
        header, *lines = answer.text.splitlines()
        assert header == ",".join(COLUMNS)
        assert [line.split(",")[0] for line in lines] == sorted(users)
        return
    table = pq.read_table(io.BytesIO(answer.content))
    expected = dict(zip(shop.scored.user_ids.tolist(), shop.scored.churn_probability.tolist(), strict=True))
    assert table.column_names == list(COLUMNS)
    assert dict(zip(table["user_id"].to_pylist(), table["churn_probability"].to_pylist(), strict=True)) == {
        user: expected[user] for user in users
    }


def test_ready_features_in_parquet_are_scored_by_name(client: Any) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"user_id": ["ada", "bert"], "spend_56d": [3.0, None]}), sink)
    job = done(client, start(client, sink.getvalue(), "parquet"))
    assert (job.state, job.scored) == ("done", 2)
    sink = io.BytesIO()
    pq.write_table(pa.table({"user_id": ["ada"], "nonsense": [3.0]}), sink)
    job = done(client, start(client, sink.getvalue(), "parquet", "&result=ndjson"))
    assert (job.state, job.refused) == ("done", 1)
    assert "no feature nonsense" in client.get(job.result or "").json()["message"]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"id": ["ada"]}, "no column user_id"),
        ({"user_id": ["ada"], "time": [datetime(2026, 1, 1, tzinfo=UTC)]}, "one of them is missing"),
        ({"user_id": ["ada"], "event": ["visit"], "time": ["yesterday"]}, "holds no instants"),
        (
            {"user_id": ["ada"], "event": ["visit"], "time": [datetime(2026, 1, 1, tzinfo=UTC)], "value": ["much"]},
            "value holds no numbers",
        ),
        ({"user_id": ["ada"], "event": ["visit"], "time": [datetime(2026, 1, 1)]}, "no time zone"),  # noqa: DTZ001 - on purpose
    ],
)
def test_a_file_that_is_none_of_ours_fails_with_a_reason(client: Any, table: dict[str, Any], why: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink)
    job = done(client, start(client, sink.getvalue(), "parquet"))
    assert job.state == "failed"
    assert why in (job.trouble or "")
    answer = client.get(f"/v1/scores/jobs/{job.job_id}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_done")


def test_a_file_that_is_no_parquet_fails_with_a_reason(client: Any) -> None:
    job = done(client, start(client, b"a letter to a friend", "parquet"))
    assert (job.state, "no readable Parquet file" in (job.trouble or "")) == ("failed", True)


def test_a_cancelled_job_goes_no_further_and_its_files_are_gone(shop: Shop, client: Any, tmp_path: Path) -> None:
    answer = start(client, ndjson(shop, shop.scored.user_ids[:3].tolist()))
    address = answer.headers["location"]
    cancelled = client("DELETE", address)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert not client.app.state.jobs.step(now=NOW)
    for method in ("GET", "DELETE"):
        assert client(method, address).json()["code"] == "job_unknown"
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_job_is_in_one_hand_and_in_another_when_that_one_is_silent(
    shop: Shop, client: Any, empty_store: ScoreStore
) -> None:
    start(client, ndjson(shop, shop.scored.user_ids[:3].tolist()))
    database = empty_store.database
    first = jobs.take(database, tenants=[""], holder="a", now=NOW, until=NOW + HELD)
    assert first is not None
    assert jobs.take(database, tenants=[""], holder="b", now=NOW, until=NOW + HELD) is None
    later = NOW + HELD + HELD
    second = jobs.take(database, tenants=[""], holder="b", now=later, until=later + HELD)
    assert second is not None
    assert second.job_id == first.job_id
    counts = jobs.Counts(scored=1)
    assert not jobs.report(database, first.job_id, counts, holder="a", until=later + HELD, model_version="1")
    assert not jobs.finish(database, first.job_id, counts, holder="a", now=later)
    assert jobs.finish(database, first.job_id, counts, holder="b", now=later)


def test_another_brand_sees_no_job_and_none_of_its_scores(shop: Shop, client: Any, empty_store: ScoreStore) -> None:
    job = done(client, start(client, ndjson(shop, shop.scored.user_ids[:1].tolist())))
    theirs = client.using(empty_store.of("brand").create_key("theirs", ["scores:compute"], now=TONIGHT).token)
    assert theirs.get("/v1/scores/jobs").json() == {"jobs": []}
    for method, address in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
        assert theirs(method, f"/v1/scores/jobs/{job.job_id}{address}").json()["code"] == "job_unknown"
    assert (
        theirs("POST", "/v1/scores/jobs", content=b"", headers={"content-type": MEDIA_TYPES["ndjson"]}).json()["code"]
        == "no_model"
    )


def test_the_same_key_starts_a_job_once(shop: Shop, client: Any) -> None:
    body = ndjson(shop, shop.scored.user_ids[:1].tolist())
    first, second = (start(client, body, **{"idempotency-key": "once"}) for _ in range(2))
    assert first.json() == second.json()
    assert len(client.get("/v1/scores/jobs").json()["jobs"]) == 1


def test_what_was_over_long_ago_is_forgotten_with_its_files(shop: Shop, client: Any, tmp_path: Path) -> None:
    job = done(client, start(client, ndjson(shop, shop.scored.user_ids[:1].tolist())))
    client.app.state.jobs.tidy(now=shift(datetime.now(UTC), days(2)))
    assert client.get(f"/v1/scores/jobs/{job.job_id}").json()["code"] == "job_unknown"
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.mark.parametrize("query", ["&result=xlsx", "&reasons=fr", "&colour=red"])
def test_a_question_that_makes_no_sense_starts_nothing(client: Any, query: str) -> None:
    assert start(client, b"", query=query).json()["code"] == "invalid_request"
    assert client.get("/v1/scores/jobs").json() == {"jobs": []}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"user_id": [None], "event": ["visit"], "time": [NOW]}, "there is no user_id"),
        ({"user_id": ["ada"], "event": pa.array([None], pa.string()), "time": [NOW]}, "no time or no kind"),
        ({"user_id": ["ada"], "event": ["visit"], "time": pa.array([None], pa.timestamp("us", "UTC"))}, "no time"),
        ({"user_id": ["ada"], "spend_56d": ["much"]}, "spend_56d is no number"),
        ({"user_id": pa.array([None], pa.string()), "spend_56d": [1.0]}, "there is no user_id"),
    ],
)
def test_a_row_that_lacks_something_is_refused_and_never_guessed(client: Any, table: dict[str, Any], why: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink)
    job = done(client, start(client, sink.getvalue(), "parquet", "&result=ndjson"))
    assert (job.state, job.refused, job.scored) == ("done", 1, 0)
    assert why in client.get(job.result or "").json()["message"]


def test_a_fault_ends_a_job_instead_of_beginning_it_anew_for_ever(
    shop: Shop, client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("serving.fresh.FreshScorer.answer", fault)
    job = done(client, start(client, ndjson(shop, shop.scored.user_ids[:1].tolist())))
    assert (job.state, job.trouble) == ("failed", "a fault of the service (RuntimeError); its log has more")
    assert (tmp_path / "jobs" / job.job_id).stat().st_mode & 0o077 == 0


def test_scores_whose_file_is_gone_are_told_as_removed(shop: Shop, client: Any, tmp_path: Path) -> None:
    """It was a 500: a folder may be emptied by others, or not be shared by all machines."""
    job = done(client, start(client, ndjson(shop, shop.scored.user_ids[:1].tolist())))
    shutil.rmtree(tmp_path / "jobs" / job.job_id)
    answer = client.get(f"/v1/scores/jobs/{job.job_id}/result")
    assert (answer.status_code, answer.json()["code"]) == (410, "result_removed")
    assert client.get(f"/v1/scores/jobs/{job.job_id}").json()["result"] is None


def test_a_line_that_is_too_long_is_one_line(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.job_files.LONGEST_LINE", 1_000)
    body = b'{"user_id": "' + b"x" * 5_000 + b'", "events": []}\n{"user_id": "ada", "events": []}\n'
    job = done(client, start(client, body))
    assert (job.state, job.refused, job.missing) == ("done", 1, 1)


@pytest.mark.parametrize("cutoff", ["0.5", "20261101", "2026-06-01", "2026-06-01T00:00:00", "1970-01-01T00:00:00Z"])
def test_a_cutoff_is_an_instant_and_no_number(client: Any, cutoff: str) -> None:
    kind = {"content-type": MEDIA_TYPES["ndjson"]}
    answer = client("POST", f"/v1/scores/jobs?cutoff={cutoff}", content=b"{}", headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (
            {"user_id": pa.DictionaryArray.from_arrays(pa.array([0] * 99, pa.int32()), ["x" * 9_999])},
            "1,024 characters",
        ),
        ({"user_id": ["ada"], "spend_56d": [[1.0]]}, "lists or records"),
        ({"user_id": ["ada"], "spend_56d": pa.array([b"x" * 99], pa.binary(99))}, "more than 64 bytes"),
        ({"user_id": ["ada"], **{f"f{number}": [1.0] for number in range(2_001)}}, "2,002 columns"),
    ],
)
def test_a_parquet_file_that_would_fill_the_memory_is_refused(client: Any, table: dict[str, Any], why: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink)
    job = done(client, start(client, sink.getvalue(), "parquet"))
    assert job.state == "failed"
    assert why in (job.trouble or "")
