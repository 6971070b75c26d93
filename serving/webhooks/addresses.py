"""Where a webhook may lead: to the public internet, or to private hosts that the settings name.

The name is resolved once, every address that it has is looked at, and the connection goes to one that was looked at: a
name that means another machine a moment later (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from features.errors import BadInput

LONGEST_URL = 2_000
_PORTS = {"https": 443, "http": 80}
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))

Resolve = Callable[[str, int], Sequence[str]]


class ForbiddenAddressError(Exception):
    """The host has an address to which nothing is sent."""


class UnknownHostError(Exception):
    """The host has no address."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows besides the public internet over TLS."""

    allow_http: bool = False
    private_hosts: tuple[str, ...] = ()  # by name, as it stands in the address of the webhook


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook's address, taken apart."""

    scheme: str
    host: str  # without brackets
    port: int
    path: str  # with the query

    @property
    def host_header(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system knows them; raises `UnknownHostError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(f"the name of the host is not known ({type(error).__name__})") from None
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def target_of(url: str, rules: Rules) -> Target:
    """The address taken apart; raises `BadInput` for one to which no webhook may lead, whatever its host means."""
    if len(url) > LONGEST_URL or not url.isascii() or any(character <= " " for character in url):
        raise BadInput(f"the address of a webhook has up to {LONGEST_URL:,} visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput(f"{url!r} is no address ({error}); expected https://host/path.") from None
    if parts.scheme not in _PORTS or not host:
        raise BadInput(f"{url!r} is no address of the web; expected https://host/path.")
    if parts.scheme == "http" and not rules.allow_http:
        raise BadInput(f"{url!r} is not encrypted; expected https://, or set [webhooks] allow_http.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadInput("the address of a webhook has no user, password or #fragment; the signature says who sends.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def checked_addresses(target: Target, rules: Rules, *, resolve: Resolve = resolved) -> Sequence[str]:
    """The addresses of the host, every one of them allowed.

    Raises `ForbiddenAddressError` when one is not, `UnknownHostError` when there is none.
    """
    found = resolve(target.host, target.port)
    if not found:
        raise UnknownHostError("the host has no address")
    if target.host in rules.private_hosts:
        return found
    if not all(is_public(address) for address in found):
        raise ForbiddenAddressError(
            "the host has an address that is not of the public internet; name it in [webhooks] private_hosts if it is "
            "yours"
        )
    return found


def is_public(address: str) -> bool:
    """Whether an address is a single machine's on the public internet.

    >>> [is_public(each) for each in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1")]
    [True, False, False, False, False]
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return all(each.is_global and not each.is_multicast for each in (found, *_inside(found)))


def _inside(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _NAT64):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]
