"""What every request passes before the application sees it: an id, its rule, a key, an allowance, a capped body.

Pure ASGI, so that nothing is parsed for a caller who may not ask, and so that it costs little.
"""

import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import ASGIApp, Receive, Scope, Send

from serving import intake
from serving.allowances import Allowances
from serving.auth import Keyring, require_scope
from serving.idempotency import Idempotency
from serving.logs import LinesOfATurn
from serving.metrics import meters
from serving.notes import Notes
from serving.problems import MESSAGES, problem_of, unforeseen
from serving.refusals import RefusedError
from serving.rules import RouteMatrix, Rule
from serving.settings import ServiceSettings
from serving.store import ApiKey, ScoreStore
from serving.store.audit import Reading
from serving.telling import Told
from serving.visits import Visit

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_NOBODY = Told((), None)


class Door:
    """Refuses what must not go further, and whatever has no rule.

    The rest reaches the application with `state.request_id`, and where the address needs a key also with `state.key`
    and `state.store`: the store as the key's tenant sees it, the only one that such a route may use.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        matrix: RouteMatrix,
        store: ScoreStore,
        notes: Notes,
        settings: ServiceSettings,
        stopping: Callable[[], bool],
    ) -> None:
        self._app = app
        self._matrix = matrix
        self._store = store
        self._notes = notes
        self._settings = settings
        self._stopping = stopping
        self._keyring = Keyring(store, memory_seconds=settings.key_memory_seconds)
        self._idempotency = Idempotency(app, keep_hours=settings.idempotency_hours)
        self._allowances = Allowances(
            {
                "read": settings.reads_a_minute,
                "bulk": settings.bulk_reads_a_minute,
                "write": settings.writes_a_minute,
            }
        )
        self._in_flight = 0
        self._lines = LinesOfATurn()
        self._meters = meters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: intake.Headers = dict(scope["headers"])
        visit = Visit(send, request_id=_request_id(headers), accept_encoding=headers.get(b"accept-encoding"))
        # A dictionary of its own: a server may hand the same one to all requests.
        scope["state"] = {**scope.get("state", {}), "request_id": visit.request_id}
        if self._stopping():
            visit.headers.append((b"connection", b"close"))  # the next request goes to another service
        if intake.is_sent(headers):
            receive = visit.watching(receive)
        self._in_flight += 1
        self._meters.begin()
        try:
            await self._serve(scope, headers, receive, visit)
        except Exception as error:  # noqa: BLE001 (known errors become problems; others go on to the server's log)
            await _refuse(error, scope, receive, visit)
        finally:
            self._in_flight -= 1
            self._meters.end(scope["method"], visit.route, status=visit.status, seconds=visit.seconds)
            if visit.noted:
                self._note(scope, visit)
            if self._settings.access_log:
                # Not through logging, which costs a tenth of a request.
                self._lines.add(visit.line(scope, log_format=self._settings.log_format))

    async def _serve(self, scope: Scope, headers: intake.Headers, receive: Receive, visit: Visit) -> None:
        found = self._matrix.find(scope["method"], scope["path"])
        if found is None:
            if not self._matrix.is_open(scope["path"]):
                await self._identify(scope, headers)
            raise self._nothing_here(scope)
        address, rule, in_path = found
        visit.route = address.pattern
        if rule.scope is not None:
            self._check_load()
            key = await self._identify(scope, headers)
            visit.noted = rule.personal or rule.changes
            require_scope(key, rule.scope)
            visit.headers += self._allowances.take(key.prefix, rule.rate, tick=time.monotonic())
            address.check_query(scope["query_string"])
        app = self._app
        if address.direct is not None:
            scope.update(path_params=in_path, route=address.direct)
            app = address.direct.handle
        if intake.has_body(scope, headers):
            await self._serve_with_body(app, scope, headers, receive, visit, rule=rule)
        else:
            await app(scope, receive, visit.send)

    async def _serve_with_body(
        self, app: ASGIApp, scope: Scope, headers: intake.Headers, receive: Receive, visit: Visit, *, rule: Rule
    ) -> None:
        if rule.streams:
            body, given = None, intake.streamed(receive, headers, rule=rule, settings=self._settings)
        else:
            body = await intake.whole(receive, headers, rule=rule, settings=self._settings)
            given = intake.again(body, receive)
        key = headers.get(b"idempotency-key")
        if key is None or not rule.changes or scope["method"] != "POST":  # other methods may be repeated anyway
            await app(scope, given, visit.send)
            return
        route = f"{scope['method']} {visit.route}"
        await self._idempotency.serve(scope, given, visit.send, header=key, route=route, body=body)

    async def _identify(self, scope: Scope, headers: intake.Headers) -> ApiKey:
        now = datetime.now(UTC)
        key = await self._keyring.key_of(headers.get(b"authorization"), now=now, tick=time.monotonic())
        self._notes.used(key.prefix, now)
        scope["state"]["key"] = key
        scope["state"]["store"] = self._store.of(key.tenant)
        return key

    def _nothing_here(self, scope: Scope) -> RefusedError:
        methods = self._matrix.methods(scope["path"])
        if methods:
            return RefusedError("method_not_allowed", MESSAGES["method_not_allowed"], {"allow": ", ".join(methods)})
        return RefusedError("route_unknown", MESSAGES["route_unknown"])

    def _check_load(self) -> None:
        if self._in_flight > self._settings.max_in_flight:
            raise RefusedError("overloaded", MESSAGES["overloaded"])

    def _note(self, scope: Scope, visit: Visit) -> None:
        key: ApiKey = scope["state"]["key"]
        told: Told = scope["state"].get("told", _NOBODY)
        route = f"{scope['method']} {visit.route}"
        at = time.time_ns() // 1000
        self._notes.read(Reading(at, key.tenant, key.prefix, route, visit.status, *told, visit.request_id))


def _request_id(headers: intake.Headers) -> str:
    given = headers.get(b"x-request-id", b"")
    if _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{random.getrandbits(128):032x}"  # a name, no secret: the system need not be asked


async def _refuse(error: Exception, scope: Scope, receive: Receive, visit: Visit) -> None:
    response = problem_of(error)
    if visit.status == 0:
        await (response or unforeseen())(scope, receive, visit.send)
    if response is None:
        raise error
