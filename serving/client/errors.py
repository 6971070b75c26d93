"""What goes wrong between a client and the service.

HoldfastError
├── NoAnswer      nothing came back, or nothing of ours (`code` is `no_answer` or `not_ours`)
└── Refused       the service said no; `code` is one of docs/api.md
    └── NotScored the user has no score; `code` says why
"""

from collections.abc import Sequence

NOT_SCORED = frozenset({"user_unknown", "user_outside_population", "too_little_history", "user_opted_out"})


class HoldfastError(Exception):
    """Any failure of a question. Branch on `code`, show `message` to people, tell the operator `request_id`."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        errors: Sequence[dict[str, str]] = (),
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" (request {request_id})" if request_id else ""))
        self.code = code
        self.message = message
        self.status = status  # of HTTP; none when nothing came back
        self.request_id = request_id
        self.retry_after = retry_after  # seconds; none when the service did not say
        self.errors = tuple(errors)  # which parts of the request are wrong: `where` and `message`


class NoAnswer(HoldfastError):
    """The service was not reached, did not answer in time, or something else answered in its place."""


class Refused(HoldfastError):
    """The service answered with a problem."""


class NotScored(Refused):
    """The user has no score; `code` says why."""
