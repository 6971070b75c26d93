"""A store with the named cast in it, and clients of the service in front of it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from features.sentences import Phrase, Wording
from features.windows import Interval, days, utc
from models.reasons import Reason
from serving.app import create_app
from serving.settings import ServiceSettings
from serving.store import RunFacts, Score, ScoreStore
from tests.open_shop import OpenShop, open_shop
from tests.postgres import PostgresServer, running_postgres

CUTOFF = utc("2026-06-01")
NOW = utc("2026-06-01T02:00:00Z")
MODEL_FACTS = {
    "trained_at": "2026-05-30T01:00:00Z",
    "definition": {
        "id": "churn-3f1c0a9be2d4",
        "sentence": "Churned: active in the last 60 days, then no event for 30 days.",
        "activity": [],
        "look_back": "60d",
        "lead_time": "0d",
        "horizon": "30d",
    },
    "quality": [{"metric": "auc", "value": 0.87, "low": 0.85, "high": 0.89}],
    "verdict": {"decision": "deploy", "reasons": [{"code": "better", "sentence": "Better than every baseline."}]},
    "features": [{"name": "days_since_last_event", "family": "recency", "sentence": "last seen {:.0f} days ago"}],
    "feature_fingerprint": "fs-0a1b2c3d4e5f",
}


REASONS = (
    Reason(
        "recency.days_since_last_event",
        Wording(Phrase("last seen ", " days ago", "", " 天前最后一次活动"), "24", "24"),
        0.81,
    ),
    Reason("spend.spend_28d", Wording.whole("spent 3 € in the last 28 days", "最近 28 天消费 3 €"), 0.2),
)
CAST = {"ada": (0.9, "high"), "bert": (0.6, "medium"), "chen": (0.3, "low"), "dalia": (0.1, "low")}


@pytest.fixture(scope="session")
def facts() -> RunFacts:
    horizon = Interval(CUTOFF, CUTOFF + days(30))
    return RunFacts(CUTOFF, horizon, CUTOFF + days(7), "3", "churn-3f1c0a9be2d4", MODEL_FACTS)


@pytest.fixture(scope="session")
def shop_of_today(tmp_path_factory: pytest.TempPathFactory) -> OpenShop:
    return open_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def make_score() -> Callable[..., Score]:
    def made(user_id: str, probability: float = 0.5, tier: str = "medium", percentile: float = 50.0) -> Score:
        return Score(user_id, probability, percentile, tier, REASONS)

    return made


@pytest.fixture(scope="session")
def cast() -> list[Score]:
    return [Score(user, p, 100 * p, tier, REASONS) for user, (p, tier) in CAST.items()]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that is not there yet: in SQLite, or in the database that the test is marked for."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return request.getfixturevalue("postgres_server").new_database()
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def empty_store(url: str) -> Iterator[ScoreStore]:
    store = ScoreStore.open(url)
    yield store
    store.close()


@pytest.fixture
def store(empty_store: ScoreStore, facts: RunFacts, cast: list[Score]) -> ScoreStore:
    empty_store.write_run(facts, cast, outside=["emil"], now=NOW)
    return empty_store


class Client:
    """Asks the application as an HTTP client would, with a key that may do everything unless told otherwise."""

    def __init__(self, app: FastAPI, token: str | None) -> None:
        self.app = app
        self.token = token

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._ask(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self("GET", path, **more)

    def post(self, path: str, content: bytes, **headers: str) -> httpx.Response:
        given = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        return self("POST", path, content=content, headers=given)

    def using(self, token: str | None) -> "Client":
        return Client(self.app, token)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        key = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=key) as client:
            return await client.request(method, path, **more)


@pytest.fixture
def make_client() -> Iterator[Callable[..., Client]]:
    opened: list[FastAPI] = []

    def made(store: ScoreStore, url: str, **settings: Any) -> Client:
        app = create_app(ServiceSettings(url, **settings))
        opened.append(app)
        return Client(app, store.create_key("everything", ["admin"], now=NOW).token)

    yield made
    for app in opened:
        app.state.store.close()


@pytest.fixture
def client(store: ScoreStore, url: str, make_client: Callable[..., Client]) -> Client:
    return make_client(store, url, max_body_bytes=50_000)
