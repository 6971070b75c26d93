"""The client for programs that wait for each answer."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

import httpx

from serving.client import questions
from serving.client.answers import Computed, FreshScore, Lookup, Model, RiskCurve, Run, Score, Segments
from serving.client.errors import HoldfastError
from serving.client.questions import Answers, Parameters, Question, User
from serving.client.retrying import Patience, failure_of, silence_of

T = TypeVar("T")
USUAL = Patience()
TIMEOUT_SECONDS = 10.0


class Client:
    """Asks one service with one key; safe to share between threads. `with Client(address, key) as client: …`.

    What fails is raised as a `HoldfastError`, after the tries that `patience` allows.
    """

    def __init__(self, address: str, key: str, *, patience: Patience = USUAL, timeout: float = TIMEOUT_SECONDS) -> None:
        self._patience = patience
        headers = {"authorization": f"Bearer {key}", "user-agent": "holdfast-client"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def score(self, user_id: str, *, reasons: str | None = None) -> Score:
        """The user's score in the current run; raises `NotScored` with why there is none.

        `reasons` is en, zh or none; without it the language of the run.
        """
        return self._ask(questions.score(user_id, reasons=reasons))

    def fresh_score(self, user_id: str, *, reasons: str | None = None) -> FreshScore:
        """The user's score as of now, from all events of the log; raises `NotScored` with why there is none."""
        return self._ask(questions.fresh_score(user_id, reasons=reasons))

    def lookup(self, user_ids: Iterable[str], *, reasons: str | None = None) -> Lookup:
        """The scores of any number of users, all of one run, and who has none and why."""
        return self._ask_in_turn(questions.lookup(user_ids, reasons=reasons))

    def history(self, user_id: str, *, reasons: str | None = None) -> Iterator[Score]:
        """What was told of the user, newest first; page by page, as it is read."""
        cursor = None
        while True:
            page = self._ask(questions.history(user_id, reasons=reasons, cursor=cursor))
            yield from page.scores
            cursor = page.next_cursor
            if cursor is None:
                return

    def at_risk(
        self,
        *,
        tier: str | None = None,
        minimum_probability: float | None = None,
        lifecycle_stage: str | None = None,
        segment: str | None = None,
        contactable_only: bool | None = None,
        reasons: str | None = None,
    ) -> Iterator[Score]:
        """The users most at risk first, all of one run; page by page, as it is read."""
        wanted: Parameters = {
            "tier": tier,
            "minimum_probability": minimum_probability,
            "lifecycle_stage": lifecycle_stage,
            "segment": segment,
            "contactable_only": contactable_only,
            "reasons": reasons,
            "limit": questions.PAGE,
        }
        cursor = None
        while True:
            page = self._ask(questions.at_risk(wanted, cursor=cursor))
            yield from page.scores
            cursor = page.next_cursor
            if cursor is None:
                return

    def compute(self, users: Sequence[User], *, cutoff: datetime | None = None, reasons: str | None = None) -> Computed:
        """Scores of up to 1,000 users from what is sent; nothing of it is kept. Without a cutoff as of now."""
        return self._ask(questions.compute(users, cutoff=cutoff, reasons=reasons))

    def risk_curve(self, user_id: str) -> RiskCurve:
        """The user's risk by day, as of now."""
        return self._ask(questions.risk_curve(user_id))

    def segments(self) -> Segments:
        """How many users are at risk, by tier, lifecycle stage and segment."""
        return self._ask(questions.segments())

    def runs(self) -> Iterator[Run]:
        """The runs that are kept, newest first."""
        cursor = None
        while True:
            page = self._ask(questions.runs(cursor=cursor))
            yield from page.runs
            cursor = page.next_cursor
            if cursor is None:
                return

    def model(self) -> Model:
        """The model behind the scores that are served."""
        return self._ask(questions.model())

    def send(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        body: object = None,
        idempotency_key: str | None = None,
    ) -> Any:  # Any: JSON
        """The JSON that any address answers. What is no GET is sent once only, unless it has an Idempotency-Key."""
        return self._ask(
            questions.anything(method, path, parameters=parameters or {}, body=body, idempotency_key=idempotency_key)
        )

    def _ask_in_turn(self, answers: Answers[T]) -> T:
        try:
            question = next(answers)
            while True:
                question = answers.send(self._ask(question))
        except StopIteration as done:
            found: T = done.value
            return found

    def _ask(self, question: Question[T]) -> T:
        tried, waited = 0, 0.0
        while True:
            tried += 1
            found = self._ask_once(question)
            if not isinstance(found, HoldfastError):
                return found
            delay = self._patience.wait(found, repeatable=question.repeatable, tried=tried, waited=waited)
            if delay is None:
                raise found
            time.sleep(delay)
            waited += delay

    def _ask_once(self, question: Question[T]) -> T | HoldfastError:
        try:
            response = self._http.request(
                question.method,
                question.path,
                params=question.query(),
                content=question.body,
                headers=question.headers(),
            )
        except httpx.TransportError as error:
            return silence_of(error)
        return failure_of(response) or question.read(response.content)
