"""The servers that `lookup.py` compares, each under granian with as many workers and the same settings."""

import sys
from typing import Any

from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.server import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from serving.run import serve
from serving.settings import ServiceSettings


def fastapi_hello() -> FastAPI:
    """What the documentation of FastAPI begins with."""
    app = FastAPI()

    async def hello() -> dict[str, str]:
        return {"message": "Hello World"}

    app.get("/")(hello)
    app.get("/livez")(hello)
    return app


def starlette_hello() -> Starlette:
    """The same without FastAPI."""

    async def hello(_request: Request) -> JSONResponse:
        return JSONResponse({"message": "Hello World"})

    return Starlette(routes=[Route("/", hello), Route("/livez", hello)])


BARE: dict[str, Any] = {"FastAPI hello-world": fastapi_hello, "Starlette hello-world": starlette_hello}


def main(name: str, port: int, *, store_url: str, workers: int) -> None:
    """Serve one of them until stopped."""
    if name not in BARE:
        serve(ServiceSettings(store_url, port=port, workers=workers))
        return
    target = f"{__file__}:{BARE[name].__name__}"
    server = Server(
        target,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        factory=True,
    )
    server.serve(target_loader=BARE[name], wrap_loader=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), store_url=sys.argv[3], workers=int(sys.argv[4]))
