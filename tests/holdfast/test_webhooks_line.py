"""Webhooks and exports by command: made, tried, listed, rotated, sent again; a run as a file, whole or not at all."""

import csv
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from standardwebhooks import Webhook

from features.windows import Interval, days, utc
from serving.store import RunFacts, Score, ScoreStore
from tests.said import Said

Holdfast = Callable[..., Said]
CUTOFF = utc("2026-06-01")
FACTS = RunFacts(CUTOFF, Interval(CUTOFF, CUTOFF + days(30)), CUTOFF + days(7), "3", "churn-1", {})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ScoreStore]:
    made = ScoreStore.open(f"sqlite:///{tmp_path / 'holdfast-data' / 'store.db'}")
    yield made
    made.close()


class Receiver(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def users(*names: str) -> list[Score]:
    return [Score(name, 0.5, 50.0, "high", ()) for name in names]


def test_a_webhook_from_its_making_to_its_end(
    holdfast: Holdfast, store: ScoreStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    refused = holdfast("webhooks", "add", url, "--event", "run.completed")
    assert (refused.code, "not encrypted" in refused.err) == (3, True)
    monkeypatch.setenv("HOLDFAST_WEBHOOKS_ALLOW_HTTP", "true")
    made = json.loads(holdfast("webhooks", "add", url, "--event", "run.completed", "--json").out)
    webhook, secret = made["webhook"], made["secret"]
    assert secret not in holdfast("webhooks", "list", "--json").out
    alone = holdfast("webhooks", "test", webhook)
    assert (alone.code, "not of the public internet" in alone.out, receiver.got) == (1, True, [])
    monkeypatch.setenv("HOLDFAST_WEBHOOKS_PRIVATE_HOSTS", "127.0.0.1")
    assert holdfast("webhooks", "test", webhook).code == 0
    headers, body = receiver.got[-1]
    assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"

    new = json.loads(holdfast("webhooks", "rotate", webhook, "--overlap", "2d", "--json").out)["secret"]
    receiver.status = 410
    store.write_run(FACTS, users("ada"), now=utc("2026-06-01T02:00:00Z"))
    assert json.loads(holdfast("webhooks", "deliver", "--json").out)["delivered"] == 0
    assert "gone: the receiver said 410" in holdfast("webhooks", "list").out
    headers, body = receiver.got[-1]
    for each in (secret, new):
        assert Webhook(each).verify(body, headers)["data"]["users"] == 1
    receiver.status = 200
    dead = [
        each["message"]
        for each in json.loads(holdfast("webhooks", "deliveries", "--state", "dead", "--json").out)["deliveries"]
    ]
    assert holdfast("webhooks", "resend", dead[0]).code == 0
    assert json.loads(holdfast("webhooks", "deliver", "--json").out)["delivered"] == 1
    assert receiver.got[-1][0]["webhook-id"] == dead[0]
    assert holdfast("webhooks", "resend", "msg_of_nobody").code == 3
    assert holdfast("webhooks", "remove", webhook).code == 0
    assert holdfast("webhooks", "list").out.strip() == "There are no webhooks yet."
    assert holdfast("webhooks", "test", webhook).code == 3


def test_an_export_is_whole_or_not_at_all(holdfast: Holdfast, store: ScoreStore, tmp_path: Path) -> None:
    assert holdfast("export", "scores.csv").code == 4
    store.write_run(FACTS, users("ada", "@bert"), now=utc("2026-06-01T02:00:00Z"))
    store.write_run(FACTS, users("ada"), now=utc("2026-06-02T02:00:00Z"))
    assert holdfast("export", "scores.csv", "--run", "1").out.strip() == "Wrote 2 users of run 1 to scores.csv."
    rows = csv.DictReader((tmp_path / "scores.csv").read_text("utf-8").splitlines())
    assert [row["user_id"] for row in rows] == ["'@bert", "ada"]
    assert json.loads(holdfast("export", "scores.parquet", "--json").out)["users"] == 1
    assert pq.read_table("scores.parquet")["run_id"].to_pylist() == [2]
    assert holdfast("export", "table").code == 0
    assert holdfast("export", "table").code == 3
    assert holdfast("export", "table", "--overwrite").code == 0
    wrong = holdfast("export", "scores.csv", "--run", "9")
    assert (wrong.code, "kept are: 2, 1" in wrong.err) == (3, True)
    assert holdfast("export", "scores.xlsx").code == 3
    assert holdfast("export", "nowhere/scores.csv").code == 3
    assert not list(tmp_path.glob(".*unfinished"))
