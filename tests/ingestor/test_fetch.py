"""Fetch against real HTTP servers: what a provider may say, and what becomes of it."""

import gzip
import json
import tracemalloc
import zlib

import pytest
from aiohttp import web

from ingestor.http.fetch import Fetch, FetchLimits, Validators
from ingestor.sources.errors import SourceMalformedError, SourceRefusedError
from tests.ingestor.served import OUR_KEY, Serve, get, provider, saying


async def test_a_body_comes_as_it_was_sent_and_the_key_goes_in_its_header(serve: Serve) -> None:
    server = await serve(saying(200, '[{"id": "bitcoin"}]'))
    assert await get(server.url) == b'[{"id": "bitcoin"}]'
    (request,) = server.requests
    assert request.path_qs == "/api/v3/coins/markets?page=2"
    assert request.headers["x-cg-demo-api-key"] == OUR_KEY
    assert request.headers["Accept"] == "application/json"


async def test_without_a_key_no_key_header_is_sent(serve: Serve) -> None:
    server = await serve(saying(200, "[]"))
    await get(server.url, key=None)
    assert "x-cg-demo-api-key" not in server.requests[0].headers


async def test_a_gzipped_body_is_unpacked(serve: Serve) -> None:
    server = await serve(saying(200, gzip.compress(b"[1]"), Content_Encoding="gzip"))
    assert await get(server.url) == b"[1]"


COINGECKO_SHAPES = [
    '{"error": "the words"}',
    '{"status": {"error_code": 10002, "error_message": "the words"}}',
    (
        '{"error": {"status": {"timestamp": "2026-01-01", "error_code": 10005, '
        '"error_message": "the words"}}}'
    ),
    '{"timestamp": "2026-01-01", "error_code": 10010, "status": {"error_message": "the words"}}',
    '{"error_code": 400, "message": "the words"}',
    "the words",
    '"the words"',
]


@pytest.mark.parametrize("body", COINGECKO_SHAPES)
async def test_a_refusal_carries_the_words_of_the_provider_whatever_their_shape(
    serve: Serve, body: str
) -> None:
    server = await serve(saying(401, body))
    with pytest.raises(SourceRefusedError) as caught:
        await get(server.url)
    assert (
        str(caught.value) == "CoinGecko refused the key (401): the words; check COINGECKO_API_KEY"
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "key", "sentence"),
    [
        (400, OUR_KEY, "CoinGecko refused the request (400): no; check COINGECKO_URL"),
        (401, None, "CoinGecko refused a request without a key (401): no; set COINGECKO_API_KEY"),
        (403, OUR_KEY, "CoinGecko refused the key (403): no; check COINGECKO_API_KEY"),
        (404, OUR_KEY, "CoinGecko refused the request (404): no; check COINGECKO_URL"),
        (422, OUR_KEY, "CoinGecko refused the request (422): no; check COINGECKO_URL"),
        (451, OUR_KEY, "CoinGecko refused the request (451): no; check COINGECKO_URL"),
    ],
)
async def test_a_refusal_says_what_to_do(
    serve: Serve, status: int, key: str | None, sentence: str
) -> None:
    server = await serve(saying(status, '{"error": "no"}'))
    with pytest.raises(SourceRefusedError) as caught:
        await get(server.url, key=key)
    assert str(caught.value) == sentence


async def test_payment_required_is_told_as_a_spent_plan(serve: Serve) -> None:
    server = await serve(saying(402, '{"error": "monthly limit exceeded"}'))
    with pytest.raises(
        SourceRefusedError,
        match=r"wants payment \(402\): monthly limit exceeded; .*COINGECKO_API_KEY",
    ):
        await get(server.url)


async def test_an_html_refusal_of_the_cdn_is_told_by_its_title(serve: Serve) -> None:
    page = (
        "<!DOCTYPE html><html><head><title>Attention\nRequired! | Cloudflare</title></head></html>"
    )
    server = await serve(saying(403, page, Content_Type="text/html"))
    with pytest.raises(
        SourceRefusedError, match=r"\(403\): an HTML page, Attention Required! \| Cloudflare; check"
    ):
        await get(server.url)


async def test_a_provider_that_echoes_the_key_does_not_get_it_into_the_message(
    serve: Serve,
) -> None:
    server = await serve(saying(401, json.dumps({"error": f"bad key {OUR_KEY}!"})))
    with pytest.raises(SourceRefusedError) as caught:
        await get(server.url)
    assert OUR_KEY not in str(caught.value)
    assert "bad key ***!" in str(caught.value)
    assert OUR_KEY not in repr(provider(server.url))


async def test_a_long_message_is_cut_and_stays_one_line(serve: Serve) -> None:
    server = await serve(saying(400, json.dumps({"error": "line\r\n\x1b[31m" + "x" * 10_000})))
    with pytest.raises(SourceRefusedError) as caught:
        await get(server.url)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("status", [204, 206, 304])
async def test_a_status_that_was_not_asked_for_is_malformed(serve: Serve, status: int) -> None:
    server = await serve(saying(status, b""))
    with pytest.raises(SourceMalformedError, match=f"it answered {status}"):
        await get(server.url)


async def test_a_body_above_the_limit_is_not_read_to_its_end(serve: Serve) -> None:
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while written < 1_000_000_000:
            await response.write(b" " * 65_536)
            written += 65_536
        return response

    server = await serve(endless)
    with pytest.raises(SourceMalformedError, match="more than 1,000,000 bytes"):
        await get(server.url, limits=FetchLimits(max_body_bytes=1_000_000))
    assert written < 50_000_000
    assert len(server.requests) == 1


async def test_a_gzip_bomb_stays_small_in_memory(serve: Serve) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()
    server = await serve(saying(200, bomb, Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        with pytest.raises(SourceMalformedError, match="more than 1,000,000 bytes"):
            await get(server.url, limits=FetchLimits(max_body_bytes=1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


async def test_validators_come_back_and_a_304_is_no_new_body(serve: Serve) -> None:
    async def versioned(request: web.Request) -> web.StreamResponse:
        headers = {
            "ETag": 'W/"v1"',
            "Last-Modified": "Tue, 03 Feb 2026 20:21:11 GMT",
            "Content-Type": "application/json",
        }
        if request.headers.get("If-None-Match") == 'W/"v1"':
            assert request.headers["If-Modified-Since"] == headers["Last-Modified"]
            return web.Response(status=304, headers=headers)
        return web.Response(text="[]", headers=headers)

    server = await serve(versioned)
    fetch = Fetch(provider(server.url))
    first = await fetch.get("x", {})
    again = await fetch.get("x", {}, first.validators)
    other = await fetch.get("x", {}, Validators('"another"', first.validators.last_modified))
    await fetch.close()
    assert (first.content, again.content, other.content) == (b"[]", None, b"[]")
    assert (
        again.validators
        == first.validators
        == Validators('W/"v1"', "Tue, 03 Feb 2026 20:21:11 GMT")
    )


async def test_a_redirect_on_the_same_host_is_followed_with_the_key(serve: Serve) -> None:
    async def slash(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/"):
            return web.json_response([7])
        raise web.HTTPMovedPermanently(request.path + "/")

    server = await serve(slash)
    assert await get(server.url) == b"[7]"
    assert [request.headers["x-cg-demo-api-key"] for request in server.requests] == [
        OUR_KEY,
        OUR_KEY,
    ]


async def test_a_redirect_to_another_host_is_not_followed(serve: Serve) -> None:
    thief = await serve(saying(200, "[]"))
    server = await serve(saying(302, b"", Location=thief.url))
    with pytest.raises(
        SourceMalformedError, match=r"redirected to another host \(127.0.0.1:\d+\).*COINGECKO_URL"
    ):
        await get(server.url)
    assert thief.requests == []


@pytest.mark.parametrize("location", ["", "http://[", "ftp://127.0.0.1/x", "//elsewhere.example/x"])
async def test_a_redirect_to_nowhere_is_malformed(serve: Serve, location: str) -> None:
    server = await serve(saying(307, b"", Location=location))
    with pytest.raises(SourceMalformedError, match="redirected"):
        await get(server.url)


async def test_a_circle_of_redirects_ends(serve: Serve) -> None:
    server = await serve(saying(301, b"", Location="/again"))
    with pytest.raises(SourceMalformedError, match="redirected more than 3 times"):
        await get(server.url)
    assert len(server.requests) == 4
