"""What the addresses of one user share: the id in the path, and why there is no score."""

from serving.refusals import RefusedError
from serving.schemas.common import LONGEST_USER_ID
from serving.store import Absence

_WHY_ABSENT = {
    Absence.UNKNOWN: "this user is unknown: the events hold nothing of them before the cutoff. "
    "Is the id spelt as in the events?",
    Absence.OUTSIDE: "this user is known but was not active in the look-back, or is no subscriber, so they are outside "
    "the population and have no score; GET /v1/model says who is in it.",
    Absence.TOO_LITTLE_HISTORY: "this user was first seen too lately for an honest score; ask again in some days.",
    Absence.OPTED_OUT: "this user asked not to be scored.",
}


def absent(why: Absence) -> RefusedError:
    """The refusal that a missing score is."""
    return RefusedError(why.value, _WHY_ABSENT[why])


def checked(user_id: str) -> str:
    """The id of a path; the same rules as `schemas.common.UserId`, which documents them."""
    if not 1 <= len(user_id) <= LONGEST_USER_ID:
        length = f"1 to {LONGEST_USER_ID:,}"
        raise RefusedError("invalid_request", f"the user id has {len(user_id):,} characters; expected {length}.")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise RefusedError("invalid_request", "the user id is not UTF-8, percent-encoded.") from None
    return user_id
