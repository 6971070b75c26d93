"""The kinds of problems, by their stable codes: docs/errors.md is written from this table."""

from dataclasses import dataclass, field

NO_ROOM = "there is no room left to write; nothing was changed. Try again when the operator has freed some space."
_BEARER = {"www-authenticate": 'Bearer realm="holdfast"'}
_INVALID = {"www-authenticate": 'Bearer realm="holdfast", error="invalid_token"'}
_CLOSE = {"connection": "close"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; clients branch on the code, which never changes its meaning."""

    status: int
    title: str
    do: str  # what a client does about it, in a sentence or two
    again: str = "no"  # whether the same request may be sent again as it is
    headers: dict[str, str] = field(default_factory=dict)


def _wait(seconds: int) -> dict[str, str]:
    return {"retry-after": str(seconds)}


KINDS = {
    "bad_request": Kind(
        400, "The request cannot be understood", "Mend the request; the message says what is wrong with it."
    ),
    "idempotency_key_invalid": Kind(
        400, "The Idempotency-Key is no key", "Send 1 to 255 visible ASCII characters, such as a new UUID."
    ),
    "invalid_json": Kind(400, "The body is not JSON", "Send one JSON object in UTF-8."),
    "key_missing": Kind(
        401, "An API key is needed", "Send `Authorization: Bearer hf_live_…`; `holdfast keys create` makes a key.",
        headers=_BEARER,
    ),
    "key_invalid": Kind(
        401, "The API key does not work", "It is unknown, expired, revoked, or was not copied whole: get a new one.",
        headers=_INVALID,
    ),
    "scope_missing": Kind(
        403, "The API key does not cover this", "Use a key with the scope that the message names."
    ),
    "user_unknown": Kind(
        404, "The user is unknown",
        "There is no event of this user before the cutoff. Is the id spelt as in the events, and the key of the right "
        "tenant?",
        "after the next run",
    ),
    "user_outside_population": Kind(
        404, "The user was not scored",
        "The user is known, but was not active in the look-back or is no subscriber: there is nobody to lose.",
        "after the next run",
    ),
    "too_little_history": Kind(
        404, "The user is known for too short a time", "Show no score; ask again in some days.", "after the next run"
    ),
    "user_opted_out": Kind(404, "The user asked not to be scored", "Show no score, and do not work around it."),
    "no_risk_curve": Kind(
        404, "The model has no risk curve", "Train with `[train] risk_curve = true`, or do without the curve."
    ),
    "data_stale": Kind(
        404, "The events are too old for a score of today",
        "Ask for the stored score, without `fresh=true`; the operator ingests newer events.", "after an ingest",
    ),
    "job_unknown": Kind(
        404, "There is no such job",
        "See `GET /v1/scores/jobs`; a job is forgotten when it is removed, or a day after it was over.",
    ),
    "route_unknown": Kind(404, "There is nothing at this address", "See `/openapi.json` for the addresses there are."),
    "method_not_allowed": Kind(
        405, "This address does not take this method", "Use one of the methods that the header `Allow` names."
    ),
    "body_timeout": Kind(408, "The body came too slowly", "Send the body in one go.", "yes", _CLOSE),
    "idempotency_in_progress": Kind(
        409, "The first of these requests is still under way",
        "Wait as long as `Retry-After` says, then send the same request with the same key: you get the first one's "
        "answer.",
        "yes", _wait(1),
    ),
    "job_not_done": Kind(
        409, "The job has no scores yet", "Ask `GET /v1/scores/jobs/{job_id}` until its state is `done`.", "later"
    ),
    "cursor_expired": Kind(
        410, "The list has been replaced", "The cursor's run is no longer kept: start again without a cursor."
    ),
    "result_removed": Kind(
        410, "The scores of the job have been removed", "Start the job again, if they are still wanted."
    ),
    "body_too_large": Kind(
        413, "The body is too large", "Send less at a time; the limit holds for what a packed body unpacks to.",
        headers=_CLOSE,
    ),
    "unsupported_media_type": Kind(
        415, "The body is of a kind that is not taken",
        "Send the `Content-Type` that the message names, in UTF-8, as it is or packed with gzip or zstd.",
    ),
    "invalid_request": Kind(
        422, "The request breaks its contract",
        "`errors`, or the message, says where and what. Values are not repeated, because they may be private.",
    ),
    "idempotency_key_reused": Kind(
        422, "The Idempotency-Key belongs to another request", "Make a new key for every new request."
    ),
    "rate_limited": Kind(
        429, "The key has made too many requests",
        "Wait as long as `Retry-After` says; `RateLimit` tells what is left before it comes to that.", "yes",
    ),
    "internal_error": Kind(
        500, "The service failed", "Tell the operator the `X-Request-Id`; the log has the details under it.", "once"
    ),
    "no_model": Kind(
        503, "There is no model to compute with",
        "The operator trains and promotes one, or names this tenant's data folder; stored scores are served meanwhile.",
        "yes", _wait(5),
    ),
    "no_scores_yet": Kind(
        503, "There are no scores yet", "Wait for the first `holdfast score` of this tenant.", "yes", _wait(60)
    ),
    "events_unavailable": Kind(
        503, "The event log cannot be read",
        "Ask for the stored score, without `fresh=true`; the operator looks at the log.", "yes", _wait(5),
    ),
    "overloaded": Kind(
        503, "The service has too much to do", "Wait as long as `Retry-After` says, and longer each time.", "yes",
        _wait(1),
    ),
    "store_unavailable": Kind(
        503, "The score store cannot be read", "Wait as long as `Retry-After` says, and longer each time.", "yes",
        _wait(5),
    ),
    "no_room": Kind(
        507, "There is no room left to write",
        "The operator frees some space; what is only read is answered meanwhile. Nothing was changed.", "yes",
        _wait(60),
    ),
}  # fmt: skip
