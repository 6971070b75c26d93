"""Of whom an answer tells something: said by the routes that do, for the audit."""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import Request


class Told(NamedTuple):
    """The users that an answer tells something of, and the run that it is from."""

    user_ids: Sequence[str]
    run_id: int | None


def tells(request: Request, user_ids: Sequence[str], *, run_id: int | None) -> None:
    """Say of whom the answer to a request tells something; every route whose rule is `personal` calls this."""
    request.scope["state"]["told"] = Told(user_ids, run_id)
