"""Errors as RFC 9457 problems: the only place where errors of the service meet HTTP."""

import logging
import sqlite3
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from features.errors import NotReady
from serving.metrics import meters
from serving.problem_kinds import KINDS, NO_ROOM
from serving.refusals import RefusedError
from serving.store.trouble import in_brief, is_full, is_of_a_database

MEDIA_TYPE = "application/problem+json"
_ERRORS_SHOWN = 20
_TEXT_SHOWN = 200
_log = logging.getLogger("holdfast.service")
_CODES_BY_STATUS = {400: "bad_request", 404: "route_unknown", 405: "method_not_allowed", 415: "unsupported_media_type"}


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    for error in (RefusedError, NotReady, sqlite3.Error, DBAPIError, PoolTimeoutError):
        app.add_exception_handler(error, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)


def problem_of(error: Exception) -> Response | None:
    """The problem that a known error is; None for one that nobody foresaw."""
    match error:
        case RefusedError():
            return problem(error.code, error.message, headers=error.headers)
        case NotReady():
            return problem("no_scores_yet", str(error))
        case _ if is_full(error):
            _log.error("event=no_room error=%s", type(error).__name__)
            return problem("no_room", NO_ROOM)
        case _ if is_of_a_database(error) and not isinstance(error, OSError):
            _log.error("event=store_unavailable error=%s", type(error).__name__)
            return problem("store_unavailable", f"the score store cannot be asked now ({in_brief(error)}); try again.")
    return None


def unforeseen() -> Response:
    """The problem that an error is which nobody foresaw; says nothing of its inside."""
    return problem("internal_error", MESSAGES["internal_error"])


def problem(
    code: str, message: str, *, errors: list[dict[str, str]] | None = None, headers: dict[str, str] | None = None
) -> Response:
    """The response for a problem of a kind; `errors` says which parts of the request are wrong."""
    kind = KINDS[code]
    meters().problem(code)
    body: dict[str, Any] = {  # Any: JSON
        "type": f"urn:holdfast:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": message,
        "code": code,
        "message": message,
    }
    if errors is not None:
        body["errors"] = errors
    return Response(orjson.dumps(body), kind.status, {**kind.headers, **(headers or {})}, MEDIA_TYPE)


def printable(text: str) -> str:
    """The text cut to a length that can be shown, without what cannot be written as UTF-8.

    >>> printable("café" + chr(0xD800))
    'café?'
    """
    return text[:_TEXT_SHOWN].encode("utf-8", "replace").decode()


async def _known(_request: Request, error: Exception) -> Response:
    found = problem_of(error)
    if found is None:
        raise error
    return found


async def _invalid(_request: Request, error: Exception) -> Response:
    """Says where and what, never echoes the value: it may be private, huge, or no valid text."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    if any(item["type"] == "json_invalid" for item in found):
        return problem("invalid_json", "the body is not valid JSON; expected one JSON object in UTF-8.")
    errors = [{"where": _place(item["loc"]), "message": printable(str(item["msg"]))} for item in found[:_ERRORS_SHOWN]]
    more = f" (the first {_ERRORS_SHOWN} of {len(found)})" if len(found) > _ERRORS_SHOWN else ""
    first = f"{errors[0]['where']}: {errors[0]['message']}" if errors else "see the documentation of this address"
    return problem("invalid_request", f"the request is not valid{more}: {first}.", errors=errors)


def _place(location: tuple[int | str, ...]) -> str:
    return printable(".".join(str(part) for part in location))


async def _framework(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: unknown addresses, wrong methods, bodies it cannot parse."""
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    code = _CODES_BY_STATUS.get(
        status, "internal_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "bad_request"
    )
    if code == "bad_request" and request.method == "POST":
        return problem("invalid_json", "the body cannot be read as JSON; expected one JSON object in UTF-8.")
    return problem(code, MESSAGES[code], headers=dict(headers or {}))


MESSAGES = {
    "bad_request": "the request cannot be understood; see /openapi.json for what is expected.",
    "route_unknown": "there is nothing at this address; see /openapi.json for the addresses there are.",
    "method_not_allowed": "this address does not take this method; the header Allow names those it takes.",
    "unsupported_media_type": "the body is of a kind that is not taken; expected application/json.",
    "overloaded": "the service has too much to do at the moment; try again, as Retry-After says.",
    "internal_error": "the service failed; the log has the details under this request id.",
}
