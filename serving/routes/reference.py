"""The API's description as a page. Its program comes with the service: where it runs there may be no other network."""

from functools import lru_cache
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

_FILES = Path(fastapi_offline.__file__).parent / "static"
# Schemas closed, units and ranges beside the numbers.
_LOOKS = {"defaultModelsExpandDepth": 0, "showExtensions": True, "showCommonExtensions": True}
_A_DAY = {"cache-control": "public, max-age=86400"}
router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page(request: Request) -> HTMLResponse:
    """The page, by Swagger UI."""
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Holdfast API",
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/favicon.png",
        swagger_ui_parameters=_LOOKS,
    )


@router.get("/docs/swagger-ui-bundle.js")
async def program() -> Response:
    """Its program."""
    return Response(_content("swagger-ui-bundle.js"), 200, _A_DAY, "text/javascript")


@router.get("/docs/swagger-ui.css")
async def looks() -> Response:
    """How it looks."""
    return Response(_content("swagger-ui.css"), 200, _A_DAY, "text/css")


@router.get("/docs/favicon.png")
async def icon() -> Response:
    """The little picture in the browser's tab."""
    return Response(_content("favicon.png"), 200, _A_DAY, "image/png")


@lru_cache
def _content(name: str) -> bytes:
    return (_FILES / name).read_bytes()
