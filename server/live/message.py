"""What a subscriber is sent: the JSON of one response, made once for all who share it."""

import msgspec

from server.live.deflate import deflated


class Message(msgspec.Struct, frozen=True, gc=False):
    """A response to the event `seq`, with nothing left out; `holes` are the places in it of the zeros of `lagged`.

    `cursor` is what a client gives as `after` to go on from here.
    """

    seq: int
    body: bytes
    holes: tuple[int, ...] = ()
    cursor: str | None = None
    _deflated: bytes | None = None

    def deflated(self) -> bytes:
        """Return the body as deflate blocks, made once for all who share it."""
        if self._deflated is None:
            msgspec.structs.force_setattr(self, "_deflated", deflated(self.body))
        assert self._deflated is not None  # noqa: S101  (just set)
        return self._deflated

    def telling(self, lagged: int) -> bytes:
        """Return the response for a subscriber that missed so many before it."""
        if not lagged or not self.holes:
            return self.body
        parts, start = [], 0
        for hole in self.holes:
            parts.append(self.body[start:hole])
            start = hole + 1
        parts.append(self.body[start:])
        return str(lagged).encode().join(parts)
