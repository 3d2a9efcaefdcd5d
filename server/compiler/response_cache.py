"""Answers that were given already, for as long as the data that they tell of is the newest."""

from collections import OrderedDict

Version = tuple[int, int]
"""What the database has told of last; see `ServerState.data_version`."""

OVERHEAD_BYTES = 200
"""What an answer costs here beside its body."""


class ResponseCache:
    """Bodies of responses by what was asked, up to `limit_bytes`: what was asked for least recently goes first.

    All of them are of one version of the data. `hits` counts the answers that were not worked out
    again.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.hits = 0
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._version: Version | None = None
        self._bodies: OrderedDict[object, bytes] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        """How much is kept."""
        return self._bytes

    def get(self, version: Version, key: object) -> bytes | None:
        """Return the answer of this version, which is the newest that is known of: older ones are forgotten."""
        if version != self._version:
            self._version, self._bytes = version, 0
            self._bodies.clear()
        body = self._bodies.get(key)
        if body is not None:
            self._bodies.move_to_end(key)
            self.hits += 1
        return body

    def keep(self, version: Version, key: object, body: bytes) -> None:
        """Keep an answer; `version` was the newest before it was read."""
        cost = OVERHEAD_BYTES + len(body)
        if version != self._version or cost > self._limit_bytes or key in self._bodies:
            return
        self._bodies[key] = body
        self._bytes += cost
        while self._bytes > self._limit_bytes:
            _, oldest = self._bodies.popitem(last=False)
            self._bytes -= OVERHEAD_BYTES + len(oldest)
