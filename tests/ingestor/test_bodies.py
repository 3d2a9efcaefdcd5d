"""What is in a body, whatever its status and its label say: JSON in any encoding, errors, HTML."""

import codecs
import json

import msgspec
import pytest
from aiohttp import web

from ingestor.http.fetch import Fetch, ResponseBody
from ingestor.sources.errors import (
    SourceMalformedError,
    SourceMissingError,
    SourceRefusedError,
    SourceUnavailableError,
)
from tests.ingestor.conftest import QUICK
from tests.ingestor.served import Handler, Serve, get, provider, saying


def in_turn(*bodies: str) -> Handler:
    """Answer with one body after the other."""
    left = list(bodies)

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text=left.pop(0))

    return handler


KINDS = [
    "application/json",
    "application/problem+json",
    "text/html",
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "nonsense",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_json_is_read_whatever_its_label_says(serve: Serve, kind: str) -> None:
    server = await serve(saying(200, "[]", Content_Type=kind))
    assert await get(server.url) == b"[]"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (
            "<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
            "an HTML page, Sign in",
        ),
        ("\n  <html><body>[]</body></html>", "an HTML page"),
        ("\ufeff<?xml version='1.0'?><coins/>", "an HTML page"),
        ("Welcome to this network", "Welcome to this network"),
    ],
)
async def test_what_is_not_json_is_refused_whatever_its_label_says(
    serve: Serve, kind: str, body: str, shown: str
) -> None:
    server = await serve(saying(200, body, Content_Type=kind))
    with pytest.raises(SourceMalformedError) as caught:
        await get(server.url)
    assert str(caught.value) == f"CoinGecko sent {shown!r} instead of JSON; check COINGECKO_URL"
    assert len(server.requests) == 1


TEXT = '[{"id": "a", "name": "\u20bfitcoin \U0001f600"}]'


@pytest.mark.parametrize(
    "body",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
    ids=[
        "plain",
        "utf-8 mark",
        "utf-16 mark",
        "utf-16-be mark",
        "utf-16-le",
        "utf-16-be",
        "utf-32 mark",
    ],
)
async def test_a_body_in_any_unicode_encoding_is_the_same_body(serve: Serve, body: bytes) -> None:
    server = await serve(saying(200, body))
    assert await get(server.url) == TEXT.encode()


async def test_half_a_character_of_utf_16_is_a_body_that_may_be_whole_the_next_time(
    serve: Serve,
) -> None:
    server = await serve(saying(200, TEXT.encode("utf-16")[:-1]))
    with pytest.raises(
        SourceUnavailableError, match=r"the body is not utf-16.*: .*\(attempt 2 of 2\)"
    ):
        await get(server.url, limits=QUICK)


RANGE = (
    '{"error": {"status": {"timestamp": "2026-11-29", "error_code": 10012, '
    '"error_message": "Your request exceeds the '
    "allowed time range. Public API users are limited to querying historical data within "
    "the past 365 days. Upgrade "
    'to a paid plan."}}}'
)


@pytest.mark.parametrize("status", [401, 200])
async def test_advice_by_the_code_in_the_body_goes_before_that_of_the_status(
    serve: Serve, status: int
) -> None:
    server = await serve(saying(status, RANGE))
    fetch = Fetch(msgspec.structs.replace(provider(server.url), advice={10012: "ask for less"}))
    with pytest.raises(SourceRefusedError) as caught:
        await fetch.get("x", {})
    await fetch.close()
    assert str(caught.value).startswith(
        f"CoinGecko refused the request ({status}): Your request exceeds the allowed"
    )
    assert str(caught.value).endswith("Upgrade to a paid plan; ask for less")


REFUSED = [
    ('{"error": "the words"}', "the words"),
    ('{"error": true, "message": "the words"}', "the words"),
    ('{"errors": [{"detail": "the words"}], "data": null}', "the words"),
    ('{"success": false, "data": [], "message": "the words"}', "the words"),
    ('{"status": {"error_code": 10005, "error_message": "the words"}, "data": []}', "the words"),
    ('{"message": "the words", "code": 17}', "the words"),
    ('\ufeff{"error": "the words"}', "the words"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
async def test_an_error_with_status_200_is_refused_with_the_words_of_the_provider(
    serve: Serve, body: str, words: str
) -> None:
    server = await serve(saying(200, body))
    with pytest.raises(SourceRefusedError) as caught:
        await get(server.url)
    assert str(caught.value) == f"CoinGecko refused the request (200): {words}; check COINGECKO_URL"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "error", "sentence"),
    [
        (
            '{"error": "coin not found"}',
            SourceMissingError,
            "refused the request (200): coin not found; check",
        ),
        (
            '{"status": {"error_code": 404, "error_message": "no"}}',
            SourceMissingError,
            "refused the request (200): no",
        ),
        (
            '{"error": "Invalid API key"}',
            SourceRefusedError,
            "refused the key (200): Invalid API key; check COINGECKO_A",
        ),
        (
            '{"status": {"error_code": 401, "error_message": "no"}}',
            SourceRefusedError,
            "refused the key (200): no; ",
        ),
    ],
)
async def test_an_error_with_status_200_means_what_its_own_status_would(
    serve: Serve, body: str, error: type[SourceRefusedError], sentence: str
) -> None:
    server = await serve(saying(200, body))
    with pytest.raises(SourceRefusedError) as caught:
        await get(server.url)
    assert type(caught.value) is error
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        '{"prices": [[1, 2]], "market_caps": []}',
        '{"status": {"error_code": 0, "error_message": null}, "data": [1]}',
        '{"error": null, "prices": []}',
        '{"error": false, "coins": [{"message": "rate limit"}]}',
        '[{"error": "rate limit"}]',
        '[{"id": "a", "message": "Too many requests"}]',
        "{}",
        "5",
        '"ok"',
        '{"prices": NaN}',
    ],
)
async def test_what_is_not_an_error_passes_as_it_came(serve: Serve, body: str) -> None:
    server = await serve(saying(200, body))
    assert await get(server.url) == body.encode()


RATE_LIMITS = [
    (
        '{"status": {"error_code": 429, "error_message": "You\'ve exceeded the Rate Limit."}}',
        "You've exceeded the Rate Limit.",
    ),
    ('{"error": "rate limit exceeded, try again later"}', "rate limit exceeded, try again later"),
    ('{"message": "API rate limit exceeded"}', "API rate limit exceeded"),
    ('{"message": "Too Many Requests", "statusCode": "429"}', "Too Many Requests"),
    ('{"error": {"code": 88, "message": "Rate-limit reached"}}', "Rate-limit reached"),
    (
        (
            '{"success": false, "error": {"info": "?", "message": "Your monthly usage limit '
            'has been reached"}}'
        ),
        "Your mon",
    ),
    (
        '{"error": "You have exceeded the number of requests per minute"}',
        "You have exceeded the number of requests",
    ),
    (
        '{"detail": "Request was throttled. Expected available in 5 seconds."}',
        "Request was throttled.",
    ),
    ('"Too many requests"', "Too many requests"),
    ("Throttled", "Throttled"),
]


@pytest.mark.parametrize(("body", "words"), RATE_LIMITS)
async def test_a_rate_limit_with_status_200_is_tried_again_and_told_in_the_words_of_the_provider(
    serve: Serve, body: str, words: str
) -> None:
    server = await serve(in_turn(body, "[]"))
    assert await get(server.url, limits=QUICK) == b"[]"
    assert len(server.requests) == 2
    server = await serve(saying(200, body))
    with pytest.raises(SourceUnavailableError) as caught:
        await get(server.url, limits=QUICK)
    assert str(caught.value).startswith(f"CoinGecko could not be read: it answered 200, {words}")
    assert str(caught.value).endswith("(attempt 2 of 2)")


async def test_a_rate_limit_with_status_200_may_say_how_long_to_wait(serve: Serve) -> None:
    server = await serve(saying(200, '{"error": "rate limit"}', Retry_After="3600"))
    with pytest.raises(SourceUnavailableError, match="asks to wait until") as caught:
        await get(server.url)
    assert caught.value.retry_at is not None
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "words",
    [
        (
            "Your request exceeds the allowed time range. Public API users are limited to the "
            "past 365 days."
        ),
        "This request is limited to PRO API subscribers.",
        "page size exceeds 250",
        "invalid vs_currency",
    ],
)
async def test_another_limit_is_no_rate_limit(serve: Serve, words: str) -> None:
    server = await serve(saying(200, json.dumps({"error": words})))
    with pytest.raises(SourceRefusedError):
        await get(server.url)
    assert len(server.requests) == 1


async def response_of(url: str, query: dict[str, str]) -> ResponseBody:
    fetch = Fetch(provider(url), QUICK)
    try:
        return await fetch.get("coins", query)
    finally:
        await fetch.close()


async def test_a_body_has_its_bytes_its_headers_and_its_url_without_secrets(serve: Serve) -> None:
    sent = b'[ {"id": "a"} ]\n'
    server = await serve(
        saying(200, sent.decode(), ETag='"7"', Age="12", Set_Cookie="secret=1", Server="nginx")
    )
    body = await response_of(server.url, {"x_cg_demo_api_key": "hidden", "page": "2"})
    page = body.page
    assert page.content == sent
    assert page.url is not None
    assert page.url.endswith("/coins?x_cg_demo_api_key=***&page=2")
    assert page.headers["etag"] == '"7"'
    assert page.headers["age"] == "12"
    assert not {"set-cookie", "server"} & page.headers.keys()


async def test_of_a_body_in_another_encoding_the_records_are_kept(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=codecs.BOM_UTF8 + b'[{"id": "a"}]')

    server = await serve(handler)
    body = await response_of(server.url, {})
    assert body.content == b'[{"id": "a"}]'
    assert body.page.content is None
