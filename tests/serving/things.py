"""An address that changes something, for tests: each thing that is made is a line in a file."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Request, Response

from serving import rules
from serving.refusals import RefusedError
from serving.routes import health

THINGS = "/v1/things"
STREAMED = "/v1/things/streamed"


def serve_things(file: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the next application that is made serve it."""
    router = APIRouter()
    router.routes.extend(health.router.routes)

    async def make(request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        if "refuse" in body:
            raise RefusedError(body["refuse"], "as asked")
        with file.open("a") as lines:
            lines.write(f"{request.state.key.tenant} {len(await request.body())}\n")
        await asyncio.sleep(body.get("seconds", 0))
        thing = f'{{"thing": "{uuid.uuid4()}", "text": "{"é" * body.get("length", 0)}"}}'
        return Response(thing, 201, {"location": "/v1/things/1", "x-odd": "kept"}, "application/json")

    for path in (THINGS, STREAMED):
        router.add_api_route(path, make, methods=["POST"], responses={201: {"description": "Made."}})
        rule = rules.Rule("lists:write", rate="write", changes=True, streams=path == STREAMED)
        patch.setitem(rules.RULES, ("POST", path), rule)
    patch.setattr(health, "router", router)
