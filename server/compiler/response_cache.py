"""A cache of responses, valid for one version of the data."""

from collections import OrderedDict

Version = tuple[int, int]
"""The newest event that the database has announced; see `ServerState.data_version`."""

OVERHEAD_BYTES = 200
"""The memory of an entry without its body."""


class ResponseCache:
    """Response bodies by request, up to `limit_bytes`; evicts the least recently used one.

    All bodies have the same version of the data. `hits` counts the bodies that were found.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.hits = 0
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._version: Version | None = None
        self._bodies: OrderedDict[object, bytes] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        """The memory of all entries."""
        return self._bytes

    def get(self, version: Version, key: object) -> bytes | None:
        """Return the body for the newest version; a new version clears the cache."""
        if version != self._version:
            self._version, self._bytes = version, 0
            self._bodies.clear()
        body = self._bodies.get(key)
        if body is not None:
            self._bodies.move_to_end(key)
            self.hits += 1
        return body

    def put(self, version: Version, key: object, body: bytes) -> None:
        """Cache a body; `version` was the newest before the data was read."""
        cost = OVERHEAD_BYTES + len(body)
        if version != self._version or cost > self._limit_bytes or key in self._bodies:
            return
        self._bodies[key] = body
        self._bytes += cost
        while self._bytes > self._limit_bytes:
            _, oldest = self._bodies.popitem(last=False)
            self._bytes -= OVERHEAD_BYTES + len(oldest)
