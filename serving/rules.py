"""The route matrix: what every address asks of a caller. An address that is not in it is not served.

The door enforces it before anything is parsed, and the documentation is made from it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from inspect import isclass
from re import Pattern
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote_plus

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute, Route

from serving.direct import DirectRoute
from serving.refusals import RefusedError

JSON = "application/json"
NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"
Rate = Literal["read", "bulk", "write", "free"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one method of one address asks of a caller, and what it does."""

    scope: str | None  # that the key needs; None: open to everybody, and then without a tenant
    rate: Rate = "read"  # which allowance a request is taken from
    changes: bool = (
        False  # whether anything is another after it; such a POST can be sent again with its Idempotency-Key
    )
    personal: bool = False  # whether it tells something of users: it is then noted who asked
    takes: tuple[str, ...] = (JSON,)  # media types of its body
    streams: bool = False  # its body is handed on as it arrives, up to `max_upload_bytes`


OPEN = Rule(None, rate="free")
RULES: dict[tuple[str, str], Rule] = {
    ("GET", "/v1/users/{user_id}/score"): Rule("scores:read", personal=True),
    ("POST", "/v1/scores/lookup"): Rule("scores:read", rate="bulk", personal=True),
    ("GET", "/v1/users/at-risk"): Rule("lists:read", rate="bulk", personal=True),
    ("GET", "/v1/users/{user_id}/history"): Rule("scores:read", personal=True),
    ("GET", "/v1/users/{user_id}/risk-curve"): Rule("scores:read", personal=True),
    ("POST", "/v1/scores/compute"): Rule("scores:compute", rate="bulk", personal=True),
    ("POST", "/v1/scores/jobs"): Rule(
        "scores:compute", rate="write", changes=True, personal=True, takes=(NDJSON, PARQUET), streams=True
    ),
    ("GET", "/v1/scores/jobs"): Rule("scores:compute"),
    ("GET", "/v1/scores/jobs/{job_id}"): Rule("scores:compute"),
    ("GET", "/v1/scores/jobs/{job_id}/result"): Rule("scores:compute", rate="bulk", personal=True),
    ("DELETE", "/v1/scores/jobs/{job_id}"): Rule("scores:compute", rate="write", changes=True),
    ("GET", "/v1/segments"): Rule("lists:read"),
    ("GET", "/v1/runs"): Rule("scores:read"),
    ("GET", "/v1/model"): Rule("scores:read"),
    ("GET", "/v1/features"): Rule("scores:read"),
    ("GET", "/livez"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("HEAD", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/docs/swagger-ui-bundle.js"): OPEN,
    ("GET", "/docs/swagger-ui.css"): OPEN,
    ("GET", "/docs/favicon.png"): OPEN,
}


def codes_of(method: str, rule: Rule) -> tuple[str, ...]:
    """The codes of the problems with which the door may refuse a request under a rule, or pass on what failed."""
    if rule.scope is None:
        return ()
    codes = ["bad_request", "key_missing", "key_invalid", "scope_missing", "invalid_request", "rate_limited"]
    if method != "GET":
        codes += ["body_timeout", "body_too_large", "unsupported_media_type"]
        codes += ["invalid_json"] if JSON in rule.takes else []
    if rule.changes and method == "POST":
        codes += ["idempotency_key_invalid", "idempotency_in_progress", "idempotency_key_reused"]
    return (*codes, "internal_error", "overloaded", "store_unavailable")


@dataclass(frozen=True, slots=True)
class Ruled:
    """An address of the application with the rules of its methods."""

    pattern: str
    matches: Pattern[str]  # the router's own expression, so that both always mean the same address
    rules: dict[str, Rule]
    query: frozenset[str]  # the parameters that may follow a question mark
    direct: DirectRoute | None = None  # where the door hands it a request itself

    def check_query(self, text: bytes) -> None:
        """Raise `RefusedError` for a parameter that is not known or is there twice."""
        if not text:
            return
        names = [unquote_plus(part.partition("=")[0]) for part in text.decode("latin-1").split("&") if part]
        if self.query.issuperset(names) and len(set(names)) == len(names):
            return
        expected = f"expected {', '.join(sorted(self.query))}, each once" if self.query else "expected none"
        odd = next((f"{name[:40]!a} is not known" for name in names if name not in self.query), "one is there twice")
        raise RefusedError("invalid_request", f"the parameters after the question mark: {odd}; {expected}.")


class Found(NamedTuple):
    """Where a request leads."""

    address: Ruled
    rule: Rule
    in_path: dict[str, str]  # the parameters of the path


class RouteMatrix:
    """The rules by method and path; raises `LookupError` for a route without one."""

    def __init__(self, routes: Iterable[BaseRoute], rules: dict[tuple[str, str], Rule] | None = None) -> None:
        rules = RULES if rules is None else rules
        self.addresses = [_ruled(route, rules) for route in routes]

    def find(self, method: str, path: str) -> Found | None:
        """The address and the rule of a request, as the router will find its route: the first that matches."""
        for address in self.addresses:
            match = address.matches.match(path)
            if match is not None:
                rule = address.rules.get(method)
                if rule is not None:
                    return Found(address, rule, match.groupdict())
        return None

    def is_open(self, path: str) -> bool:
        """Whether an address may be asked without a key, by some method."""
        return any(
            each.matches.match(path) and any(rule.scope is None for rule in each.rules.values())
            for each in self.addresses
        )

    def methods(self, path: str) -> list[str]:
        """The methods that an address takes; none where there is nothing."""
        return sorted({method for each in self.addresses if each.matches.match(path) for method in each.rules})


def _ruled(route: BaseRoute, rules: dict[tuple[str, str], Rule]) -> Ruled:
    if not isinstance(route, Route) or not route.methods:
        raise LookupError(f"{route!r} cannot have a rule: only plain routes are served")
    missing = [method for method in sorted(route.methods) if (method, route.path_format) not in rules]
    if missing:
        raise LookupError(
            f"{', '.join(missing)} {route.path_format} has no rule: say in serving/rules.py which scope it needs"
        )
    mine = {method: rules[method, route.path_format] for method in route.methods}
    direct = route if isinstance(route, DirectRoute) else None
    return Ruled(route.path_format, route.path_regex, mine, _query(route), direct)


def _query(route: Route) -> frozenset[str]:
    """The names of the query's parameters, as they are documented."""
    if not isinstance(route, APIRoute):
        return frozenset()
    names: set[str] = set()
    for field in _fields(route.dependant):
        kind = field.field_info.annotation
        if isclass(kind) and issubclass(kind, BaseModel):
            names |= {info.alias or name for name, info in kind.model_fields.items()}
        else:
            names.add(field.alias)
    return frozenset(names)


def _fields(dependant: Dependant) -> Iterator[Any]:  # Any: a private class of FastAPI
    yield from dependant.query_params
    for inner in dependant.dependencies:
        yield from _fields(inner)
