"""Where each record is in its body: the slice of every record and rejection is what was sent."""

import datetime
import hashlib
import json

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from ingestor.http.fetch import Fetch
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.decode import split
from ingestor.sources.records import Page, Slice, Source, content_hash
from tests.ingestor.served import Serve, provider, saying

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
SPACE = st.text(" \t\r\n", max_size=3)
TEXT = st.text(st.sampled_from('a"\\[]{}, é€\u2028\ud800'), max_size=5)
VALUE = st.recursive(
    st.none() | st.integers() | TEXT | st.just(float("nan")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ENTRY = VALUE | st.builds(lambda name, value: {"id": name, "v": value}, TEXT, VALUE)


@given(st.lists(st.tuples(ENTRY, SPACE, SPACE), min_size=1), SPACE, SPACE)
def test_the_slices_are_the_entries_in_their_order(
    entries: list[tuple[object, str, str]], before: str, after: str
) -> None:
    sent = [
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        for value, _, _ in entries
    ]
    padded = [
        left.encode() + one + right.encode()
        for one, (_, left, right) in zip(sent, entries, strict=True)
    ]
    body = before.encode() + b"[" + b",".join(padded) + b"]" + after.encode()
    good = b'{"id": "good"}'
    body = body.replace(b"[", b"[" + good + b",", 1)
    records, rejections = split(body, "Provider", NOW)
    found = [record.place for record in records] + [rejection.place for rejection in rejections]
    places = [place for place in found if place is not None]
    assert len(places) == len(sent) + 1
    places.sort(key=lambda place: place.offset)
    assert [cut(body, place) for place in places] == [good, *sent]
    for record in records:
        assert record.content_hash == content_hash(cut(body, record.place))
    for rejection in rejections:
        assert rejection.payload == cut(body, rejection.place)


def cut(body: bytes, place: Slice | None) -> bytes:
    assert place is not None
    return body[place.offset : place.offset + place.length]


def test_a_derived_payload_keeps_the_slice_of_what_was_sent() -> None:
    dated = b'{"id": "a", "last_updated": "2026-11-23T11:00:00Z"}'
    plain, literal = b'{"id": "b"}', b'{"id": "c", "price": NaN}'
    body = b"[" + b", ".join([dated, plain, literal]) + b"]"
    records, _ = split(body, "Provider", NOW)
    assert [cut(body, record.place) for record in records] == [dated, plain, literal]
    assert [record.raw == cut(body, record.place) for record in records] == [True, False, False]


COINS = '[{"id": "a", "symbol": "A€", "last_updated": "2026-11-23T11:00:00Z"},\n {"symbol": "x"}]'
ENCODED = [
    COINS.encode(),
    COINS.encode("utf-8-sig"),
    COINS.encode("utf-16"),
    COINS.encode("utf-32-be"),
]


async def page_of(source: Source) -> Page:
    try:
        async for page in source.pages(None, full=False):
            return page
        raise AssertionError("no page")
    finally:
        await source.close()


@pytest.mark.parametrize("kind", [CoinPaprika, CoinGecko])
@pytest.mark.parametrize("served", ENCODED)
async def test_the_body_of_a_page_is_byte_for_byte_what_was_served(
    serve: Serve, kind: type[CoinPaprika | CoinGecko], served: bytes
) -> None:
    server = await serve(
        saying(200, served, ETag='"v1"', Age="7", Set_Cookie="secret=1", Content_Type="text/plain")
    )
    page = await page_of(kind(Fetch(provider(server.url))))
    assert page.body is not None
    assert hashlib.sha256(page.body.content).digest() == hashlib.sha256(served).digest()
    assert page.body.text == COINS.encode()
    [record], [rejection] = page.records, page.rejections
    assert json.loads(cut(page.body.text, record.place))["id"] == "a"
    assert cut(page.body.text, rejection.place) == b'{"symbol": "x"}'
    headers = page.body.headers
    assert {name: headers[name] for name in ("content-type", "etag", "age")} == {
        "content-type": "text/plain",
        "etag": '"v1"',
        "age": "7",
    }
    assert "set-cookie" not in headers


async def test_the_url_of_a_body_has_no_secret(serve: Serve) -> None:
    server = await serve(saying(200, COINS))
    url = server.url.replace("://", "://user:hidden@") + "/CG-key-of-ours"
    page = await page_of(CoinPaprika(Fetch(provider(url))))
    assert page.body is not None
    assert "hidden" not in page.body.url
    assert "CG-key-of-ours" not in page.body.url
    assert page.body.url.endswith("/tickers?quotes=USD")


async def test_a_page_that_did_not_change_has_the_body_that_came_before(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.query["page"] != "1":
            return web.json_response([])
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304)
        return web.Response(text=COINS, headers={"ETag": '"v1"'})

    server = await serve(handler)
    source = CoinGecko(Fetch(provider(server.url)))
    try:
        found = [
            page for _ in range(2) async for page in source.pages(None, full=False) if page.records
        ]
    finally:
        await source.close()
    assert [request.headers.get("If-None-Match") for request in server.requests][2] == '"v1"'
    assert [page.body and page.body.content for page in found] == [COINS.encode()] * 2
