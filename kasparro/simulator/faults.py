"""Faults in waiting: what goes wrong, for which requests, how often. `spoil.py` plays them."""

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
MOST_FAULTS: Final = 10_000


class Fault(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that goes wrong, for requests that match `provider`, `route` (a pattern below the prefix), `page`.

    - `status`: this status with the provider's error body, or `shape`; `retry_after` seconds, sent
      as such or as a date
    - `html`: a page of the network before the provider, with `status` 503 or 200
    - `redirect`: 302 to `location`, to the request's own address unless given
    - `timeout`: no answer at all; `reset`: the connection is reset before any answer
    - `cut`: the connection ends in the middle of the body; `drip`: the body comes at
      `bytes_per_second`
    - `truncated`: a whole answer whose JSON stops half-way; `wrong_type`: an object, no array
    - `bad_record`: the price of record `record` is a word; `nul_record`: its name holds an escaped
      NUL, which no PostgreSQL stores; `out_of_range`: its price is 1e400
    """

    kind: Kind
    provider: Provider | None = None
    route: str = "*"
    page: int | None = None
    times: Annotated[int, Meta(ge=1)] | None = 1
    """How many requests it spoils; None for all."""
    after: Annotated[int, Meta(ge=0)] = 0
    """How many matching requests it lets pass before."""
    status: Annotated[int, Meta(ge=100, le=999)] = 503
    shape: Shape | None = None
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    location: str | None = None
    bytes_per_second: Annotated[int, Meta(ge=1)] = 1_000
    record: Annotated[int, Meta(ge=0)] = 0

    def matches(self, provider: Provider, route: str, page: int) -> bool:
        """Whether a request is one of those that this fault waits for."""
        return (
            self.provider in (None, provider)
            and (self.page is None or self.page == page)
            and fnmatchcase(route, self.route)
        )


class Faults:
    """The queue of faults: the first that matches a request is played."""

    def __init__(self, faults: list[Fault] | None = None) -> None:
        self._queue = list(faults or [])

    @property
    def queued(self) -> list[Fault]:
        """The faults still to come, as they stand now."""
        return list(self._queue)

    def add(self, faults: list[Fault]) -> None:
        """Queue more; raises ValueError beyond 10,000."""
        if len(self._queue) + len(faults) > MOST_FAULTS:
            raise ValueError(f"no more than {MOST_FAULTS:,} faults can wait")
        self._queue += faults

    def clear(self) -> None:
        """Forget all."""
        self._queue.clear()

    def take(self, provider: Provider, route: str, page: int) -> Fault | None:
        """Return the fault to play for this request, which then has one time less; None when all is well."""
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
    """One fault or an array of them from JSON; raises msgspec.ValidationError or msgspec.DecodeError with the path."""
    decoded = msgspec.json.decode(text, type=Fault | list[Fault])
    return decoded if isinstance(decoded, list) else [decoded]


def read_faults(source: str) -> list[Fault]:
    """Faults from JSON text, or from the file of that name; raises msgspec's errors or OSError."""
    text = (
        source
        if source.lstrip().startswith(("[", "{"))
        else Path(source).read_text(encoding="utf-8")
    )
    return decode_faults(text)
