"""What `POST /v1/scores/compute` is sent: users with their events, or with ready features, as the kernel takes them.

Read by msgspec, which takes a tenth of the time of a validation model for hundreds of small objects; the schemas in
`serving.schemas.compute` document the same and a test holds the two together. Events become columns at once: what
looks at each in Python takes longer than their features.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType

from features.kinds import PROFILE, is_reserved
from features.user_events import IntArray, UserEvents, Wanted, one_user
from features.windows import to_microseconds
from serving.refusals import RefusedError

MOST_USERS = 1_000
MOST_EVENTS = 100_000  # of all users of a request together, or of one user of a file
LONGEST_TEXT = 1_024
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_NAN = float("nan")

Instant = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
Told = dict[Text, str | int | float | bool | None]
Reasons: TypeAlias = Literal["en", "zh", "none"]


class Event(Struct, forbid_unknown_fields=True, gc=False):
    """One event."""

    time: Instant
    event: Text
    value: float | None = _NAN
    received_at: Instant | None = None
    properties: Told | UnsetType = UNSET  # the default is shared; a dictionary would be made for each


class Profile(Struct, forbid_unknown_fields=True, gc=False):
    """What is known of the user from a moment on."""

    valid_from: Instant
    properties: Told


class User(Struct, forbid_unknown_fields=True):
    """A user by events or by features, as sent."""

    user_id: Text
    events: list[Event] | None = None
    profiles: list[Profile] = []
    features: dict[Text, float | None] | None = None


class _Body(Struct, forbid_unknown_fields=True):
    users: Annotated[list[User], Meta(min_length=1, max_length=MOST_USERS)]
    cutoff: Instant | None = None
    reasons: Reasons | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A user as the kernel takes him."""

    user_id: str
    given: UserEvents | dict[str, float]  # events and profiles, or ready features, of which NaN are missing


@dataclass(frozen=True, slots=True)
class Request:
    """Users to be scored as of a cutoff."""

    users: list[Asked]
    cutoff: datetime | None  # None: now
    reasons: Reasons | None


class NotUnderstood(Struct, frozen=True):
    """A user of a file who breaks the contract: where, and why."""

    where: str
    why: str


_decoder, _user_decoder = msgspec.json.Decoder(_Body), msgspec.json.Decoder(User)


def read_request(body: bytes, wanted: Wanted) -> Request:
    """The request in a body; raises `RefusedError` that says where the body breaks its contract."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_request", f"the body breaks its contract: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError("invalid_json", "the body is not valid JSON; expected one JSON object in UTF-8.") from None
    if request.cutoff is not None:
        _check_instant(request.cutoff, "cutoff")
    if sum(len(user.events or ()) for user in request.users) > MOST_EVENTS:
        raise RefusedError("invalid_request", f"more than {MOST_EVENTS:,} events in a request; send fewer users.")
    users = [asked_of(user, wanted, where=f"users.{place}") for place, user in enumerate(request.users)]
    return Request(users, request.cutoff, request.reasons)


def read_user(body: bytes, wanted: Wanted, *, where: str) -> Asked:
    """One user alone, as a line of a file; raises `RefusedError` that says `where` it breaks its contract."""
    try:
        user = _user_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_request", f"{error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError("invalid_json", "not valid JSON; expected one JSON object in UTF-8") from None
    return asked_of(user, wanted, where=where)


def asked_of(user: User, wanted: Wanted, *, where: str) -> Asked:
    """The user as the kernel takes him; raises `RefusedError` for what the types alone do not tell."""
    if (user.events is None) == (user.features is None):
        raise RefusedError("invalid_request", f"{where}: expected either `events` or `features`.")
    if user.features is None:
        return Asked(user.user_id, _events_of(user, wanted, where=where))
    if user.profiles:
        raise RefusedError("invalid_request", f"{where}: profiles say nothing beside ready `features`.")
    return Asked(user.user_id, {name: _NAN if value is None else value for name, value in user.features.items()})


def read_instant(text: str, where: str) -> datetime:
    """The instant that a text is, by the rules of those in bodies; raises `RefusedError`."""
    try:
        moment = msgspec.convert(text, Instant)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_request", f"{where}: {error}.") from None
    _check_instant(moment, where)
    return moment.astimezone(UTC)


def _events_of(user: User, wanted: Wanted, *, where: str) -> UserEvents:
    """The user's events and profiles, sorted by time as the log has them."""
    events, profiles = user.events or [], user.profiles
    if max(len(events), len(profiles)) > MOST_EVENTS:
        raise RefusedError("invalid_request", f"{where}: more than {MOST_EVENTS:,} events or profiles of one user.")
    happened = _instants([event.time for event in events], f"{where}.events.{{}}.time")
    received = _received(user, wanted, where=where)
    told = _instants([profile.valid_from for profile in profiles], f"{where}.profiles.{{}}.valid_from")
    kinds = [event.event for event in events]
    if any(map(is_reserved, set(kinds))):
        raise RefusedError(
            "invalid_request",
            f"{where}.events: kinds that begin with $ are reserved; what is known of a user goes into `profiles`.",
        )
    return one_user(
        user.user_id,
        times=np.concatenate([happened, told]),
        kinds=kinds + [PROFILE] * len(profiles),
        values=[event.value for event in events] + [_NAN] * len(profiles),
        received=received,
        properties=_texts([*events, *profiles], wanted),
        wanted=wanted,
    )


def _received(user: User, wanted: Wanted, *, where: str) -> IntArray | None:
    """When each event and profile became known; nothing where nobody asks."""
    events = user.events or []
    sent = [event.received_at for event in events]
    if any(sent):
        _instants([moment for moment in sent if moment], f"{where}: a received_at of its events")
    if not wanted.received:
        return None
    known = [moment or event.time for moment, event in zip(sent, events, strict=True)]
    return _instants(known + [profile.valid_from for profile in user.profiles], where)


def _texts(told: list[Event | Profile], wanted: Wanted) -> list[dict[str, str]]:
    """The texts of each that are wanted; nothing at all where nobody sent any."""
    properties = [each.properties for each in told] if wanted.properties else []
    if not any(properties):
        return []
    from features.properties import as_text  # noqa: PLC0415 Arrow: stored scores need not wait for it

    return [
        {name: text for name in wanted.properties if name in each and (text := as_text(each[name]))}
        for each in ({} if sent is UNSET else sent for sent in properties)
    ]


def _instants(moments: list[datetime], where: str) -> IntArray:
    """Microseconds since 1970; raises `RefusedError` for the first instant that the event log would not take."""
    if not moments:
        return np.zeros(0, dtype=np.int64)
    from serving.packed_instants import microseconds  # noqa: PLC0415 Numba: as above

    earliest, latest = map(to_microseconds, _borders())
    try:
        found = microseconds(moments)
    except OverflowError:  # one has no year from 1 to 9999 in UTC
        found = np.array([latest])
    if found.min() < earliest or found.max() >= latest:
        for place, moment in enumerate(moments):
            _check_instant(moment, where.format(place))
    return found


def _check_instant(moment: datetime, where: str) -> None:
    earliest, latest = _borders()
    if not earliest <= moment < latest:
        raise RefusedError("invalid_request", f"{where}: expected a time from {earliest:%Y} to {latest:%Y}.")


def _borders() -> tuple[datetime, datetime]:
    """The event log takes instants from the first on and before the second."""
    from features.instants import EARLIEST  # noqa: PLC0415 as above

    return EARLIEST, _LATEST
