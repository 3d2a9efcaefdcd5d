"""Raw frames as compressed segments: what arrived, byte for byte, and when."""

import hashlib
import struct
import sys
from typing import NamedTuple

import msgspec

from db.streams.segments import FrameSegment
from ingestor.streams.records import Frame, to_datetime

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BYTES = 8 * 1024 * 1024
_HEAD = struct.Struct(">QI")
"""When a frame arrived, in nanoseconds since 1970, and its length."""
_LEVEL = 3


class FramePlace(NamedTuple):
    """Where a frame lies: the key of its segment, and its number from 0."""

    segment: int
    frame: int


class DamagedSegmentError(Exception):
    """The bytes of a segment are not those that were stored."""


class RawFrame(msgspec.Struct, frozen=True):
    """A frame of a segment."""

    received_ns: int
    raw: bytes


class SegmentBuilder:
    """Collects the frames of one venue; `take` compresses them into a segment.

    At most `most` bytes are held: more frames are counted in `left_out` and have no place.
    """

    def __init__(self, venue: str, most: int = MAX_BYTES) -> None:
        self._venue, self._most = venue, most
        self._parts: list[bytes] = []
        self._bytes = self._frames = 0
        self._key = self._first_ns = self._last_ns = 0
        self.left_out = 0

    def add(self, frame: Frame) -> FramePlace | None:
        """Add a frame and return its place; None for one that finds no room."""
        size = _HEAD.size + len(frame.raw)
        if self._bytes + size > self._most:
            self.left_out += 1
            return None
        if not self._frames:
            # Two segments of one venue never have one key, even if the clock stands or goes back.
            self._key = max(frame.received_ns, self._key + 1)
            self._first_ns = frame.received_ns
        self._last_ns = max(self._first_ns, frame.received_ns)
        self._parts += (_HEAD.pack(frame.received_ns, len(frame.raw)), frame.raw)
        self._bytes += size
        self._frames += 1
        return FramePlace(self._key, self._frames - 1)

    def take(self) -> FrameSegment | None:
        """Return the frames since the last call as a segment, None if there is none."""
        if not self._frames:
            return None
        content = b"".join(self._parts)
        segment = FrameSegment(
            self._venue,
            self._key,
            to_datetime(self._first_ns),
            to_datetime(self._last_ns),
            self._frames,
            len(content),
            hashlib.sha256(content).digest(),
            zstd.compress(content, _LEVEL),
        )
        self._parts = []
        self._bytes = self._frames = 0
        return segment


def read_frames(content: bytes, sha256: bytes) -> list[RawFrame]:
    """Return the frames of a stored segment. Raises DamagedSegmentError."""
    try:
        plain = zstd.decompress(content)
    except zstd.ZstdError as error:
        raise DamagedSegmentError(f"the segment cannot be decompressed: {error}") from None
    if hashlib.sha256(plain).digest() != sha256:
        raise DamagedSegmentError("the segment has another sha256")
    frames, start = [], 0
    while start < len(plain):
        received_ns, length = _HEAD.unpack_from(plain, start)
        start += _HEAD.size
        frames.append(RawFrame(received_ns, plain[start : start + length]))
        start += length
    return frames
