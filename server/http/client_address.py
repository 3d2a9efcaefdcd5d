"""The client of a request: the peer of the connection, or the client of a trusted proxy."""

import functools
import ipaddress
from collections.abc import Iterable

from starlette.types import Scope

_IPV6_CLIENT_BITS = 64
"""A network of IPv6 addresses that counts as one client: a subscriber has at least a /64."""


def client_address(scope: Scope) -> str:
    """Return the client's address, for limits by client; "" if the socket has none.

    `server.middleware.forwarded` has replaced the peer by the client of a trusted proxy. An IPv6
    address becomes its /64, an IPv4-mapped address becomes the IPv4 address.
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
    """The addresses and networks of trusted proxies."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self.trusts = functools.lru_cache(maxsize=1024)(self._trusts)

    def _trusts(self, host: str) -> bool:
        """Return whether the address is that of a trusted proxy."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def client_behind(self, forwarded_for: str) -> str | None:
        """Return the last address of X-Forwarded-For that is not a trusted proxy, None without one.

        Each proxy appends the address of its peer, so the client may have forged all addresses
        before that one.
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
