"""What operators see: health with its reasons, and numbers for Prometheus that name nobody."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from features.windows import utc
from serving.app import create_app
from serving.settings import ServiceSettings
from serving.store import Absence, RunFacts, Score, ScoreStore
from tests.postgres import BOTH

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(client: Any) -> Samples:
    answer = client.using(None).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def one(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def test_requests_are_counted_by_pattern_and_class_and_problems_by_code(client: Any) -> None:
    before = samples(client)
    for path in ("/v1/users/ada/score", "/v1/users/bert/score", "/v1/users/nobody-knows-me/score", "/no/such/place"):
        client.get(path)
    client.using(None).get("/v1/users/ada/score")
    after = samples(client)
    route = "/v1/users/{user_id}/score"
    counted = {
        status: one(after, "holdfast_http_request_duration_seconds_count", method="GET", route=route, status=status)
        - one(before, "holdfast_http_request_duration_seconds_count", method="GET", route=route, status=status)
        for status in ("2xx", "4xx", "5xx")
    }
    assert counted == {"2xx": 2, "4xx": 2, "5xx": 0}
    told = {
        code: one(after, "holdfast_problems_total", code=code) - one(before, "holdfast_problems_total", code=code)
        for code in ("user_unknown", "key_missing", "route_unknown")
    }
    assert told == {"user_unknown": 1, "key_missing": 1, "route_unknown": 1}
    assert one(after, "holdfast_http_requests_in_flight") == 1, "the one that asks"


def test_no_number_names_a_user_or_a_path(client: Any) -> None:
    client.get("/v1/users/zoe-private/score")
    client.get("/secret/zoe-private")
    client("ZOE", "/v1/users/zoe-private/score")
    text = client.using(None).get("/metrics").text
    assert "zoe" not in text.lower()
    assert "secret" not in text


@BOTH
def test_the_current_runs_are_told_by_tenant(
    empty_store: ScoreStore, url: str, facts: RunFacts, cast: list[Score], make_client: Callable[..., Any]
) -> None:
    elsewhere = {"emil": Absence.OUTSIDE, "fay": Absence.OUTSIDE, "gus": Absence.OPTED_OUT}
    empty_store.write_run(facts, cast, outside=elsewhere, now=utc("2026-06-01T02:00:00Z"))
    empty_store.of("brand").write_run(facts, cast[:1], now=utc("2026-06-01T03:00:00Z"))
    found = samples(make_client(empty_store, url))
    assert one(found, "holdfast_run_users", tenant="") == 4
    assert one(found, "holdfast_run_users", tenant="brand") == 1
    assert one(found, "holdfast_run_users_without_score", tenant="", reason="user_outside_population") == 2
    assert one(found, "holdfast_run_users_without_score", tenant="", reason="user_opted_out") == 1
    assert one(found, "holdfast_run_tier_users", tenant="", tier="low") == 2
    assert one(found, "holdfast_run_model_info", tenant="", version="3", definition="churn-3f1c0a9be2d4") == 1
    spread = [one(found, "holdfast_run_churn_probability_bucket", tenant="", le=le) for le in ("0.1", "0.5", "+Inf")]
    assert spread == [1, 2, 4]
    assert one(found, "holdfast_run_churn_probability_sum", tenant="") == pytest.approx(1.9)
    assert one(found, "holdfast_run_cutoff_timestamp_seconds", tenant="") == utc("2026-06-01").timestamp()
    assert one(found, "holdfast_runs_kept", tenant="") == 1
    assert one(found, "holdfast_store_up") == 1


def test_every_number_has_a_word_of_explanation(client: Any) -> None:
    text = client.using(None).get("/metrics").text
    named = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    explained = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    assert named == explained
    assert all(name.startswith("holdfast_") for name in named)


@pytest.mark.usefixtures("store")
def test_a_service_that_was_told_to_stop_is_not_ready_but_still_answers(url: str) -> None:
    told_to_stop = [False]
    app = create_app(ServiceSettings(url), stopping=lambda: told_to_stop[0])

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            first = await client.get("/readyz")
            told_to_stop[0] = True
            second = await client.get("/readyz")
            assert second.json()["checks"][0]["name"] == "stopping"
            return [first.status_code, second.status_code, (await client.get("/livez")).status_code]

    assert asyncio.run(statuses()) == [200, 503, 200]
    app.state.store.close()
