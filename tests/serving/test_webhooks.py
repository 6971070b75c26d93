"""Webhooks: written with the run, signed as Standard Webhooks says, sent to whom they may be sent, tried for days."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from features.errors import BadInput
from features.windows import days, shift
from serving.store import RunFacts, Score, ScoreStore
from serving.store import messages as messages_module
from serving.store.outbox import DEAD, DELIVERED, UNMADE, WAITING, Outbox
from serving.store.tables import deliveries
from serving.webhooks.addresses import Rules
from serving.webhooks.delivering import How, deliver_due
from serving.webhooks.signing import new_secret
from tests.postgres import BOTH

HERE = Rules(allow_http=True, private_hosts=("127.0.0.1",))
HOW = How(HERE, seconds=3.0)
EVERYTHING = ("run.completed", "run.restored", "users.tier_changed", "users.at_risk")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Receiver:
    """A receiver that notes what it gets and answers as it is told."""

    url: str = ""
    answer: Callable[[int], tuple[int, dict[str, str]]] = lambda _: (200, {})
    seconds: float = 0.0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@contextmanager
def receiving(*, context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    told, lock = Receiver(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                told.at_once += 1
                told.most_at_once = max(told.most_at_once, told.at_once)
                told.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                number = len(told.got)
            time.sleep(told.seconds)
            with lock:
                told.at_once -= 1
            status, headers = told.answer(number)
            self.send_response(status)
            for name, value in {"content-length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}/hook?for=holdfast"
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def pass_over(store: ScoreStore, how: How = HOW, *, after: timedelta = timedelta(0)) -> tuple[int, int, int]:
    done = deliver_due(store.database, how, clock=lambda: shift(now(), after))
    return done.delivered, done.failed, done.dead


def states(store: ScoreStore) -> list[str]:
    return sorted(each.state for each in Outbox(store.database).deliveries())


@BOTH
def test_a_new_run_is_told_with_its_groups_its_changes_and_who_is_at_risk(
    store: ScoreStore, facts: RunFacts, make_score: Callable[..., Score], receiver: Receiver
) -> None:
    secret = new_secret()
    Outbox(store.database).add(receiver.url, EVERYTHING, secret=secret, now=now())
    told = [make_score("ada", 0.2, "low"), make_score("bert", 0.6), make_score("chen", 0.95, "high")]
    run_id = store.write_run(facts, [*told, make_score("newcomer", 0.7, "high")], now=now(), keep_runs=1)
    assert pass_over(store) == (3, 0, 0)
    found = {message["type"]: message["data"] for message in receiver.messages()}
    assert found.keys() == {"run.completed", "users.tier_changed", "users.at_risk"}
    completed = found["run.completed"]
    assert (completed["run_id"], completed["users"], completed["model_version"]) == (run_id, 4, "3")
    assert {group["name"]: group["users"] for group in completed["groups"] if group["by"] == "risk_tier"} == {
        "high": 2,
        "medium": 1,
        "low": 1,
    }
    changed = [
        (user["user_id"], user["previous_risk_tier"], user["risk_tier"])
        for user in found["users.tier_changed"]["users"]
    ]
    assert changed == [("ada", "high", "low"), ("chen", "low", "high")]
    at_risk = found["users.at_risk"]
    assert [user["user_id"] for user in at_risk["users"]] == ["chen", "newcomer"]
    assert at_risk["users"][0]["reasons"][0]["sentence"] == "last seen 24 days ago"
    assert at_risk["valid_until"] == "2026-06-08T00:00:00Z"
    for headers, body in receiver.got:
        assert Verifier(secret).verify(body, headers) == json.loads(body)
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(body.replace(b"ada", b"eve") + b" ", headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(new_secret()).verify(body, headers)
    assert pass_over(store) == (0, 0, 0)


@BOTH
def test_what_is_told_is_there_with_the_run_or_not_at_all(
    store: ScoreStore, facts: RunFacts, cast: list[Score], receiver: Receiver
) -> None:
    outbox = Outbox(store.database)
    outbox.add(receiver.url, ["run.completed"], secret=new_secret(), now=now())
    theirs = Outbox(store.database, "brand")
    theirs.add(receiver.url, ["run.completed"], secret=new_secret(), now=now())

    def refuse() -> None:
        raise BadInput("not champion any more")

    with pytest.raises(BadInput):
        store.write_run(facts, cast, now=now(), confirm=refuse)
    assert states(store) == []
    store.write_run(facts, cast, now=now())
    assert (len(outbox.deliveries()), len(theirs.deliveries())) == (1, 0)
    store.show_again("3", now=now())
    assert [each.event for each in outbox.deliveries()] == ["run.completed"]


@BOTH
def test_many_users_come_in_batches(
    store: ScoreStore,
    facts: RunFacts,
    make_score: Callable[..., Score],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages_module, "BATCH_USERS", 10)
    Outbox(store.database).add(receiver.url, ["users.at_risk"], secret=new_secret(), now=now())
    store.write_run(facts, [make_score(f"user-{n:02d}", n / 100, "high") for n in range(35)], now=now())
    assert pass_over(store) == (4, 0, 0)
    batches = sorted((message["data"] for message in receiver.messages()), key=lambda data: data["batch"])
    assert [len(batch["users"]) for batch in batches] == [10, 10, 10, 5]
    assert [user["user_id"] for batch in batches for user in batch["users"]] == [
        f"user-{n:02d}" for n in range(34, -1, -1)
    ]


@BOTH
def test_an_announcement_that_nobody_made_a_message_of_is_made_by_the_deliverer(
    store: ScoreStore, facts: RunFacts, cast: list[Score], receiver: Receiver
) -> None:
    """As when the process is killed right after a run was published."""
    Outbox(store.database).add(receiver.url, ["run.completed", "users.at_risk"], secret=new_secret(), now=now())
    store.write_run(facts, cast, now=now())
    with store.database.engine.execution_options(writes=True).begin() as connection:
        connection.execute(sa.update(deliveries).values(state=UNMADE, body=None))
        connection.execute(sa.update(deliveries).where(deliveries.c.event == "users.at_risk").values(run_id=999))
    assert pass_over(store) == (1, 0, 0)
    assert states(store) == [DEAD, DELIVERED]


@BOTH
def test_two_deliverers_never_send_a_message_twice(
    store: ScoreStore,
    facts: RunFacts,
    make_score: Callable[..., Score],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages_module, "BATCH_USERS", 1)
    receiver.seconds = 0.05
    Outbox(store.database).add(receiver.url, ["users.at_risk"], secret=new_secret(), now=now())
    store.write_run(facts, [make_score(f"user-{n:02d}", n / 100, "high") for n in range(30)], now=now())
    passes: list[tuple[int, int, int]] = []
    threads = [threading.Thread(target=lambda: passes.append(pass_over(store))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(delivered for delivered, _, _ in passes) == 30
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(receiver.got) == 30
    assert receiver.most_at_once > 1


@BOTH
def test_a_delivery_in_the_hands_of_a_dead_deliverer_is_taken_over_and_his_word_counts_no_more(
    store: ScoreStore, receiver: Receiver
) -> None:
    outbox = Outbox(store.database)
    hook = outbox.add(receiver.url, ["run.completed"], secret=new_secret(), now=now())
    message = outbox.send(hook.webhook_id, "webhook.test", "{}", now=now())
    assert outbox.claim(holder="dead", now=now(), held=timedelta(seconds=60)) is not None
    assert pass_over(store) == (0, 0, 0)
    assert pass_over(store, after=timedelta(seconds=61)) == (1, 0, 0)
    outbox.failed(message, holder="dead", status=None, error="late", again_at=None, now=now())
    assert states(store) == [DELIVERED]


@BOTH
def test_a_failure_is_tried_ever_later_and_is_dead_after_three_days(store: ScoreStore, receiver: Receiver) -> None:
    outbox = Outbox(store.database)
    hook = outbox.add(receiver.url, ["run.completed"], secret=new_secret(), now=now())
    message = outbox.send(hook.webhook_id, "webhook.test", '{"type":"webhook.test"}', now=now())
    receiver.answer = lambda _: (500, {})
    passed, waits = timedelta(0), []
    while states(store) == [WAITING]:
        assert pass_over(store, after=passed)[0] == 0
        waiting = outbox.deliveries()[0].due_at - shift(now(), passed)
        waits.append(waiting.total_seconds())
        passed += max(waiting, timedelta(0)) + timedelta(seconds=1)
    assert states(store) == [DEAD]
    assert 12 <= len(receiver.got) <= 30
    assert timedelta(days=2.5) < passed < timedelta(days=3.5)
    assert waits[0] < waits[2] < waits[4]
    assert outbox.webhook(hook.webhook_id, now=now()).dead == 1
    receiver.answer = lambda _: (204, {})
    assert outbox.resend([message], now=now()) == 1
    assert pass_over(store) == (1, 0, 0)
    assert states(store) == [DELIVERED]
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {message}


def test_a_receiver_says_when_to_come_again_and_when_to_stop(store: ScoreStore, receiver: Receiver) -> None:
    outbox = Outbox(store.database)
    hook = outbox.add(receiver.url, ["run.completed"], secret=new_secret(), now=now())
    for _ in range(3):
        outbox.send(hook.webhook_id, "webhook.test", "{}", now=now())
    receiver.answer = lambda _: (429, {"retry-after": "3600"})
    assert pass_over(store)[0] == 0
    tried = [each for each in outbox.deliveries() if each.attempts]
    assert all(each.due_at > shift(now(), timedelta(minutes=59)) for each in tried)
    receiver.answer = lambda _: (410, {})
    pass_over(store, after=days(1))
    assert states(store) == [DEAD] * 3
    assert outbox.webhook(hook.webhook_id, now=now()).gone


def test_while_a_secret_is_rotated_both_sign(store: ScoreStore, receiver: Receiver) -> None:
    outbox, old, new = Outbox(store.database), new_secret(), new_secret()
    hook = outbox.add(receiver.url, ["run.completed"], secret=old, now=now())
    outbox.rotate(hook.webhook_id, secret=new, overlap_ends=shift(now(), days(1)), now=now())
    outbox.send(hook.webhook_id, "webhook.test", "{}", now=now())
    pass_over(store)
    headers, body = receiver.got[0]
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        Verifier(secret).verify(body, headers)
    assert outbox.webhook(hook.webhook_id, now=shift(now(), days(2))).secrets == (new,)


def test_a_redirect_is_not_followed_and_a_slow_receiver_is_given_up(store: ScoreStore, receiver: Receiver) -> None:
    with receiving() as other:
        hook = Outbox(store.database).add(receiver.url, ["run.completed"], secret=new_secret(), now=now())
        receiver.answer = lambda _: (307, {"location": other.url})
        Outbox(store.database).send(hook.webhook_id, "webhook.test", "{}", now=now())
        assert pass_over(store) == (0, 1, 0)
        assert other.got == []
    assert "redirect" in str(Outbox(store.database).deliveries()[0].last_error)
    receiver.seconds = 2.0
    started = time.monotonic()
    assert pass_over(store, replace(HOW, seconds=0.3), after=timedelta(hours=1)) == (0, 1, 0)
    assert time.monotonic() - started < 1.9
    assert Outbox(store.database).deliveries()[0].last_error == "no answer within 0.3 s"


PRIVATE = [
    "10.0.0.1", "172.16.5.5", "192.168.1.1", "127.0.0.1", "0.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "::1", "::", "fe80::1", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "ff02::1", "x",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_also_among_public_ones(store: ScoreStore, address: str) -> None:
    hook = Outbox(store.database).add("https://crm.example/hook", ["run.completed"], secret=new_secret(), now=now())
    Outbox(store.database).send(hook.webhook_id, "webhook.test", "{}", now=now())
    how = replace(HOW, resolve=lambda _host, _port: ["93.184.216.34", address])
    assert pass_over(store, how) == (0, 1, 0)
    assert "not of the public internet" in str(Outbox(store.database).deliveries()[0].last_error)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "127.0.0.1"])
def test_spellings_of_this_machine_are_refused(store: ScoreStore, receiver: Receiver, host: str) -> None:
    port = receiver.url.split(":")[2]
    hook = Outbox(store.database).add(f"http://{host}:{port}", ["run.completed"], secret=new_secret(), now=now())
    Outbox(store.database).send(hook.webhook_id, "webhook.test", "{}", now=now())
    assert pass_over(store, How(Rules(allow_http=True), seconds=2.0)) == (0, 1, 0)
    assert receiver.got == []


def test_a_name_is_resolved_once_and_the_connection_goes_where_was_looked(store: ScoreStore, certificate: Path) -> None:
    """A name that means another machine at the second look (DNS rebinding) gains nothing; SNI and Host stay its own."""
    asked: list[str] = []
    names: list[str | None] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    trusted = ssl.create_default_context(cafile=str(certificate))
    rules = Rules(private_hosts=("crm.example",))
    with receiving(context=context) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        hook = Outbox(store.database).add(
            f"https://crm.example:{port}/in", ["run.completed"], secret=new_secret(), now=now()
        )
        Outbox(store.database).send(hook.webhook_id, "webhook.test", "{}", now=now())
        assert pass_over(store, How(rules, 3.0, resolve)) == (0, 1, 0)  # a certificate that nobody knows
        asked.clear()
        assert pass_over(store, How(rules, 3.0, resolve, trusted), after=timedelta(hours=1)) == (1, 0, 0)
        assert (asked, names[-1], receiver.got[0][0]["host"]) == (["crm.example"], "crm.example", f"crm.example:{port}")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of crm.example that only its holder trusts."""
    from cryptography import x509  # noqa: PLC0415 (only here)
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "crm.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(shift(now(), -days(1)))
        .not_valid_after(shift(now(), days(1)))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("crm.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "crm.pem"
    file.write_bytes(key.private_bytes(*plain) + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_what_was_done_long_ago_is_forgotten(store: ScoreStore, receiver: Receiver) -> None:
    outbox = Outbox(store.database)
    hook = outbox.add(receiver.url, ["run.completed"], secret=new_secret(), now=now())
    message = outbox.send(hook.webhook_id, "webhook.test", "{}", now=now())
    pass_over(store)
    pass_over(store, after=days(8))
    assert outbox.deliveries()[0].body is None
    assert outbox.resend([message], now=now()) == 0
    pass_over(store, after=days(31))
    assert outbox.deliveries() == []
    outbox.remove(hook.webhook_id, now=now())
    assert outbox.webhooks(now=now()) == []


def test_the_log_names_no_user_and_no_address(
    store: ScoreStore, facts: RunFacts, cast: list[Score], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    Outbox(store.database).add(receiver.url, EVERYTHING, secret=new_secret(), now=now())
    receiver.answer = lambda number: (200 if number > 1 else 500, {})
    store.write_run(facts, cast, now=now())
    pass_over(store)
    assert "event=webhook_" in caplog.text
    assert [word for word in ("ada", "127.0.0.1") if word in caplog.text] == []
