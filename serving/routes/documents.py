"""What routes share in the OpenAPI document: their problems and their paths' parameter."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request
from starlette.convertors import Convertor, register_url_convertor

from serving.problems import KINDS, MEDIA_TYPE
from serving.schemas.common import LONGEST_USER_ID, UserId
from serving.store import ScoreStore

_ALWAYS = ("key_missing", "key_invalid", "scope_missing", "invalid_request", "no_scores_yet", "store_unavailable")


class UserIdConvertor(Convertor[str]):
    """Any characters: slashes (as %2F), line breaks, emoji. What follows in the path still has to match."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """The id as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it is."""
        return value


register_url_convertor("user_id", UserIdConvertor())

UserIdInPath = Annotated[
    UserId,
    Path(
        description=f"The user's id as in the events, 1 to {LONGEST_USER_ID:,} characters, "
        "percent-encoded (a slash is %2F).",
        examples=["ada"],
    ),
]


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:  # Any: OpenAPI
    """The error responses of a route, by status, each with an example; those that every route has are added."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in (*codes, *_ALWAYS):
        kind = KINDS[code]
        entry = by_status.setdefault(kind.status, {"description": kind.title, "content": {MEDIA_TYPE: _content()}})
        entry["content"][MEDIA_TYPE]["examples"][code] = {"summary": kind.title, "value": _example(code)}
        if kind.title not in entry["description"]:
            entry["description"] += f" · {kind.title}"
    return by_status


def _content() -> dict[str, Any]:  # Any: OpenAPI
    return {"schema": {"$ref": "#/components/schemas/ProblemOut"}, "examples": {}}


def _example(code: str) -> dict[str, Any]:  # Any: JSON
    kind = KINDS[code]
    text = f"{kind.title.lower()}."
    return {
        "type": f"urn:holdfast:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": text,
        "code": code,
        "message": text,
    }


async def _store(request: Request) -> ScoreStore:
    store: ScoreStore = request.state.store
    return store


Store = Annotated[ScoreStore, Depends(_store)]
