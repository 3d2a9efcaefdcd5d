"""The body of a page: the bytes of the response, or the payloads of the page one after the other.

A record of the page is then a slice of the body. Where it differs from its slice, because a NaN
became null or a time was added, the index of the body has the payload too.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from db.bodies import BodySlice, without_repetition
from db.connect.types import Connection
from db.write.raw.bodies import (
    BodyArrival,
    NewBody,
    PackedBody,
    add_body,
    begin_body,
    start_packing,
)
from ingestor.run.code_digest import digest
from ingestor.sources.records import Page, PageBody, Record, Rejection, Source


class BodyWriter:
    """Writes the body of a page in the transaction of the page.

    `arrive` comes before the first row that names the body, `add` after all of them. A thread packs
    the body in between. A page that changes nothing adds no body.
    """

    def __init__(self, connection: Connection, source: Source, run_id: int, page: Page) -> None:
        self._connection, self._source, self._run_id = connection, source, run_id
        self._page = page
        self._arrival: BodyArrival | None = None
        self._packing: asyncio.Future[PackedBody] | None = None

    async def arrive(self) -> BodyArrival:
        """Return the id and the arrival of the body."""
        if self._packing is None:
            self._packing = start_packing(content_of(self._page))
        if self._arrival is None:
            code = digest(type(self._source))
            self._arrival = await begin_body(self._connection, self._source.name, code)
        return self._arrival

    async def add(self, written: Sequence[Record]) -> None:
        """Store the body, with the records that were written from it."""
        if self._arrival is not None and self._packing is not None:
            body = new_body(self._page, self._source.name, self._run_id, await self._packing)
            await add_body(self._connection, self._arrival, body, slices_of(self._page, written))

    def again(self) -> "BodyWriter":
        """Return a writer for the transaction after one that was rolled back."""
        writer = BodyWriter(self._connection, self._source, self._run_id, self._page)
        writer._packing = self._packing
        return writer


def with_body(page: Page) -> Page:
    """Return the page with a body of which each record is a slice; the same page if it has one."""
    body = page.body or PageBody(None, {})
    entries: list[Record | Rejection] = [*page.records, *page.rejections]
    if body.content is not None and all(entry.offset is not None for entry in entries):
        return page
    offset = 0
    records: list[Record] = []
    for record in page.records:
        length = len(record.raw)
        records.append(msgspec.structs.replace(record, offset=offset, length=length))
        offset += length + 1
    rejections: list[Rejection] = []
    for rejection in page.rejections:
        length = len(rejection.payload)
        rejections.append(msgspec.structs.replace(rejection, offset=offset, length=length))
        offset += length + 1
    lines = [*(record.raw for record in records), *(one.payload for one in rejections)]
    content = b"".join([line + b"\n" for line in lines])
    return msgspec.structs.replace(
        page,
        records=records,
        rejections=rejections,
        body=PageBody(body.url, body.headers, content, verbatim=False),
    )


def content_of(page: Page) -> bytes:
    """Return the body of a page of `with_body`."""
    return _body(page).content or b""


def new_body(page: Page, source: str, run_id: int, content: PackedBody) -> NewBody:
    """Return the body of a page of `with_body`, to be stored."""
    body = _body(page)
    return NewBody(
        source=source,
        page_group=page.group,
        page_number=page.number,
        fetched_at=page.fetched_at,
        run_id=run_id,
        form="verbatim" if body.verbatim else "records",
        url=body.url,
        headers=body.headers,
        content=content,
    )


def slices_of(page: Page, records: Sequence[Record]) -> list[BodySlice]:
    """Return the slices of records of a page of `with_body`, in the order of the body."""
    cut = _verbatim_slice if _body(page).verbatim else _slice
    content = content_of(page)
    slices = [cut(content, record) for record in records]
    slices.sort(key=_offset)
    return slices


def _offset(one: BodySlice) -> int:
    return one.offset


def _slice(content: bytes, record: Record) -> BodySlice:
    one = BodySlice(
        record.external_id, record.offset or 0, record.length, record.raw, record.content_hash
    )
    return without_repetition(content, one)


def _verbatim_slice(content: bytes, record: Record) -> BodySlice:
    """Return the slice of a record whose content hash is that of the bytes that were sent."""
    offset, length = record.offset or 0, record.length
    is_slice = content[offset : offset + length] == record.raw
    return BodySlice(record.external_id, offset, length, None if is_slice else record.raw)


def _body(page: Page) -> PageBody:
    assert page.body is not None  # noqa: S101 - `with_body` has set it
    return page.body
