"""What Schemathesis is told of the service besides its document: users, cursors and features that there are.

It loads this file by itself (`SCHEMATHESIS_HOOKS`). What the document allows but nobody could know, such as a cursor,
is refused before anything is asked, as it should be; so it is replaced by what the service has given out.
"""

import functools
import json
import os
import re
import urllib.request
import uuid
from typing import Any

import schemathesis

SHORT = 4  # characters: made-up ids up to this length become the user who is there
KEY = re.compile(r"[!#-\[\]-~]{1,255}")
LISTS = {
    "/v1/users/at-risk": "/v1/users/at-risk?limit=1",
    "/v1/users/{user_id}/history": "/v1/users/{user_id}/history?limit=1",
    "/v1/runs": "/v1/runs?limit=1",
}


@schemathesis.serializer("application/x-ndjson", "application/vnd.apache.parquet")
def files(_context: Any, value: Any) -> Any:  # Any: of Schemathesis
    """The body of a bulk job: any bytes are a file."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:  # Any: of Schemathesis
    """Ask for what is there."""
    query, path, headers = case.query or {}, case.path_parameters or {}, case.headers or {}
    cursor, user_id = query.get("cursor"), path.get("user_id")
    if case.path in LISTS and isinstance(cursor, str) and len(cursor) <= 8_000:
        query["cursor"] = _cursor(case.path)
    if isinstance(user_id, str) and len(user_id) <= SHORT:
        path["user_id"] = _user()
    if KEY.fullmatch(headers.get("Idempotency-Key", "")):
        headers["Idempotency-Key"] = str(uuid.uuid4())  # one for every request, as the pages say
    users = case.body.get("users") if isinstance(case.body, dict) else None
    for user in users if isinstance(users, list) else ():
        if isinstance(user, dict) and isinstance(user.get("features"), dict):
            user["features"] = dict(zip(_features(), user["features"].values(), strict=False))


@functools.cache
def _user() -> str:
    return str(_told("/v1/users/at-risk?limit=1")["scores"][0]["user_id"])


@functools.cache
def _cursor(path: str) -> str:
    return str(_told(LISTS[path].format(user_id=_user()))["next_cursor"])


@functools.cache
def _features() -> list[str]:
    return [feature["name"] for feature in _told("/v1/features")["features"]]


def _told(path: str) -> Any:  # Any: JSON
    asked = urllib.request.Request(os.environ["FUZZED"] + path, headers={"authorization": os.environ["FUZZED_BY"]})  # noqa: S310 - ours
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - as above
        return json.load(answer)
