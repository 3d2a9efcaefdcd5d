"""What a subscriber is sent: the JSON of one response, made once for all who share it."""

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """A response to the event `seq`, with nothing left out; `holes` are the places in it of the zeros of `lagged`.

    `cursor` is what a client gives as `after` to go on from here.
    """

    seq: int
    body: bytes
    holes: tuple[int, ...] = ()
    cursor: str | None = None

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
