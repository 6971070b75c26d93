"""Spans for OpenTelemetry, the extra `otel`: one a request, named by the route's pattern, never with an id of a user.

The standard environment says where spans go (`OTEL_EXPORTER_OTLP_ENDPOINT` and its relatives); where it names no
collector nothing of this is imported. A caller's `traceparent` (W3C) is taken up.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import UserError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_FAILED = 500


def provider_of(environment: Mapping[str, str]) -> "TracerProvider | None":
    """What makes spans and sends them, as the standard variables say; None where they name no collector.

    Raises `UserError` where they name one and the extra is not installed.
    """
    named = any(environment.get(name) for name in _COLLECTORS)
    if not named or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (an extra)
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 (as above)
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 (as above)
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 (as above)
    except ModuleNotFoundError as error:
        raise UserError(
            f"the environment names a collector of traces ({', '.join(_COLLECTORS)}), and {error.name} is missing: "
            "pip install 'holdfast[otel]', or set OTEL_SDK_DISABLED=true."
        ) from None
    about = {"service.name": environment.get("OTEL_SERVICE_NAME") or "holdfast", "service.version": version("holdfast")}
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Traced:
    """Makes a span of every request but those for health and metrics; sends what is left when the service ends."""

    def __init__(self, app: ASGIApp, *, provider: "TracerProvider") -> None:
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 (an extra)
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._app = app
        self._provider = provider
        self._tracer = provider.get_tracer("holdfast.service", version("holdfast"))
        self._parent = TraceContextTextMapPropagator().extract
        self._server, self._error = SpanKind.SERVER, StatusCode.ERROR

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the service's whole life."""
        if scope["type"] == "lifespan":
            try:
                await self._app(scope, receive, send)
            finally:
                self._provider.shutdown()
        elif scope["type"] != "http" or scope["path"] in ("/livez", "/readyz", "/metrics"):
            await self._app(scope, receive, send)
        else:
            await self._trace(scope, receive, send)

    async def _trace(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = _FAILED

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        names = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # What an exception says may hold an id, so it is not recorded.
        with self._tracer.start_as_current_span(
            scope["method"],
            context=self._parent(names),
            kind=self._server,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, noting)
            finally:
                route = getattr(scope.get("route"), "path_format", None)
                if route is not None:
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("http.response.status_code", status)
                if status >= _FAILED:
                    span.set_status(self._error)
