"""Bodies are stored byte for byte, and each record is cut out of its own."""

import datetime
import gzip
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.bodies import (
    FRAME_BYTES,
    BodyDamagedError,
    BodySlice,
    content_hash,
    cut,
    find_body,
    pack_frames,
    pack_index,
    read_index,
    unpack,
    without_repetition,
)
from ingestor.run.body import slices_of, with_body
from ingestor.run.run import run
from ingestor.sources.decode import split
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.records import (
    Checkpoint,
    Listing,
    Page,
    PageBody,
    Record,
    Rejection,
    Source,
)
from tests.ingestor.conftest import Ingest
from tests.ingestor.stored_bodies import stored_records

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=6)},
    optional={"last_updated": st.just("2026-11-23T11:00:00Z"), "x": VALUES, "y": VALUES},
)
ENTRIES = st.lists(RECORDS | VALUES, max_size=8)
FORMATS = st.sampled_from([(", ", ": ", None), (",", ":", None), (",", ": ", 2)])


def page_of(body: bytes, *, dated: bool) -> Page:
    records, rejections = split(body, "Provider", NOW if dated else None)
    body_of_page = PageBody(None, {}, body)
    return with_body(
        Page("", 1, NOW, records, rejections, None, ends_group=True, body=body_of_page)
    )


@given(ENTRIES, FORMATS, st.sampled_from(["strict", "surrogatepass"]), st.sampled_from([0, 1]))
def test_each_record_of_a_generated_body_is_its_slice(
    entries: list[object], form: tuple[str, str, int | None], errors: str, dated: int
) -> None:
    comma, colon, indent = form
    text = json.dumps(
        entries, separators=(comma, colon), indent=indent, ensure_ascii=errors == "strict"
    )
    body = f" {text}\n".encode("utf-8", errors)
    try:
        page = page_of(body, dated=bool(dated))
    except SourceMalformedError:  # of such a body nothing is stored
        return
    assert page.body is not None
    assert page.body.content == body
    assert len(page.records) + len(page.rejections) == len(entries)
    every: list[Record | Rejection] = [*page.records, *page.rejections]
    assert len({one.offset for one in every}) == len(entries)
    slices = slices_of(page, page.records)
    assert list(read_index(pack_index(slices))) == slices
    by_offset = {record.offset: record for record in page.records}
    for one in slices:
        record = by_offset[one.offset]
        assert cut(body, one) == (record.raw, record.content_hash)
        sent = body[one.offset : one.offset + one.length]
        assert content_hash(sent) == record.content_hash
        assert (one.payload is None) == (record.raw == sent)
    for rejection in page.rejections:
        assert rejection.offset is not None
        assert body[rejection.offset : rejection.offset + rejection.length] == rejection.payload


@given(st.binary(max_size=300), st.integers(1, 3))
def test_a_body_of_several_frames_comes_back(part: bytes, times: int) -> None:
    body = (part + b"x" * (FRAME_BYTES - 100)) * times
    assert unpack(b"".join(pack_frames(body))) == body


def test_a_payload_that_is_no_slice_is_in_the_index() -> None:
    body = b'[{"id": NaN}]'
    changed = BodySlice("a", 1, 11, b'{"id": null}', content_hash(b'{"id": NaN}'))
    kept = without_repetition(body, changed)
    assert kept == BodySlice("a", 1, 11, b'{"id": null}')
    assert cut(body, kept) == (changed.payload, changed.content_hash)


class _Bodies:
    """Says one body after the other, with the rules of another source."""

    missed_sweeps: Literal[1, 2] = 2

    def __init__(self, source: Source, *bodies: bytes, url: str | None = None) -> None:
        self._source, self._bodies, self._url = source, list(bodies), url
        self.name, self.kind, self.priority = source.name, source.kind, source.priority
        self.poll_seconds = source.poll_seconds
        self.fetched_at = NOW

    async def pages(
        self,
        checkpoint: Checkpoint | None,  # noqa: ARG002 - a source's signature
        *,
        full: bool,  # noqa: ARG002 - a source's signature
    ) -> AsyncGenerator[Page, None]:
        body = self._bodies.pop(0)
        self.fetched_at += datetime.timedelta(minutes=1)
        records, rejections = split(body, self.name, self.fetched_at)
        yield Page(
            "", 1, self.fetched_at, records, rejections, None, ends_group=True,
            body=PageBody(self._url, {"etag": '"1"'}, body),
        )  # fmt: skip

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        return self._source.to_listing(record, fetched_at)

    async def close(self) -> None:
        """Close nothing."""


async def read(ingest: Ingest, source: _Bodies, times: int = 1) -> None:
    for _ in range(times):
        outcome = await run(ingest.pool, source, timeout_seconds=60, full=True)
        assert outcome is not None
        assert outcome.status in ("success", "partial"), outcome.message


def market(*, prices: dict[str, int], extra: str = "") -> bytes:
    rows = [
        f'{{"id": "{name}", "symbol": "{name}", "name": "{name}", "current_price": {price}.50,'
        ' "last_updated": "2026-11-23T11:00:00Z"}'
        for name, price in prices.items()
    ]
    return f"[{', '.join(rows)}{extra}]\n".encode()


async def test_an_unchanged_body_is_not_stored_and_equal_ones_share_their_bytes(
    ingest: Ingest,
) -> None:
    whole = market(prices={"aa": 1, "bb": 2})
    await read(ingest, _Bodies(ingest.sources["coingecko"], whole, whole, whole), 3)
    rows = "SELECT record_count, content IS NULL FROM bodies ORDER BY arrived_at"
    assert await ingest.rows(rows) == [(2, False)]
    # A body with an unreadable record is kept each time, its bytes once.
    bad = market(prices={"aa": 1, "bb": 2}, extra=", {}")
    await read(ingest, _Bodies(ingest.sources["coingecko"], bad, bad), 2)
    hour = "SELECT count(DISTINCT date_trunc('hour', arrived_at, 'UTC')) FROM bodies"
    stored = await ingest.rows(rows)
    assert len(stored) == 3
    if await ingest.value(hour) == 1:
        assert stored == [(2, False), (0, False), (0, True)]
    newest = await ingest.value("SELECT max(id) FROM bodies")
    assert isinstance(newest, int)
    async with ingest.pool.acquire() as connection:
        body = await find_body(connection, newest)
    assert body is not None
    assert body.unpack() == bad
    place = "SELECT body_offset, body_length, payload FROM rejected_records WHERE body = $1"
    [(offset, length, payload)] = await ingest.rows(place, newest)
    assert isinstance(offset, int)
    assert isinstance(length, int)
    assert bad[offset : offset + length] == payload == b"{}"


async def test_a_listing_and_a_point_lead_to_the_bytes_that_say_them(ingest: Ingest) -> None:
    first, second = market(prices={"aa": 1, "bb": 2}), market(prices={"aa": 1, "bb": 3})
    second = second.replace(b"11:00:00", b"11:01:00", 1).replace(b"3.50", b"3.5e0", 1)
    source = _Bodies(ingest.sources["coingecko"], first, second)
    await read(ingest, source, 2)
    for name, body, number in [("aa", second, b"1.50"), ("bb", second, b"3.5e0")]:
        [(stored, offset, length, digest)] = await ingest.rows(
            "SELECT body, body_offset, body_length, content_hash FROM listings "
            "WHERE external_id = $1",
            name,
        )
        assert isinstance(stored, int)
        assert isinstance(offset, int)
        assert isinstance(length, int)
        assert stored == await ingest.value("SELECT max(id) FROM bodies")
        sent = body[offset : offset + length]
        assert content_hash(sent) == digest
        assert number in sent
    points = await ingest.rows(
        "SELECT l.external_id, p.fetched_at, p.price_usd FROM price_points AS p "
        "JOIN listings AS l ON l.id = p.listing ORDER BY 1, 2"
    )
    records = {(one.external_id, one.fetched_at): one.raw for one in await stored_records(ingest)}
    assert points
    for external_id, fetched_at, price in points:
        assert isinstance(fetched_at, datetime.datetime)
        raw = records[str(external_id), fetched_at]
        assert msgspec.json.decode(raw)["current_price"] == price


async def test_a_page_whose_body_is_not_stored_stores_nothing(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = market(prices={"aa": 1, "bb": 2})

    async def fail(*_: object) -> None:
        raise ArithmeticError

    with monkeypatch.context() as patch:
        patch.setattr("ingestor.run.body.add_body", fail)
        with pytest.raises(ArithmeticError):
            await run(ingest.pool, _Bodies(ingest.sources["coingecko"], body), timeout_seconds=60)
    for table in ("listings", "raw_api_records", "price_points", "bodies"):
        assert await ingest.value(f"SELECT count(*) FROM {table}") == 0
    await read(ingest, _Bodies(ingest.sources["coingecko"], body))
    assert await ingest.value("SELECT count(*) FROM listings JOIN bodies ON body = bodies.id") == 2


async def test_a_damaged_body_is_found(ingest: Ingest) -> None:
    body = market(prices={"aa": 1})
    await read(ingest, _Bodies(ingest.sources["coingecko"], body))
    number = await ingest.value("SELECT id FROM bodies")
    assert isinstance(number, int)
    other = b"".join(pack_frames(body.replace(b"1.50", b"9.50")))
    await ingest.value("UPDATE bodies SET content = $1", other)
    async with ingest.pool.acquire() as connection:
        stored = await find_body(connection, number)
    assert stored is not None
    with pytest.raises(BodyDamagedError, match="has the SHA-256"):
        stored.unpack()


async def test_a_page_of_a_file_keeps_its_rows_and_where_they_were(ingest: Ingest) -> None:
    ingest.csv_path.write_text("id,symbol,name,price\n1,ABC,Alpha,10\n2,XYZ,Omega,x\n")
    await ingest.run("csv")
    [(form, headers)] = await ingest.rows("SELECT form, headers::text FROM bodies")
    assert form == "records"
    assert msgspec.json.decode(str(headers))["file"] == ingest.csv_path.name
    [record] = await stored_records(ingest)
    assert msgspec.json.decode(record.raw)["id"] == "1"
    # A row that could not be read is in the body too.
    [(rejected, stored, offset, length)] = await ingest.rows(
        "SELECT payload, body, body_offset, body_length FROM rejected_records"
    )
    assert isinstance(stored, int)
    assert isinstance(offset, int)
    assert isinstance(length, int)
    async with ingest.pool.acquire() as connection:
        body = await find_body(connection, stored)
    assert body is not None
    assert body.unpack()[offset : offset + length] == rejected


def recorded(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.json*")):
        content = path.read_bytes()
        body = gzip.decompress(content) if path.suffix == ".gz" else content
        if body.lstrip().startswith(b"["):
            found[path.name] = body
    return found


def test_each_record_of_each_recorded_body_is_the_bytes_that_were_sent(
    shared_recordings: Path,
) -> None:
    bodies = recorded(shared_recordings)
    count = 0
    for name, body in bodies.items():
        page = page_of(body, dated=False)
        entries: list[Record | Rejection] = [*page.records, *page.rejections]
        sent = {bytes(one) for one in msgspec.json.decode(body, type=list[msgspec.Raw])}
        back = unpack(b"".join(pack_frames(body)))
        assert back == body, name
        slices = slices_of(page, page.records)
        for one, again in zip(slices, read_index(pack_index(slices)), strict=True):
            assert again == one
            raw, digest = cut(back, again)
            assert raw in sent
            assert content_hash(raw) == digest
        assert len(entries) == len(msgspec.json.decode(body)), name
        count += len(slices)
    assert len(bodies) > 5
    assert count > 10_000
