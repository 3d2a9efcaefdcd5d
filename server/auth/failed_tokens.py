"""The rate limit on wrong scheduler tokens, by client."""

import ipaddress

from aiolimiter import AsyncLimiter

from server.compiler.lru_cache import LRUCache

FAILED_TOKENS = 10
FAILED_TOKENS_SECONDS = 60.0
RETRY_AFTER_SECONDS = round(FAILED_TOKENS_SECONDS / FAILED_TOKENS)
MAX_CLIENTS = 4_096
"""The counts of the least recent clients are dropped above it."""
_NETWORK_BITS = 64
"""Of an IPv6 address: a client has all addresses of its network."""


class FailedTokens:
    """The recent wrong tokens of each client."""

    def __init__(self) -> None:
        self._limiters: LRUCache[str, AsyncLimiter] = LRUCache(MAX_CLIENTS)

    async def is_allowed(self, client: str) -> bool:
        """Count one more of a client; return False above the limit."""
        name = _network_of(client)
        limiter = self._limiters.get(name)
        if limiter is None:
            limiter = AsyncLimiter(FAILED_TOKENS, FAILED_TOKENS_SECONDS)
            self._limiters.put(name, limiter)
        if not limiter.has_capacity():
            return False
        await limiter.acquire()
        return True


def _network_of(client: str) -> str:
    try:
        address = ipaddress.IPv6Address(client)
    except ValueError:
        return client
    return str(
        address.ipv4_mapped or ipaddress.IPv6Network((int(address), _NETWORK_BITS), strict=False)
    )
