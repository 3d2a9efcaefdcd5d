"""Which client a request is from: what it may have at once is counted by this."""

import functools
import ipaddress
from collections.abc import Mapping
from typing import Any

_NETWORK_BITS = 64
"""Of an IPv6 address; one client has all addresses of such a network (RFC 6177)."""


def client_of(scope: Mapping[str, Any]) -> str:
    """Return the client of an ASGI scope: its IPv4 address, or the network of its IPv6 address; empty if unknown."""
    address = scope.get("client")
    return _client_at(address[0]) if address else ""


@functools.lru_cache(maxsize=1024)
def _client_at(host: str) -> str:
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _NETWORK_BITS), strict=False))
