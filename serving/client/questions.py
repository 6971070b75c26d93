"""What can be asked: each question as a value, so that both clients ask the same.

A question that takes several requests is a generator: it yields questions and is sent their answers.
"""

import itertools
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from serving.client.answers import (
    AtRiskPage,
    Computed,
    FreshScore,
    HistoryPage,
    Lookup,
    Model,
    RiskCurve,
    RunPage,
    Score,
    Segments,
)
from serving.client.errors import NoAnswer

MOST_IDS = 10_000  # of one lookup
PAGE = 1_000
_ROUNDS = 3  # in which the parts of a big lookup have to come from one run

T = TypeVar("T")
Parameters = Mapping[str, str | int | float | bool | None]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a user did; `time` has an offset."""

    time: datetime
    event: str
    value: float | None = None
    received_at: datetime | None = None
    properties: dict[str, str | float | bool | None] = {}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a user from a moment on."""

    valid_from: datetime
    properties: dict[str, str | float | bool | None]


class User(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user to be scored, by all their events or by ready features."""

    user_id: str
    events: tuple[Event, ...] | None = None
    profiles: tuple[Profile, ...] = ()
    features: dict[str, float | None] | None = None


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One request, what its answer is, and whether it may be sent twice."""

    method: str
    path: str
    kind: type[T]
    parameters: Parameters = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True
    idempotency_key: str | None = None

    def read(self, body: bytes) -> T:
        """The answer; raises `NoAnswer` when it is not one of the service's."""
        try:
            return msgspec.json.decode(body, type=self.kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoAnswer("not_ours", f"the answer of {self.path} is not the service's: {error}") from None

    def headers(self) -> dict[str, str]:
        """What goes with it besides the key."""
        told = {} if self.body is None else {"content-type": "application/json"}
        return told if self.idempotency_key is None else {**told, "idempotency-key": self.idempotency_key}

    def query(self) -> dict[str, str]:
        """Its parameters as texts, those that were given."""
        return {name: _text(value) for name, value in self.parameters.items() if value is not None}


Answers = Generator[Question[Any], Any, T]  # Any: each answer is of its question's kind


def score(user_id: str, *, reasons: str | None) -> Question[Score]:
    """A user's score in the current run."""
    return Question("GET", f"{_user(user_id)}/score", Score, {"reasons": reasons})


def fresh_score(user_id: str, *, reasons: str | None) -> Question[FreshScore]:
    """A user's score as of now."""
    return Question("GET", f"{_user(user_id)}/score", FreshScore, {"reasons": reasons, "fresh": True})


def risk_curve(user_id: str) -> Question[RiskCurve]:
    """A user's risk by day."""
    return Question("GET", f"{_user(user_id)}/risk-curve", RiskCurve)


def history(user_id: str, *, reasons: str | None, cursor: str | None) -> Question[HistoryPage]:
    """A page of a user's history."""
    return Question("GET", f"{_user(user_id)}/history", HistoryPage, {"reasons": reasons, "cursor": cursor})


def at_risk(wanted: Parameters, *, cursor: str | None) -> Question[AtRiskPage]:
    """A page of the list of users at risk."""
    return Question("GET", "/v1/users/at-risk", AtRiskPage, {**wanted, "cursor": cursor})


def runs(*, cursor: str | None) -> Question[RunPage]:
    """A page of the runs that are kept."""
    return Question("GET", "/v1/runs", RunPage, {"cursor": cursor})


def segments() -> Question[Segments]:
    """The groups of the current run."""
    return Question("GET", "/v1/segments", Segments)


def model() -> Question[Model]:
    """The model behind the scores."""
    return Question("GET", "/v1/model", Model)


def compute(users: Sequence[User], *, cutoff: datetime | None, reasons: str | None) -> Question[Computed]:
    """Scores from what is sent."""
    told = {"users": users, "cutoff": cutoff, "reasons": reasons}
    body = msgspec.json.encode({name: value for name, value in told.items() if value is not None})
    return Question("POST", "/v1/scores/compute", Computed, body=body)


def lookup(user_ids: Iterable[str], *, reasons: str | None) -> Answers[Lookup]:
    """Scores of any number of users, all of one run: what came from an older run is asked again.

    Raises `NoAnswer` when runs follow so fast that no round finds one for all.
    """
    parts = list(_parts(user_ids)) or [[]]  # the service says what is wrong with nobody
    found: dict[int, Lookup] = {}
    for _ in range(_ROUNDS):
        newest = max((answer.run_id for answer in found.values()), default=0)
        for place, part in enumerate(parts):
            if place not in found or found[place].run_id != newest:
                found[place] = yield _lookup_of(part, reasons=reasons)
        if len({answer.run_id for answer in found.values()}) == 1:
            return _joined([found[place] for place in range(len(parts))])
    raise NoAnswer("runs_changed", "new score runs came up while the users were looked up; ask again.", retry_after=5)


def anything(
    method: str, path: str, *, parameters: Parameters, body: object, idempotency_key: str | None
) -> Question[Any]:
    """A request to an address that has no question of its own; the answer is what JSON makes of it."""
    content = None if body is None else msgspec.json.encode(body)
    repeatable = method in ("GET", "HEAD") or idempotency_key is not None
    return Question(method, path, object, parameters, content, repeatable, idempotency_key)


def _lookup_of(part: Sequence[str], *, reasons: str | None) -> Question[Lookup]:
    told = {"user_ids": part} if reasons is None else {"user_ids": part, "reasons": reasons}
    return Question("POST", "/v1/scores/lookup", Lookup, body=msgspec.json.encode(told))


def _parts(user_ids: Iterable[str]) -> Generator[list[str]]:
    ids = iter(user_ids)
    while part := list(itertools.islice(ids, MOST_IDS)):
        yield part


def _joined(answers: Sequence[Lookup]) -> Lookup:
    return Lookup(
        run_id=answers[0].run_id,
        scores=tuple(score for answer in answers for score in answer.scores),
        missing=tuple(missing for answer in answers for missing in answer.missing),
    )


def _user(user_id: str) -> str:
    """The address of a user; a dot is encoded too, so that nobody on the way takes `..` for a step upwards."""
    return f"/v1/users/{quote(user_id, safe='').replace('.', '%2E')}"


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
