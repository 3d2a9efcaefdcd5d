"""Messages: the JSON of one response, which many subscribers share."""

import msgspec

from server.live.deflate import compress


class Message(msgspec.Struct, frozen=True, gc=False):
    """A response about the event `seq`; its `lagged` fields are 0, at `lagged_offsets`.

    `cursor` is the client's `after` to continue after this message.
    """

    seq: int
    body: bytes
    lagged_offsets: tuple[int, ...] = ()
    cursor: str | None = None
    _deflated: bytes | None = None

    def deflated(self) -> bytes:
        """Return the body as deflate blocks, compressed once for all subscribers."""
        if self._deflated is None:
            msgspec.structs.force_setattr(self, "_deflated", compress(self.body))
        assert self._deflated is not None  # noqa: S101  (just set)
        return self._deflated

    def with_lagged(self, lagged: int) -> bytes:
        """Return the response for a subscriber that missed so many messages before it."""
        if not lagged or not self.lagged_offsets:
            return self.body
        parts, start = [], 0
        for offset in self.lagged_offsets:
            parts.append(self.body[start:offset])
            start = offset + 1
        parts.append(self.body[start:])
        return str(lagged).encode().join(parts)
