"""Cursors: a place in a list as a text that clients hand back unread."""

import base64
import binascii
import math

import orjson

from serving.refusals import RefusedError
from serving.store import Place

_RUNS = 2**31  # what a run's number stays below


def to_cursor(place: Place) -> str:
    """The text for a place.

    >>> from_cursor(to_cursor(Place(17, 0.5, "ada"))) == Place(17, 0.5, "ada")
    True
    """
    parts = orjson.dumps([place.run_id, place.churn_probability, place.user_id])
    return base64.urlsafe_b64encode(parts).rstrip(b"=").decode()


def from_cursor(text: str) -> Place:
    """The place that a text of `to_cursor` names; raises `RefusedError` for any other text."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        run_id, probability, user_id = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise _not_a_cursor() from None
    if type(run_id) is not int or type(probability) is not float or type(user_id) is not str:
        raise _not_a_cursor()
    if not (0 < run_id < _RUNS and math.isfinite(probability)):
        raise _not_a_cursor()
    return Place(run_id, probability, user_id)


def number_cursor(run_id: int) -> str:
    """The text for a place behind a run.

    >>> number_of(number_cursor(17))
    17
    """
    return base64.urlsafe_b64encode(orjson.dumps(run_id)).rstrip(b"=").decode()


def number_of(text: str) -> int:
    """The run that a text of `number_cursor` names; raises `RefusedError` for any other text."""
    try:
        run_id = orjson.loads(base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise _not_a_cursor() from None
    if type(run_id) is not int or not 0 < run_id < _RUNS:
        raise _not_a_cursor()
    return run_id


def _not_a_cursor() -> RefusedError:
    return RefusedError(
        "invalid_request", "the cursor is not one of ours; send next_cursor of the page before, unchanged."
    )
