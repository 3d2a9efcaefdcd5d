"""Pending faults: their kind, which requests they match, and how often; see `spoil.py`."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from kasparro.simulator.errors import Shape
from kasparro.simulator.market.universe import Provider

Kind = Literal[
    "status",
    "html",
    "redirect",
    "timeout",
    "reset",
    "cut",
    "drip",
    "truncated",
    "wrong_type",
    "bad_record",
    "nul_record",
    "out_of_range",
]
MAX_FAULTS: Final = 10_000


class Fault(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A fault of requests that match `provider`, `route` (a pattern) and `page`.

    - `status`: this status with the provider's error body, or `shape`; `retry_after` seconds, sent
      as such or as a date
    - `html`: a page of the network before the provider, with `status` 503 or 200
    - `redirect`: 302 to `location`, to the request's own address unless given
    - `timeout`: no answer at all; `reset`: the connection is reset before any answer
    - `cut`: the connection ends in the middle of the body; `drip`: the body comes at
      `bytes_per_second`
    - `truncated`: a complete answer with half of the JSON; `wrong_type`: an object, not an array
    - `bad_record`: the price of record `record` is a word; `nul_record`: its name contains an
      escaped NUL, which PostgreSQL cannot store; `out_of_range`: its price is 1e400
    """

    kind: Kind
    provider: Provider | None = None
    route: str = "*"
    page: int | None = None
    times: Annotated[int, Meta(ge=1)] | None = 1
    """How many requests it affects; None for all."""
    after: Annotated[int, Meta(ge=0)] = 0
    """How many matching requests pass before."""
    status: Annotated[int, Meta(ge=100, le=999)] = 503
    shape: Shape | None = None
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    location: str | None = None
    bytes_per_second: Annotated[int, Meta(ge=1)] = 1_000
    record: Annotated[int, Meta(ge=0)] = 0

    def matches(self, provider: Provider, route: str, page: int) -> bool:
        """Return whether this fault matches a request."""
        return (
            self.provider in (None, provider)
            and (self.page is None or self.page == page)
            and fnmatchcase(route, self.route)
        )


class Faults:
    """The queue of faults: a request gets the first fault that matches."""

    def __init__(self, faults: list[Fault] | None = None) -> None:
        self._queue = list(faults or [])

    @property
    def queued(self) -> list[Fault]:
        """The pending faults."""
        return list(self._queue)

    def add(self, faults: list[Fault]) -> None:
        """Add faults. Raises ValueError for more than 10,000."""
        if len(self._queue) + len(faults) > MAX_FAULTS:
            raise ValueError(f"no more than {MAX_FAULTS:,} faults can be pending")
        self._queue += faults

    def clear(self) -> None:
        """Remove all faults."""
        self._queue.clear()

    def take(self, provider: Provider, route: str, page: int) -> Fault | None:
        """Return the fault for this request and count it, None without one."""
        for fault in self._queue:
            if not fault.matches(provider, route, page):
                continue
            if fault.after:
                fault.after -= 1
                continue
            self._use(fault)
            return fault
        return None

    def _use(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if not fault.times:
            self._queue.remove(fault)


def decode_faults(text: str | bytes) -> list[Fault]:
    """Return the faults of JSON text, one or an array.

    Raises msgspec.ValidationError or msgspec.DecodeError, with the path.
    """
    faults = msgspec.json.decode(text, type=Fault | list[Fault])
    return faults if isinstance(faults, list) else [faults]


def read_faults(source: str) -> list[Fault]:
    """Return the faults of JSON text or of a file. Raises msgspec's errors or OSError."""
    text = (
        source
        if source.lstrip().startswith(("[", "{"))
        else Path(source).read_text(encoding="utf-8")
    )
    return decode_faults(text)
