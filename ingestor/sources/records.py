"""The types of a source: pages of records, checkpoints, and the listing of a record."""

import datetime
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from db.bodies import content_hash
from db.notes import Note
from db.source_files import FilePart
from db.write.backfill import PastPrice
from db.write.identity.addresses import ListedAddress
from db.write.listings import Listing

__all__ = [
    "OBSERVED_AT",
    "AddressPage",
    "Checkpoint",
    "ExplainsNoPage",
    "FilePart",
    "ListedAddress",
    "Listing",
    "Note",
    "Page",
    "PageBody",
    "PastPrice",
    "Record",
    "RecordError",
    "Rejection",
    "Source",
    "SupportsAddresses",
    "SupportsBackfill",
    "SupportsCallBudget",
    "content_hash",
]


OBSERVED_AT = "@observed_at"
"""The key that a payload without a usable time gets: the time of its file or of its body."""


class RecordError(Exception):
    """One record cannot be read; the message says why and ends with the path inside the record."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a page, still as its source sent it: valid JSON bytes.

    `offset` and `length` are its slice of the page's body, if it is one.
    """

    external_id: str
    raw: bytes
    content_hash: bytes
    offset: int | None = None
    length: int = 0


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """A record that has no usable id or cannot be read, with its bytes.

    `offset` and `length` are its slice of the page's body, if it is one.
    """

    external_id: str | None
    error: str
    payload: bytes
    offset: int | None = None
    length: int = 0


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a source got: the position of its last page, handed back when it resumes."""

    position: Any
    last_id: str | None = None
    last_timestamp: datetime.datetime | None = None


class PageBody(msgspec.Struct, frozen=True):
    """Where a page came from: its URL or path, the headers that matter, and its bytes.

    Without `content`, and where it is not true that each record is a slice of it, the payloads of
    the page are kept instead, and the body is not `verbatim`.
    """

    url: str | None
    headers: dict[str, str | int]
    content: bytes | None = None
    verbatim: bool = True


class Page(msgspec.Struct, frozen=True):
    """One body of a source, or one slice of a file: what one transaction writes.

    `group` and `number` name the page within a sweep (one complete reading of the source): API
    sources have the one group "", files one group a file. `fetched_at` is when its body arrived.
    `position` is where the source continues after this page. `ends_group` says that the group has
    no page with a higher number. `sweep_groups` is set on the last page of a sweep only, and names
    all current groups. `notes` are notes of the run. `file` is the page's part of the report of
    its file. `body` is where it came from.
    """

    group: str
    number: int
    fetched_at: datetime.datetime
    records: list[Record]
    rejections: list[Rejection]
    position: Any
    ends_group: bool
    sweep_groups: tuple[str, ...] | None = None
    notes: tuple[Note, ...] = ()
    file: FilePart | None = None
    body: PageBody | None = None


class AddressPage(msgspec.Struct, frozen=True):
    """One body of a source's registry of contract addresses.

    `part` names it and is its path. It has all addresses of the source on `chains`, together with
    the other pages that name these; None is all chains. `failure` says why the body could not be
    read: then nothing on its chains is removed.
    """

    part: str
    fetched_at: datetime.datetime
    body: bytes = b""
    addresses: list[ListedAddress] = []
    chains: tuple[str, ...] | None = None
    notes: tuple[Note, ...] = ()
    failure: str | None = None


class Source(Protocol):
    """One place that listings come from; docs/ADD_A_SOURCE.md adds one in one file.

    `missed_sweeps` is how many complete sweeps in a row must miss a listing before it becomes
    inactive: 1 for a file, whose content is the operator's word, 2 for a provider: one faulty body
    ends no listing and hands no ticker on.
    """

    name: str
    kind: Literal["api", "file"]
    priority: int
    poll_seconds: int
    missed_sweeps: Literal[1, 2]

    def pages(self, checkpoint: Checkpoint | None, *, full: bool) -> AsyncGenerator[Page, None]:
        """Yield the pages after `checkpoint`, none if nothing changed; `full` ignores validators.

        Raises SourceError when the source cannot be read.
        """
        ...

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        """Normalise one record. Raises RecordError."""
        ...

    async def close(self) -> None:
        """Close connections and files."""
        ...


@runtime_checkable
class ExplainsNoPage(Protocol):
    """A source that may yield no page for another reason than that nothing changed."""

    def why_no_page(self) -> str | None:
        """Return why the last reading had no page, None if nothing changed."""
        ...


@runtime_checkable
class SupportsBackfill(Protocol):
    """A source with past prices, for `kasparro backfill`."""

    async def history(self, external_id: str, days: int) -> list[PastPrice]:
        """Return the prices of one listing in the last `days` days, by one call without retries.

        Raises SourceError; SourceMissingError where the source does not know the listing.
        """
        ...


@runtime_checkable
class SupportsAddresses(Protocol):
    """A source that says which contracts its listings are; it is asked once in REGISTRY_HOURS."""

    def addresses(self) -> AsyncGenerator[AddressPage, None]:
        """Yield the whole registry. Its calls share the rate limit of the polls, and no more.

        Raises SourceError: then nothing of it is stored, and it is read again later.
        """
        ...


@runtime_checkable
class SupportsCallBudget(Protocol):
    """What a source has beside `Source` when its provider counts the calls of a month.

    `budget_variable` names the setting with their number.
    """

    budget_variable: str

    def count_calls(self, on_call: Callable[[], Awaitable[None]] | None) -> None:
        """Await `on_call` before each call from now on: a call counts before it is made."""
        ...

    def spare_calls(self, used: int, now: datetime.datetime) -> int:
        """Return the calls left this month after `used` and the polls still to come."""
        ...
