"""Who a request comes from: the peer of its connection, or what a trusted proxy says of it."""

import functools
import ipaddress
from collections.abc import Iterable

from starlette.types import Scope

_IPV6_CLIENT_BITS = 64
"""One subscriber line has at least a /64 of IPv6 addresses: they are one client."""


def client_address(scope: Scope) -> str:
    """Return the client's address, by which its share of the server is counted; "" where the socket has none.

    X-Forwarded-For of a trusted proxy has taken the peer's place by now
    (`server.middleware.forwarded`). IPv6 addresses are cut to their /64, and an IPv4 address that
    arrives within an IPv6 one is that IPv4 address.
    """
    client = scope.get("client")
    return _client_of(client[0]) if client else ""


@functools.lru_cache(maxsize=4096)
def _client_of(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, _IPV6_CLIENT_BITS), strict=False))
        return str(address.ipv4_mapped)
    return str(address)


class Proxies:
    """The addresses and networks of the proxies that are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self.trusts = functools.lru_cache(maxsize=1024)(self._trusts)

    def _trusts(self, host: str) -> bool:
        """Tell whether a proxy stands at this address."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def client_behind(self, forwarded_for: str) -> str | None:
        """Return the last address of X-Forwarded-For that is no trusted proxy; None where it names no address.

        Each proxy adds at the end whom it was asked by, so what stands before that address is only
        the client's claim.
        """
        client = None
        for item in reversed(forwarded_for.split(",")):
            host = _without_port(item.strip())
            try:
                client = str(ipaddress.ip_address(host))
            except ValueError:
                return client
            if not self.trusts(client):
                return client
        return client


def _without_port(item: str) -> str:
    if item.startswith("["):
        return item[1:].partition("]")[0]
    return item.partition(":")[0] if item.count(":") == 1 else item
