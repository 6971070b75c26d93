"""What `POST /v1/scores/compute` is sent: users with their events, or with ready features, as the kernel takes them.

Read by msgspec, which takes a tenth of the time of a validation model for hundreds of small objects; the schemas in
`serving.schemas.compute` document the same and a test holds the two together.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from features.kinds import PROFILE, is_reserved
from features.user_events import UserEvents, Wanted, one_user
from features.windows import to_columns
from serving.refusals import RefusedError

MOST_USERS = 1_000
MOST_EVENTS = 100_000  # of all users of a request together, or of one user of a file
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


class NotUnderstood(Struct, frozen=True):
    """A user of a file who breaks the contract: where, and why."""

    where: str
    why: str


class Request(Struct, forbid_unknown_fields=True):
    """Users to be scored as of a cutoff."""

    users: Annotated[list[User], Meta(min_length=1, max_length=MOST_USERS)]
    cutoff: Instant | None = None  # None: now
    reasons: Literal["en", "zh", "none"] | None = None


_decoder, _user_decoder = msgspec.json.Decoder(Request), msgspec.json.Decoder(User)


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


def read_user(body: bytes, where: str) -> User:
    """One user alone, as a line of a file; raises `RefusedError` that says `where` it breaks its contract."""
    try:
        user = _user_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_request", f"{error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError("invalid_json", "not valid JSON; expected one JSON object in UTF-8") from None
    check_user(user, where)
    return user


def check_user(user: User, where: str) -> None:
    """Raise `RefusedError` for what the types alone do not tell."""
    if (user.events is None) == (user.features is None):
        raise RefusedError("invalid_request", f"{where}: expected either `events` or `features`.")
    if user.features is not None and user.profiles:
        raise RefusedError("invalid_request", f"{where}: profiles say nothing beside ready `features`.")
    events = user.events or []
    if max(len(events), len(user.profiles)) > MOST_EVENTS:
        raise RefusedError("invalid_request", f"{where}: more than {MOST_EVENTS:,} events or profiles of one user.")
    _check_times([event.time for event in events], f"{where}.events.{{}}.time")
    _check_times([event.received_at for event in events if event.received_at], f"{where}: a received_at of its events")
    _check_times([profile.valid_from for profile in user.profiles], f"{where}.profiles.{{}}.valid_from")
    if any(is_reserved(kind) for kind in {event.event for event in events}):
        raise RefusedError(
            "invalid_request",
            f"{where}.events: kinds that begin with $ are reserved; what is known of a user goes into `profiles`.",
        )


def read_instant(text: str, where: str) -> datetime:
    """The instant that a text is, by the rules of those in bodies; raises `RefusedError`."""
    try:
        moment = msgspec.convert(text, Instant)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_request", f"{where}: {error}.") from None
    _check_times([moment], where)
    return moment.astimezone(UTC)


def events_of(user: User, wanted: Wanted) -> UserEvents:
    """The user's events and profiles, sorted by time as the log has them."""
    told, profiles = user.events or [], user.profiles
    times = to_columns([each.time for each in told] + [each.valid_from for each in profiles])
    received = None
    if wanted.received:
        known = [each.received_at or each.time for each in told] + [each.valid_from for each in profiles]
        received = to_columns(known)
    return one_user(
        user.user_id,
        times=times,
        kinds=[each.event for each in told] + [PROFILE] * len(profiles),
        values=[_NAN if each.value is None else each.value for each in told] + [_NAN] * len(profiles),
        received=received,
        properties=_texts([each.properties for each in told] + [each.properties for each in profiles], wanted),
        wanted=wanted,
    )


def features_of(user: User) -> dict[str, float]:
    """The user's ready features; null is missing."""
    return {name: _NAN if value is None else value for name, value in (user.features or {}).items()}


def _texts(told: list[Told], wanted: Wanted) -> list[dict[str, str]]:
    """The texts of each event that are wanted; nothing at all where nobody sent any."""
    if not wanted.properties or not any(told):
        return []
    from features.properties import as_text  # noqa: PLC0415 Arrow: stored scores need not wait for it

    return [
        {name: text for name in wanted.properties if name in each and (text := as_text(each[name]))} for each in told
    ]


def _check(request: Request) -> None:
    _check_times([request.cutoff] if request.cutoff else [], "cutoff")
    if sum(len(user.events or ()) for user in request.users) > MOST_EVENTS:
        raise RefusedError("invalid_request", f"more than {MOST_EVENTS:,} events in a request; send fewer users.")
    for place, user in enumerate(request.users):
        check_user(user, f"users.{place}")


def _check_times(moments: list[datetime], where: str) -> None:
    from features.instants import EARLIEST  # noqa: PLC0415 as above

    if not moments or (min(moments) >= EARLIEST and max(moments) < _LATEST):  # as the event log takes them
        return
    place = next(place for place, moment in enumerate(moments) if not EARLIEST <= moment < _LATEST)
    raise RefusedError("invalid_request", f"{where.format(place)}: expected a time from {EARLIEST:%Y} to {_LATEST:%Y}.")
