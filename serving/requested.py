"""What `POST /v1/scores/compute` is sent: users with their events, or with ready features, as the kernel takes them.

Read by msgspec, which takes a tenth of the time of a validation model for hundreds of small objects; the schemas in
`serving.schemas.compute` document the same and a test holds the two together.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from features.instants import EARLIEST
from features.kinds import PROFILE
from features.properties import as_text
from features.user_events import UserEvents, Wanted, one_user
from features.windows import to_microseconds
from serving.refusals import RefusedError

MOST_USERS = 1_000
MOST_EVENTS = 100_000  # of all users together
LONGEST_TEXT = 1_024
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_NAN = float("nan")

Instant = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
Told = dict[Text, str | int | float | bool | None]


class Event(Struct, forbid_unknown_fields=True, gc=False):
    """One event."""

    time: Instant
    event: Text
    value: float | None = None
    received_at: Instant | None = None
    properties: Told = {}


class Profile(Struct, forbid_unknown_fields=True, gc=False):
    """What is known of the user from a moment on."""

    valid_from: Instant
    properties: Told


class User(Struct, forbid_unknown_fields=True):
    """A user by events or by features."""

    user_id: Text
    events: list[Event] | None = None
    profiles: list[Profile] = []
    features: dict[Text, float | None] | None = None


class Request(Struct, forbid_unknown_fields=True):
    """Users to be scored as of a cutoff."""

    users: Annotated[list[User], Meta(min_length=1, max_length=MOST_USERS)]
    cutoff: Instant | None = None  # None: now
    reasons: Literal["en", "zh", "none"] | None = None


_decoder = msgspec.json.Decoder(Request)


def read_request(body: bytes) -> Request:
    """The request in a body; raises `RefusedError` that says where the body breaks its contract."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_request", f"the body breaks its contract: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError("invalid_json", "the body is not valid JSON; expected one JSON object in UTF-8.") from None
    _check(request)
    return request


def events_of(user: User, wanted: Wanted) -> UserEvents:
    """The user's events and profiles, sorted by time as the log has them."""
    told = user.events or []
    rows = [(each.time, each.event, each.value, each.received_at, each.properties) for each in told]
    rows += [(each.valid_from, PROFILE, None, None, each.properties) for each in user.profiles]
    times = [to_microseconds(row[0]) for row in rows]
    return one_user(
        user.user_id,
        times=times,
        kinds=[row[1] for row in rows],
        values=[_NAN if row[2] is None else row[2] for row in rows],
        received=[time if row[3] is None else to_microseconds(row[3]) for time, row in zip(times, rows, strict=True)],
        properties=[_texts(row[4], wanted) for row in rows] if wanted.properties else (),
        wanted=wanted,
    )


def features_of(user: User) -> dict[str, float]:
    """The user's ready features; null is missing."""
    return {name: _NAN if value is None else value for name, value in (user.features or {}).items()}


def _texts(told: Told, wanted: Wanted) -> dict[str, str]:
    texts = {name: as_text(told[name]) for name in wanted.properties if name in told}
    return {name: text for name, text in texts.items() if text}


def _check(request: Request) -> None:
    if request.cutoff is not None:
        _check_time(request.cutoff, "cutoff")
    if sum(len(user.events or ()) for user in request.users) > MOST_EVENTS:
        raise RefusedError(
            "invalid_request", f"more than {MOST_EVENTS:,} events in a request; send fewer users at a time."
        )
    for place, user in enumerate(request.users):
        if (user.events is None) == (user.features is None):
            raise RefusedError("invalid_request", f"users.{place}: expected either `events` or `features`.")
        if user.features is not None and user.profiles:
            raise RefusedError("invalid_request", f"users.{place}: profiles say nothing beside ready `features`.")
        for number, event in enumerate(user.events or ()):
            _check_time(event.time, f"users.{place}.events.{number}.time")
            if event.received_at is not None:
                _check_time(event.received_at, f"users.{place}.events.{number}.received_at")
            if event.event.startswith("$"):
                raise RefusedError(
                    "invalid_request",
                    f"users.{place}.events.{number}.event: kinds that begin with $ are reserved; "
                    "what is known of a user goes into `profiles`.",
                )
        for number, profile in enumerate(user.profiles):
            _check_time(profile.valid_from, f"users.{place}.profiles.{number}.valid_from")


def _check_time(moment: datetime, where: str) -> None:
    if not EARLIEST <= moment < _LATEST:  # as the event log takes them
        raise RefusedError("invalid_request", f"{where}: expected a time from {EARLIEST:%Y} to {_LATEST:%Y}.")
