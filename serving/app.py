"""The HTTP service: `create_app(settings)` is the whole of it."""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from serving.champions import Champions
from serving.door import Door
from serving.jobs import Jobs
from serving.notes import Notes
from serving.problems import add_problem_handlers
from serving.routes import at_risk, fresh, health, model, reference, runs, scores
from serving.routes import jobs as bulk
from serving.routes.documents import add_problems
from serving.rules import RouteMatrix, codes_of
from serving.schemas.common import ProblemOut
from serving.schemas.compute import ComputeIn
from serving.settings import ServiceSettings
from serving.store import ScoreStore
from serving.store.overview import Overviews
from serving.traces import Traced
from serving.turns import Turns

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

DESCRIPTION = """\
Churn scores for your users: how likely each one is to leave, why, and until when to believe it.

* **Key.** Every address under `/v1` needs `Authorization: Bearer hf_live_…`; `holdfast keys create` makes one.
* **Numbers.** Probabilities are 0 to 1 and calibrated, percentiles 0 to 100, times ISO 8601 in UTC.
* **Runs.** All scores of a night appear at once; no response mixes two nights.
* **Errors.** RFC 9457 problems; branch on `code`, show `message` to people. Every response has `X-Request-Id`.
* **Units.** Every number says its own (`x-unit`) and its range.
* **Limits.** Bodies up to 1 MB (`serve.max_body_bytes`), 10,000 ids a lookup, 10,000 users a page.
"""
TAGS = [
    {"name": "scores", "description": "Of one user or of some: last night's, or computed at this moment."},
    {"name": "jobs", "description": "Many users at once: a file of users up, a file of scores down."},
    {"name": "lists", "description": "Who is most at risk, what kinds of users there are, and which nights are kept."},
    {"name": "model", "description": "What stands behind the scores."},
    {"name": "health", "description": "For operators and balancers: needs no key and says nothing about users."},
]


def create_app(
    settings: ServiceSettings, *, stopping: Callable[[], bool] = lambda: False, traces: "TracerProvider | None" = None
) -> FastAPI:
    """The service over the store that the settings name; the store is opened (and migrated) here.

    `stopping` tells whether the service was told to stop and only finishes what is under way. `traces` makes spans.
    """
    store = ScoreStore.open(settings.store_url)
    champions = Champions(store, settings.folders, settings.rules, settings.stale_days)

    jobs = Jobs(store, champions, settings.jobs_folder or Path(tempfile.gettempdir()) / "holdfast-jobs")
    notes = Notes(store, audit_days=settings.audit_days)

    @asynccontextmanager
    async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
        champions.start()
        jobs.start()
        notes.run()
        yield
        notes.end()
        jobs.stop()
        champions.stop()
        store.close()

    app = FastAPI(
        title="Holdfast",
        version=version("holdfast"),
        description=DESCRIPTION,
        lifespan=_lifespan,
        redirect_slashes=False,
        openapi_tags=TAGS,
        docs_url=None,  # see `serving.routes.reference`
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would write paths, which hold users' ids
    )
    app.state.store = store
    app.state.overviews = Overviews(store)
    app.state.stopping = stopping
    app.state.notes = notes
    app.state.champions = champions
    app.state.turns = Turns()
    app.state.jobs = jobs
    routers = (
        scores.score_router,
        scores.router,
        fresh.compute_router,
        fresh.router,
        bulk.upload_router,
        bulk.router,
        at_risk.router,
        runs.router,
        model.router,
        health.router,
        reference.router,
    )
    # Put first and flat: an included router would be searched anew for every request, after the documentation.
    app.router.routes[:0] = [route for router in routers for route in router.routes]
    add_problem_handlers(app)
    matrix = RouteMatrix(app.routes)  # complains of a route that has no rule
    app.add_middleware(Door, matrix=matrix, store=store, notes=notes, settings=settings, stopping=stopping)
    if settings.cors_origins:
        _let_pages_ask(app, settings.cors_origins)
    if traces is not None:
        app.add_middleware(Traced, provider=traces)
    _document(app, matrix)
    return app


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request with the same key has its effect once, and gets the same answer for a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!#-\[\]-~]+$"},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}


_REFUSED_BY_THE_SERVER = {
    "414": {"description": "The address has more than 64 KB: refused by the server itself, without a body."},
    "431": {"description": "The headers have more than 64 KB: refused by the server itself, without a body."},
}


def _let_pages_ask(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Let pages of these origins ask from a browser: before the door, because a browser's first question has no key."""
    told = ("x-request-id", "retry-after", "ratelimit", "ratelimit-policy", "link", "etag", "idempotent-replayed")
    sent = ("authorization", "content-type", "content-encoding", "idempotency-key", "if-none-match", "x-request-id")
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=sent,
        expose_headers=told,
        max_age=600,
    )


def _document(app: FastAPI, matrix: RouteMatrix) -> None:
    """Teach the OpenAPI document what the framework cannot know: keys, scopes and problems."""

    def openapi() -> dict[str, Any]:  # Any: OpenAPI
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app, matrix)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents


def _openapi(app: FastAPI, matrix: RouteMatrix) -> dict[str, Any]:  # Any: OpenAPI
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    parts = document.setdefault("components", {})
    unseen: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ProblemOut, "serialization"), (ComputeIn, "validation")]
    _, schemas = models_json_schema(unseen, ref_template="#/components/schemas/{model}")
    parts.setdefault("schemas", {}).update(schemas["$defs"])
    parts["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key of `holdfast keys create`."}
    }
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():  # names that read well in generated clients
                operation = document["paths"][route.path_format][method.lower()]
                operation["operationId"] = route.name
                operation["responses"] |= _REFUSED_BY_THE_SERVER
    for address in matrix.addresses:
        for method, rule in address.rules.items():
            if rule.scope is not None:
                operation = document["paths"][address.pattern][method.lower()]
                operation["security"] = [{"key": [rule.scope]}]
                add_problems(operation["responses"], codes_of(method, rule), status=str)
                if rule.changes and method == "POST":
                    operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    return document
