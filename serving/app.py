"""The HTTP service: `create_app(settings)` is the whole of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.auth import Keyring
from serving.door import Door
from serving.problems import add_problem_handlers
from serving.routes import at_risk, health, model, scores
from serving.rules import RouteMatrix
from serving.schemas import ProblemOut
from serving.settings import ServiceSettings
from serving.store import ScoreStore

DESCRIPTION = """\
Churn scores for your users: how likely each one is to leave, why, and until when to believe it.

* **Key.** Every address under `/v1` needs `Authorization: Bearer hf_live_…`; `holdfast keys create` makes one.
* **Numbers.** Probabilities are 0 to 1 and calibrated, percentiles 0 to 100, times ISO 8601 in UTC.
* **Runs.** All scores of a night appear at once; no response mixes two nights.
* **Errors.** RFC 9457 problems; branch on `code`, show `message` to people. Every response has `X-Request-Id`.
* **Limits.** Bodies up to 1 MB (`serve.max_body_bytes`), 10,000 ids a lookup, 10,000 users a page.
"""


def create_app(settings: ServiceSettings) -> FastAPI:
    """The service over the store that the settings name; the store is opened (and migrated) here."""
    store = ScoreStore.open(settings.store_url)

    @asynccontextmanager
    async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = FastAPI(
        title="Holdfast",
        version=version("holdfast"),
        description=DESCRIPTION,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.store = store
    routers = (scores.score_router, scores.router, at_risk.router, model.router, health.router)
    # Put first and flat: an included router would be searched anew for every request, after the documentation.
    app.router.routes[:0] = [route for router in routers for route in router.routes]
    add_problem_handlers(app)
    matrix = RouteMatrix(app.routes)  # complains of a route that has no rule
    keyring = Keyring(store, memory_seconds=settings.key_memory_seconds)
    app.add_middleware(Door, matrix=matrix, store=store, keyring=keyring, settings=settings)
    _document(app, matrix)
    return app


def _document(app: FastAPI, matrix: RouteMatrix) -> None:
    """Teach the OpenAPI document what the framework cannot know: keys, scopes and problems."""

    def openapi() -> dict[str, Any]:  # Any: OpenAPI
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app, matrix)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents


def _openapi(app: FastAPI, matrix: RouteMatrix) -> dict[str, Any]:  # Any: OpenAPI
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = document.setdefault("components", {})
    parts.setdefault("schemas", {})["ProblemOut"] = ProblemOut.model_json_schema()
    parts["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key of `holdfast keys create`."}
    }
    for address in matrix.addresses:
        for method, rule in address.rules.items():
            if rule.scope is not None:
                document["paths"][address.pattern][method.lower()]["security"] = [{"key": [rule.scope]}]
    return document
