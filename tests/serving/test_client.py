"""The Python client: against the service as it runs, and against servers that fail in every way."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from features.windows import from_microseconds, shift
from serving.client import AsyncClient, Client, Event, Lookup, NoAnswer, NotScored, Patience, Refused, User, questions
from serving.scoring import ScoredPopulation, score_population
from serving.settings import DataFolder
from serving.store import ScoreStore
from tests.live import Live, live
from tests.shop import DEFINITION, FEATURES, QUICK, START, TONIGHT, publish, visits, write
from training.run import train

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
AT_ONCE = Patience(tries=1)
HEAVY = {"lightgbm", "numpy", "pandas", "pyarrow", "sqlalchemy", "fastapi", "mlflow", "numba", "granian", "scipy"}


@dataclass(frozen=True)
class Service:
    live: Live
    scored: ScoredPopulation
    events: tuple[Event, ...]  # of the first user


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("shop")
    log = write(folder / "events", visits(), start=shift(TODAY, START - TONIGHT))
    settings = replace(QUICK, risk_curve=True)
    learnt = train(log, DEFINITION, FEATURES, now=TODAY, code_version="0.1.0", settings=settings)
    scored = score_population(log, learnt.bundle, cutoff=TODAY, model_version="1")
    publish(learnt, folder / "champion", "1")
    store = ScoreStore.open(f"sqlite:///{folder / 'store.db'}")
    for _ in range(2):
        store.write_run(scored.facts, scored.scores(), outside=["emil"], now=TODAY)
    store.close()
    found = log.read_user(scored.user_ids[0])
    events = tuple(
        Event(
            time=from_microseconds(int(found.times[row])),
            event=found.kind_names[found.kinds[row]],
            value=float(found.values[row]),
        )
        for row in range(len(found.times))
    )
    with live(folder / "store.db", folder=DataFolder(folder / "champion", folder / "events")) as running:
        with Client(running.address, running.token, patience=Patience(tries=100, seconds=120)) as first:
            first.compute([User(user_id="ada", events=events)])  # waits until the champion is loaded
        yield Service(running, scored, events)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.live.address, service.live.token) as made:
        yield made


def test_a_score_comes_with_all_that_the_service_tells(service: Service, client: Client) -> None:
    user = service.scored.user_ids[0]
    score = client.score(user, reasons="zh")
    assert (score.user_id, score.churn_probability) == (user, service.scored.churn_probability[0])
    assert [reason.sentence for reason in score.reasons] == [one.sentence_zh for one in service.scored.reasons[0]]
    assert score.cutoff == TODAY < score.valid_until
    assert score.horizon.end - score.horizon.start == DEFINITION.horizon
    assert score.previous is not None
    assert (score.run_id, score.previous.run_id, score.previous.difference) == (2, 1, 0.0)
    assert client.score(user, reasons="none").reasons == ()


@pytest.mark.parametrize("user_id", ["..", ".", "a/b?c=#d", "艾达 😀", "%2e%2e"])
def test_a_user_without_a_score_is_an_error_that_says_why(client: Client, user_id: str) -> None:
    with pytest.raises(NotScored) as told:
        client.score(user_id)
    assert (told.value.code, told.value.status) == ("user_unknown", 404)
    assert told.value.request_id
    assert "spelt as in the events" in told.value.message
    with pytest.raises(NotScored, match="user_outside_population"):
        client.score("emil")


def test_a_wrong_key_and_a_wrong_question_are_refused_with_their_codes(service: Service, client: Client) -> None:
    with Client(service.live.address, "hf_live_guess") as stranger, pytest.raises(Refused) as told:
        stranger.model()
    assert (told.value.code, told.value.status) == ("key_invalid", 401)
    with pytest.raises(Refused) as told:
        client.score("ada", reasons="fr")
    assert (told.value.code, told.value.status) == ("invalid_request", 422)
    with pytest.raises(Refused) as told:
        client.lookup([])
    assert told.value.errors[0]["where"] == "body.user_ids"


def test_more_users_than_a_lookup_takes_are_looked_up_in_order(service: Service, client: Client) -> None:
    users = service.scored.user_ids.tolist()
    nobody = [f"nobody-{number}" for number in range(10_000)]
    found = client.lookup([*nobody, *users, "emil"], reasons="none")
    assert [score.user_id for score in found.scores] == users
    assert [missing.user_id for missing in found.missing] == [*nobody, "emil"]
    assert (found.missing[-1].code, found.run_id) == ("user_outside_population", 2)


def test_lists_are_read_page_by_page(service: Service, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "PAGE", 70)
    listed = list(client.at_risk())
    assert len({score.user_id for score in listed}) == len(listed) == len(service.scored)
    assert sorted(listed, key=lambda score: (-score.churn_probability, score.user_id)) == listed
    high = list(client.at_risk(tier="high", minimum_probability=0.1, contactable_only=True))
    assert high == [score for score in listed if score.risk_tier == "high" and score.churn_probability >= 0.1]
    assert [run.run_id for run in client.runs() if run.current] == [2]
    assert [score.run_id for score in client.history(listed[0].user_id)] == [2, 1]


def test_what_is_computed_is_what_was_scored(service: Service, client: Client) -> None:
    user = service.scored.user_ids[0]
    newcomer = User(user_id="newcomer", events=(Event(time=TODAY - timedelta(days=400), event="visit"),))
    computed = client.compute([User(user_id=user, events=service.events), newcomer], cutoff=TODAY)
    assert [score.churn_probability for score in computed.scores] == [client.score(user).churn_probability]
    assert [(missing.user_id, missing.code) for missing in computed.missing] == [
        ("newcomer", "user_outside_population")
    ]
    fresh, curve = client.fresh_score(user), client.risk_curve(user)
    assert fresh.cutoff > TODAY
    silence = [point.churn_probability for point in curve.points]
    assert silence == sorted(silence, reverse=True)  # ever fewer are silent for ever longer
    with pytest.raises(NotScored, match="user_unknown"):
        client.risk_curve("nobody")


def test_segments_and_model_are_told(service: Service, client: Client) -> None:
    segments = client.segments()
    tiers = {group.name: group.users for group in segments.groups if group.by == "risk_tier"}
    assert sum(tiers.values()) == len(service.scored)
    model = client.model()
    assert (model.version, model.users, model.definition.id) == ("1", len(service.scored), DEFINITION.id)
    assert client.send("GET", "/v1/features")["model_version"] == "1"


def test_the_asynchronous_client_says_the_same(service: Service, client: Client) -> None:
    async def ask() -> None:
        async with AsyncClient(service.live.address, service.live.token) as other:
            user = service.scored.user_ids[0]
            assert await other.score(user) == client.score(user)
            assert await other.lookup([user, "emil"]) == client.lookup([user, "emil"])
            assert [score async for score in other.at_risk(tier="high")] == list(client.at_risk(tier="high"))
            assert [run async for run in other.runs()] == list(client.runs())
            assert [score async for score in other.history(user)] == list(client.history(user))
            assert (await other.segments(), await other.model()) == (client.segments(), client.model())
            sent = [User(user_id=user, events=service.events)]
            assert await other.compute(sent, cutoff=TODAY) == client.compute(sent, cutoff=TODAY)
            with pytest.raises(NotScored):
                await other.score("nobody")

    asyncio.run(ask())


def test_both_clients_can_be_asked_the_same() -> None:
    assert {name for name in dir(Client) if name[0] != "_"} == {name for name in dir(AsyncClient) if name[0] != "_"}


def test_importing_the_client_brings_nothing_heavy() -> None:
    code = "import sys, serving.client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()
    assert "httpx" in done.stdout.split()


def test_parts_of_a_lookup_that_are_of_an_older_run_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MOST_IDS", 1)

    def runs_of(*run_ids: int) -> list[int]:
        asking = questions.lookup(["ada", "bert"], reasons=None)
        next(asking)
        asked = []
        with suppress(StopIteration):
            for run_id in run_ids:
                asked.append(run_id)
                asking.send(Lookup(run_id=run_id, scores=(), missing=()))
        return asked

    assert runs_of(1, 1, 1) == [1, 1]
    assert runs_of(1, 2, 2, 2) == [1, 2, 2]
    with pytest.raises(NoAnswer, match="runs_changed"):
        runs_of(1, 2, 3, 4, 5)


@dataclass
class Flaky:
    """A server that answers as it is told, one answer after the other, then always the last."""

    answers: list[tuple[int, dict[str, str], bytes]]
    requests: list[tuple[float, str, str | None]]
    address: str = ""


@contextmanager
def flaky(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[Flaky]:
    told = Flaky(list(answers), [])

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            told.requests.append((time.monotonic(), self.command, self.headers.get("idempotency-key")))
            status, headers, body = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            if status == 0:  # hang up
                return
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 as the module asks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        told.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


FINE = (200, {}, b'{"run_id": 1, "cutoff": "2026-06-01T00:00:00Z", "groups": [], "newer": "field"}')
BUSY = b'{"code": "overloaded", "message": "try again", "status": 503}'
QUICKLY = Patience(first_seconds=0.01, longest_seconds=0.02)


def test_a_busy_service_is_asked_again_and_not_before_it_said() -> None:
    with flaky((503, {"retry-after": "1"}, BUSY), (429, {}, BUSY), (502, {}, b"<html>"), (0, {}, b""), FINE) as server:
        with Client(server.address, "key", patience=QUICKLY) as client:
            assert client.segments().run_id == 1
        times = [moment for moment, _, _ in server.requests]
        assert len(times) == 5
        assert times[1] - times[0] >= 1.0
        assert times[4] - times[1] < 0.9


def test_a_date_in_retry_after_is_waited_for() -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    with flaky((503, {"retry-after": format_datetime(until, usegmt=True)}, BUSY), FINE) as server:
        with Client(server.address, "key", patience=QUICKLY) as client:
            client.segments()
        assert len(server.requests) == 2
        assert datetime.now(UTC) >= until


def test_who_would_have_to_wait_too_long_is_told_at_once() -> None:
    body = b'{"code": "no_scores_yet", "message": "run holdfast score"}'
    with flaky((503, {"retry-after": "60", "x-request-id": "r-1"}, body)) as server:
        with Client(server.address, "key") as client, pytest.raises(Refused) as told:
            client.segments()
        assert len(server.requests) == 1
        assert (told.value.code, told.value.retry_after, told.value.request_id) == ("no_scores_yet", 60.0, "r-1")


def test_tries_come_to_an_end_and_mistakes_are_not_repeated() -> None:
    with flaky((503, {}, BUSY)) as server:
        with Client(server.address, "key", patience=QUICKLY) as client, pytest.raises(Refused, match="overloaded"):
            client.segments()
        assert len(server.requests) == QUICKLY.tries
    for status in (400, 401, 404, 422, 500):
        with flaky((status, {}, BUSY)) as server:
            with Client(server.address, "key", patience=QUICKLY) as client, pytest.raises(Refused):
                client.segments()
            assert len(server.requests) == 1


def test_what_changes_something_is_sent_again_only_with_an_idempotency_key() -> None:
    in_progress = (409, {"retry-after": "0"}, b'{"code": "idempotency_in_progress", "message": "wait"}')
    answers = ((503, {}, BUSY), (0, {}, b""), in_progress, (201, {}, b'{"id": 7}'))
    for failing in answers[:3]:
        with flaky(failing) as server:
            with Client(server.address, "key", patience=QUICKLY) as client, pytest.raises((Refused, NoAnswer)):
                client.send("POST", "/v1/things", body={"a": 1})
            assert len(server.requests) == 1
    with flaky(*answers) as server:
        with Client(server.address, "key", patience=QUICKLY) as client:
            assert client.send("POST", "/v1/things", body={"a": 1}, idempotency_key="k-1") == {"id": 7}
        assert [(method, key) for _, method, key in server.requests] == [("POST", "k-1")] * 4


def test_nobody_there_and_somebody_else_there_are_no_answers() -> None:
    with Client("http://127.0.0.1:9", "key", patience=AT_ONCE) as client, pytest.raises(NoAnswer) as told:
        client.segments()
    assert (told.value.code, told.value.status, told.value.request_id) == ("no_answer", None, None)
    with flaky((200, {}, b"<html>welcome</html>")) as server, Client(server.address, "key") as client:
        with pytest.raises(NoAnswer, match="not_ours"):
            client.segments()
        assert len(server.requests) == 1


def test_waits_are_spread_over_their_whole_range() -> None:
    error = NoAnswer("no_answer", "nothing came back")
    waits = [Patience().wait(error, repeatable=True, tried=3, waited=0.0) for _ in range(300)]
    assert all(wait is not None and 0.0 <= wait <= 1.0 for wait in waits)
    assert min(filter(None, waits)) < 0.1
    assert max(filter(None, waits)) > 0.9
