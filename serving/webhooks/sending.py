"""One message to one receiver: no redirects, a deadline for the whole, and no more than the answer's head is read."""

import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from serving.webhooks.addresses import Target

USER_AGENT = "holdfast-webhooks/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said; the body is not read."""

    status: int
    retry_after: str | None


class _Checked(http.client.HTTPConnection):
    """A connection to an address that was looked at, in the name of the host that it belongs to."""

    def __init__(self, target: Target, addresses: Sequence[str], *, seconds: float, context: ssl.SSLContext) -> None:
        super().__init__(target.host, target.port, timeout=seconds)
        self._target = target
        self._addresses = addresses
        self._context = context

    def connect(self) -> None:
        """Connect to the first address that answers."""
        self.sock = self._connected()
        if self._target.scheme == "https":
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self._target.host)

    def _connected(self) -> socket.socket:
        *others, last = self._addresses
        for address in others:
            try:
                return socket.create_connection((address, self._target.port), self.timeout)
            except OSError:
                continue
        return socket.create_connection((last, self._target.port), self.timeout)


def post(
    target: Target,
    addresses: Sequence[str],
    *,
    body: bytes,
    headers: dict[str, str],
    seconds: float,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """What a receiver at one of these addresses answered within so many seconds in all.

    Raises `OSError` or `http.client.HTTPException` when there was no answer.
    """
    context = context or ssl.create_default_context()
    connection = _Checked(target, addresses, seconds=seconds, context=context)
    late = threading.Event()
    timer = threading.Timer(seconds, _hang_up, (connection, late))
    timer.daemon = True
    timer.start()
    told = {"host": target.host_header, "content-type": "application/json", "user-agent": USER_AGENT, **headers}
    try:
        connection.request("POST", target.path, body, told)
        found = connection.getresponse()
        return Answer(found.status, found.headers.get("retry-after"))
    except Exception:
        if late.is_set():  # whatever a socket that was closed meanwhile led to
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        raise
    finally:
        timer.cancel()
        connection.close()


def _hang_up(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            connection.sock.close()
