"""What routes share in the OpenAPI document: their problems and their paths' parameter."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from starlette.convertors import Convertor, register_url_convertor

from serving.problem_kinds import KINDS
from serving.problems import MEDIA_TYPE
from serving.schemas.common import LONGEST_USER_ID, UserId
from serving.store import ScoreStore

Responses = dict[int | str, dict[str, Any]]  # Any: OpenAPI
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


def problems(*codes: str) -> Responses:
    """The error responses of a route, by status, each with an example; those that every route has are added."""
    by_status: Responses = {}
    add_problems(by_status, (*codes, *_ALWAYS))
    return by_status


def add_problems(responses: dict[Any, dict[str, Any]], codes: Iterable[str], *, status: type = int) -> None:
    """Add problems to responses that are documented; `status` is the type of the keys."""
    for code in codes:
        kind = KINDS[code]
        entry = responses.setdefault(status(kind.status), {"description": kind.title, "content": {}})
        examples = entry["content"].setdefault(MEDIA_TYPE, _content())["examples"]
        examples.setdefault(code, {"summary": kind.title, "value": _example(code)})
        if kind.title not in entry["description"]:
            entry["description"] += f" · {kind.title}"


def _content() -> dict[str, Any]:  # Any: OpenAPI
    return {"schema": {"$ref": "#/components/schemas/ProblemOut"}, "examples": {}}


def _example(code: str) -> dict[str, Any]:  # Any: JSON
    kind = KINDS[code]
    text = f"{kind.title[0].lower()}{kind.title[1:]}."
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
