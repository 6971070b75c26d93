"""Spans: by pattern, under the caller's trace, and nothing of users in them."""

import asyncio
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from features.windows import utc
from serving.app import create_app
from serving.settings import ServiceSettings
from serving.store import ScoreStore
from serving.traces import provider_of

NOW = utc("2026-06-01T02:00:00Z")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def ask(store: ScoreStore, url: str, spans: InMemorySpanExporter) -> Any:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app = create_app(ServiceSettings(url), traces=provider)
    token = store.create_key("everything", ["admin"], now=NOW).token

    async def asking(path: str, **headers: str) -> int:
        given = {"authorization": f"Bearer {token}", **headers}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return (await client.get(path, headers=given)).status_code

    yield lambda path, **headers: asyncio.run(asking(path, **headers))
    app.state.store.close()


def test_a_span_is_named_by_the_pattern_and_goes_on_with_the_callers_trace(
    ask: Any, spans: InMemorySpanExporter
) -> None:
    assert ask("/v1/users/ada/score", traceparent=CALLER) == 200
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /v1/users/{user_id}/score"
    assert dict(span.attributes or {}) == {
        "http.route": "/v1/users/{user_id}/score",
        "http.request.method": "GET",
        "http.response.status_code": 200,
    }
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (CALLER[3:35], CALLER[36:52])


def test_nothing_of_users_or_keys_is_in_a_span(ask: Any, spans: InMemorySpanExporter) -> None:
    for path in ("/v1/users/zoe-private/score?reasons=none", "/zoe-private", "/v1/users/zoe-private/history"):
        ask(path)
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert told.count("http.response.status_code") == 3
    assert "zoe" not in told
    assert "hf_live" not in told


def test_health_and_metrics_make_no_spans(ask: Any, spans: InMemorySpanExporter) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        ask(path)
    assert _names(spans.get_finished_spans()) == []


def test_the_standard_environment_says_whether_and_where_to() -> None:
    assert provider_of({}) is None
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert provider_of({**collector, "OTEL_SDK_DISABLED": "true"}) is None
    found = provider_of({**collector, "OTEL_SERVICE_NAME": "churn"})
    assert found is not None
    assert found.resource.attributes["service.name"] == "churn"
    found.shutdown()


def _names(found: tuple[ReadableSpan, ...]) -> list[str]:
    return [span.name for span in found]


def test_the_framework_makes_no_spans_of_its_own_because_they_hold_paths(
    client: Any, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    assert client.get("/v1/users/ada/history").status_code == 200
    assert client.get("/v1/users/ada/score").status_code == 200
    assert not spans.get_finished_spans()
