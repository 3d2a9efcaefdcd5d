"""Fetch under failure: what is tried again, when, and when it is not."""

import asyncio
import datetime
import email.utils
import gzip
import socket
import time
from collections.abc import Awaitable, Callable, Iterable

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpServer

from ingestor.http.circuit_breaker import Circuit
from ingestor.http.fetch import Fetch, FetchLimits, Provider, ResponseBody
from ingestor.http.retry import retry_after_seconds
from ingestor.sources.errors import SourceRefusedError, SourceUnavailableError

QUICK = FetchLimits(
    first_backoff_seconds=0.001, longest_backoff_seconds=0.002, total_seconds=5, attempts=3
)
NOW = datetime.datetime(2026, 2, 3, 20, 0, 0, tzinfo=datetime.UTC)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def failing(status: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": "not now"}, status=status, headers=sent)

    return answer


async def fine(_: web.Request) -> web.StreamResponse:
    return web.json_response([])


class Script:
    """A server that answers with one answer after the other; with the last one for ever."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.answers = list(answers)
        self.asked_at: list[float] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked_at.append(time.monotonic())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


@pytest.fixture
def script(aiohttp_server: AiohttpServer) -> Callable[..., Awaitable[Script]]:
    async def start(*answers: Answer) -> Script:
        made = Script(answers)
        app = web.Application()
        app.router.add_get("/tickers", made.handle)
        made.url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
        return made

    return start


Start = Callable[..., Awaitable[Script]]


def fetch_from(
    url: str, limits: FetchLimits = QUICK, *, calls: int = 1000, per_seconds: float = 1
) -> Fetch:
    return Fetch(
        Provider(
            name="CoinPaprika",
            url=url,
            url_variable="COINPAPRIKA_URL",
            key=None,
            key_header="Authorization",
            key_variable="API_SOURCE_KEY",
            calls=calls,
            per_seconds=per_seconds,
        ),
        limits,
    )


async def get(url: str, limits: FetchLimits = QUICK) -> ResponseBody:
    fetch = fetch_from(url, limits)
    try:
        return await fetch.get("tickers", {})
    finally:
        await fetch.close()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 524])
async def test_what_may_pass_is_tried_again(script: Start, status: int) -> None:
    server = await script(failing(status), failing(status), fine)
    assert (await get(server.url)).content == b"[]"
    assert len(server.asked_at) == 3


def cut(body: bytes, *, packed: bool) -> Answer:
    """A proxy's answer: 200, and a length that is right for half a body."""

    async def answer(_: web.Request) -> web.StreamResponse:
        sent = gzip.compress(body) if packed else body
        headers = {
            "Content-Type": "application/json",
            **({"Content-Encoding": "gzip"} if packed else {}),
        }
        return web.Response(body=sent[: len(sent) // 2], headers=headers)

    return answer


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "body", [b'[{"id": "a", "tags": [1, 2]}, {"id": "b"}]', b'{"prices": [[1, 2], [3, 4]]}', b"  "]
)
async def test_a_body_that_ends_too_early_is_tried_again_though_its_status_is_200(
    script: Start, body: bytes, *, packed: bool
) -> None:
    server = await script(cut(body, packed=packed), fine)
    assert (await get(server.url)).content == b"[]"
    assert len(server.asked_at) == 2


async def test_a_body_that_always_ends_too_early_says_so(script: Start) -> None:
    server = await script(cut(b'[{"id": "a"}, {"id": "b"}]', packed=False))
    with pytest.raises(
        SourceUnavailableError, match=r"the body ended too early, after 13 bytes \(attempt 3 of 3\)"
    ):
        await get(server.url)


async def test_after_the_last_attempt_the_reason_is_told(script: Start) -> None:
    server = await script(failing(503))
    with pytest.raises(SourceUnavailableError) as caught:
        await get(server.url)
    assert (
        str(caught.value)
        == "CoinPaprika could not be read: it answered 503, not now (attempt 3 of 3)"
    )
    assert len(server.asked_at) == 3


async def test_a_cut_body_is_fetched_again(script: Start) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": "1000"}
        )
        await response.prepare(request)
        await response.write(b'[{"id":')
        assert request.transport is not None
        request.transport.close()
        return response

    server = await script(cut, fine)
    assert (await get(server.url)).content == b"[]"


async def test_a_body_that_is_no_gzip_is_fetched_again(script: Start) -> None:
    async def broken(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return web.Response(body=b"this is no gzip", headers=headers)

    server = await script(broken, fine)
    assert (await get(server.url)).content == b"[]"


async def test_a_closed_port_is_unavailable_and_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(
            SourceUnavailableError, match=r"the connection failed .*\(attempt 3 of 3\)"
        ):
            await get(url)


async def test_a_silent_provider_is_given_up_in_time(script: Start) -> None:
    released = asyncio.Event()

    async def silent(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.json_response([])

    server = await script(silent)
    limits = FetchLimits(first_backoff_seconds=0.001, total_seconds=0.05, attempts=2)
    with pytest.raises(
        SourceUnavailableError, match=r"it did not answer in time \(attempt 2 of 2\)"
    ):
        await get(server.url, limits)
    released.set()
    assert len(server.asked_at) == 2


async def test_retry_after_in_seconds_is_obeyed(script: Start) -> None:
    server = await script(failing(429, Retry_After="1"), fine)
    await get(server.url)
    first, second = server.asked_at
    assert 1 <= second - first < 5


async def test_retry_after_as_a_date_is_obeyed(script: Start) -> None:
    async def later(_: web.Request) -> web.StreamResponse:
        date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
        text = email.utils.format_datetime(date, usegmt=True)
        return web.json_response({}, status=503, headers={"Retry-After": text})

    server = await script(later, fine)
    await get(server.url)
    first, second = server.asked_at
    assert 0.9 < second - first < 5  # a date has whole seconds


async def test_a_retry_after_beyond_patience_ends_the_fetch_and_says_when(script: Start) -> None:
    server = await script(failing(429, Retry_After="3600"))
    fetch = fetch_from(server.url)
    before = datetime.datetime.now(datetime.UTC)
    with pytest.raises(SourceUnavailableError) as caught:
        await fetch.get("tickers", {})
    assert caught.value.retry_at is not None
    assert 3599 < (caught.value.retry_at - before).total_seconds() < 3660
    assert f"CoinPaprika asks to wait until {caught.value.retry_at:%Y-%m-%d %H:%M:%S} UTC" in str(
        caught.value
    )
    # and it is not called until then: refused calls cost calls, too
    with pytest.raises(
        SourceUnavailableError, match=r"is not called until .*: it answered 429, not now"
    ):
        await fetch.get("tickers", {})
    await fetch.close()
    assert len(server.asked_at) == 1


async def test_a_wait_beyond_what_is_left_of_the_patience_is_not_begun(script: Start) -> None:
    server = await script(failing(500))
    limits = FetchLimits(first_backoff_seconds=30, patience_seconds=10)
    with pytest.raises(SourceUnavailableError, match=r"\(attempt 1 of 5\)"):
        await get(server.url, limits)


async def test_the_circuit_opens_and_lets_one_probe_through_later(script: Start) -> None:
    server = await script(failing(500))
    limits = FetchLimits(
        first_backoff_seconds=0.001,
        longest_backoff_seconds=0.002,
        attempts=2,
        circuit_threshold=3,
        circuit_open_seconds=0.2,
    )
    fetch = fetch_from(server.url, limits)
    for reason in ("attempt 2 of 2", "is not called until", "is not called until"):
        with pytest.raises(SourceUnavailableError, match=reason):
            await fetch.get("tickers", {})
    assert len(server.asked_at) == 3
    async with asyncio.timeout(5):
        while len(server.asked_at) == 3:
            with pytest.raises(SourceUnavailableError):
                await fetch.get("tickers", {})
            await asyncio.sleep(0)
    assert len(server.asked_at) == 4  # the probe failed: open again at once
    server.answers = [fine]
    async with asyncio.timeout(5):
        while True:
            try:
                body = await fetch.get("tickers", {})
                break
            except SourceUnavailableError:
                await asyncio.sleep(0.01)
    await fetch.close()
    assert body.content == b"[]"


async def test_a_refusal_is_no_failure_of_the_line(script: Start) -> None:
    server = await script(failing(404))
    fetch = fetch_from(server.url, FetchLimits(circuit_threshold=1))
    for _ in range(3):
        with pytest.raises(SourceRefusedError):
            await fetch.get("tickers", {})
    await fetch.close()
    assert len(server.asked_at) == 3


async def test_no_more_calls_than_the_plan_allows(script: Start) -> None:
    server = await script(fine)
    fetch = fetch_from(server.url, calls=2, per_seconds=0.4)
    for _ in range(4):
        await fetch.get("tickers", {})
    await fetch.close()
    assert server.asked_at[-1] - server.asked_at[0] > 0.35


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("119", 119),
        (" 0 ", 0),
        ("Tue, 03 Feb 2026 20:00:30 GMT", 30),
        ("Tue, 03 Feb 2026 19:00:00 GMT", 0),
        ("Tue, 03 Feb 2026 20:00:30 -0000", 30),
        ("99999999999999999999", 86_400),
        ("Tue, 03 Feb 2099 20:00:30 GMT", 86_400),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_a_circuit_counts_failures_in_a_row_only() -> None:
    now = 100.0
    circuit = Circuit(threshold=2, open_seconds=60, clock=lambda: now)
    circuit.failed("one")
    circuit.succeeded()
    circuit.failed("one")
    assert circuit.remaining_seconds() == 0
    circuit.failed("two")
    assert (circuit.remaining_seconds(), circuit.reason) == (60, "two")
    now += 60
    assert circuit.remaining_seconds() == 0
    circuit.failed("three")
    assert circuit.remaining_seconds() == 60


def test_a_shorter_wait_does_not_shorten_a_longer_one() -> None:
    circuit = Circuit(threshold=1, open_seconds=60, clock=lambda: 0.0)
    circuit.open_for(3600, "asked for")
    circuit.failed("again")
    assert circuit.remaining_seconds() == 3600
