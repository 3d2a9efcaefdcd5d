"""The faults of a simulated exchange."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

StreamFaultKind = Literal[
    "cut",
    "day_cut",
    "half_frame",
    "jump",
    "silence",
    "burst",
    "duplicate",
    "disorder",
    "slow",
    "shutdown",
    "wrong_json",
    "manipulate",
    "refuse",
]


class StreamFault(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A fault of a venue's connections.

    - `cut`: every connection is reset; `day_cut`: it is closed, as after 24 hours
    - `half_frame`: half of the next frame's bytes, then a reset
    - `jump`: the next `count` frames are not sent, though they count in the venue's numbers
    - `silence`: nothing is sent for `seconds`, not even answers; the sockets stay open
    - `burst`: the market makes `count` times as many ticks for `seconds`
    - `duplicate`: the next `count` frames are sent twice
    - `disorder`: each two of the next 2 x `count` frames change places
    - `slow`: each frame takes `seconds`; a connection that falls far behind is closed
    - `shutdown`: the venue announces its end, and closes after `seconds`
    - `wrong_json`: the next `count` frames are broken off
    - `manipulate`: prices of the market are multiplied by `factor`
    - `refuse`: new connections get status `status` for `seconds`
    """

    kind: StreamFaultKind
    venue: str | None = None
    count: Annotated[int, Meta(ge=1)] = 1
    seconds: Annotated[float, Meta(ge=0)] = 1.0
    factor: Annotated[float, Meta(gt=0)] = 10.0
    status: Annotated[int, Meta(ge=400, le=599)] = 451
