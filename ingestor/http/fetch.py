"""One body over HTTP: bounded in time and size, retried while that makes sense, and never asked for too often."""

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import aiohttp
import msgspec
import structlog
from aiolimiter import AsyncLimiter
from yarl import URL

from common.backoff import Backoff, BackoffPolicy
from common.settings import Settings
from ingestor.clock import utc_now
from ingestor.http.circuit_breaker import Circuit
from ingestor.http.egress import Egress
from ingestor.http.error_body import MAX_ERROR_BODY_BYTES, ErrorAnswer, error_in, read_error
from ingestor.http.provider import Provider
from ingestor.http.retry import retry_after_seconds
from ingestor.sources.errors import (
    SourceMalformedError,
    SourceMissingError,
    SourceRefusedError,
    SourceUnavailableError,
)
from ingestor.sources.json_bytes import is_cut, is_json, to_utf_8

__all__ = ["Fetch", "FetchLimits", "OnCall", "Provider", "ResponseBody", "Validators", "patience"]

RETRIED = frozenset({408, 425, 429})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 3
CHUNK_BYTES = 65_536
MAX_SHOWN = 80
HTTPS_PORT = 443

_log = structlog.stdlib.get_logger(__name__)


OnCall = Callable[[], Awaitable[None]]


class FetchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a fetch.

    Times are seconds; `total_seconds` is for one attempt, `patience_seconds` for all of them.
    """

    total_seconds: float = 60.0
    connect_seconds: float = 10.0
    patience_seconds: float = 300.0
    attempts: int = 5
    first_backoff_seconds: float = 0.5
    longest_backoff_seconds: float = 30.0
    longest_retry_after_seconds: float = 120.0
    max_body_bytes: int = 64 * 1024 * 1024
    circuit_threshold: int = 5
    circuit_open_seconds: float = 60.0

    def backoff_policy(self) -> BackoffPolicy:
        """Return the delays between attempts."""
        return BackoffPolicy(
            first_seconds=self.first_backoff_seconds, longest_seconds=self.longest_backoff_seconds
        )


class Validators(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a provider calls one version of a body (RFC 9110, section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the request headers that ask for any other version only."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


class ResponseBody(msgspec.Struct, frozen=True):
    """A body as it arrived; `content` is None where it is still the version that the validators named."""

    content: bytes | None
    fetched_at: datetime.datetime
    validators: Validators


class _PassingError(Exception):
    """An attempt failed as the next one may not; `retry_after` is the wait in seconds that was asked for."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def patience(settings: Settings) -> float:
    """Return for how many seconds one body is worth trying: a run has other pages to read before its deadline."""
    return min(FetchLimits().patience_seconds, settings.run_timeout_seconds)


class Fetch:
    """The one way to a provider: a session, a token bucket and a circuit breaker, kept as long as its source."""

    def __init__(
        self, provider: Provider, limits: FetchLimits | None = None, egress: Egress | None = None
    ) -> None:
        self.provider = provider
        self._egress = egress or Egress()
        self._limits = limits or FetchLimits()
        self._circuit = Circuit(
            threshold=self._limits.circuit_threshold, open_seconds=self._limits.circuit_open_seconds
        )
        self._bucket = AsyncLimiter(provider.calls, provider.per_seconds)
        self._session: aiohttp.ClientSession | None = None
        self.on_call: OnCall | None = None
        """Awaited before each request is sent, every attempt and redirect of them; what it raises is raised."""

    async def get(
        self, path: str, query: Mapping[str, str], validators: Validators | None = None
    ) -> ResponseBody:
        """Return the body at `path` below the provider's URL.

        Raises SourceUnavailableError when it is down or has had enough of us, SourceRefusedError
        when it says no, SourceMalformedError when it answers with something else than JSON of a
        bearable size.
        """
        url = URL(f"{self.provider.url}/{path}").with_query(query)
        give_up_at = time.monotonic() + self._limits.patience_seconds
        backoff = Backoff(self._limits.backoff_policy())
        while True:
            self._check_circuit()
            try:
                body = await self._attempt(url, validators or Validators())
            except _PassingError as failure:
                wait_seconds = self._wait_after(failure, backoff, give_up_at - time.monotonic())
                await _log.awarning(
                    "fetch.retry",
                    provider=self.provider.name,
                    reason=str(failure),
                    wait_seconds=round(wait_seconds, 3),
                )
                await asyncio.sleep(wait_seconds)
            except (SourceRefusedError, SourceMalformedError):
                self._circuit.succeeded()  # whatever it says, it answers
                raise
            else:
                self._circuit.succeeded()
                return body

    async def close(self) -> None:
        """Close the connections; safe before the first body and twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _check_circuit(self) -> None:
        seconds = self._circuit.remaining_seconds()
        if seconds > 0:
            retry_at = utc_now() + datetime.timedelta(seconds=seconds)
            raise SourceUnavailableError(
                f"{self.provider.name} is left alone until {_clock(retry_at)}: {self._circuit.reason}",
                retry_at,
            )

    def _wait_after(self, failure: _PassingError, backoff: Backoff, left_seconds: float) -> float:
        """Return the seconds to wait before the next attempt.

        Raises SourceUnavailableError where there is none.
        """
        limits, name, reason = self._limits, self.provider.name, str(failure)
        asked = failure.retry_after
        wait_seconds = backoff.next_seconds()
        failures = backoff.failures
        if asked is not None:
            if asked > min(limits.longest_retry_after_seconds, left_seconds):
                self._circuit.open_for(asked, reason)
                retry_at = utc_now() + datetime.timedelta(seconds=asked)
                raise SourceUnavailableError(
                    f"{name} asks to wait until {_clock(retry_at)}: {reason}", retry_at
                )
            wait_seconds += asked
        self._circuit.failed(reason)
        if failures >= limits.attempts or wait_seconds > left_seconds:
            raise SourceUnavailableError(
                f"{name} could not be read: {reason} (attempt {failures} of {limits.attempts})"
            )
        return wait_seconds

    async def _attempt(self, url: URL, validators: Validators) -> ResponseBody:
        for _ in range(MAX_REDIRECTS + 1):
            await self._bucket.acquire()
            if self.on_call is not None:
                await self.on_call()
            answer = await self._ask(url, validators)
            if isinstance(answer, ResponseBody):
                return answer
            url = answer
        raise SourceMalformedError(
            f"{self.provider.name} redirected more than {MAX_REDIRECTS} times"
        )

    async def _ask(self, url: URL, validators: Validators) -> ResponseBody | URL:
        """Send one request; return the body, or where it is said to be."""
        if self._session is None:
            self._session = self._open_session()
        try:
            options = self._egress.request_options(url, validators.headers())
            async with self._session.get(url, allow_redirects=False, **options) as response:
                if response.status in REDIRECTS:
                    return self._redirected(response)
                return await self._read(response, validators)
        except TimeoutError:
            raise _PassingError("it did not answer in time") from None
        except aiohttp.ClientError as error:
            raise self._failure(url, error) from None

    def _failure(self, url: URL, error: aiohttp.ClientError) -> Exception:
        problem = self._egress.problem(url, error)
        if problem is None:
            problem = f"the connection failed ({type(error).__name__}: {error})"
            if isinstance(error, aiohttp.ClientConnectorCertificateError):
                problem += "; SSL_CERT_FILE names the certificates that are trusted"
        problem = self.provider.shown(problem)
        if (
            isinstance(error, aiohttp.ClientHttpProxyError)
            and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return SourceRefusedError(f"{self.provider.name} cannot be reached: {problem}")
        return _PassingError(problem)

    def _open_session(self) -> aiohttp.ClientSession:
        headers = {"Accept": "application/json", "User-Agent": "kasparro"}
        if self.provider.key:
            headers[self.provider.key_header] = self.provider.key
        timeout = aiohttp.ClientTimeout(
            total=self._limits.total_seconds, connect=self._limits.connect_seconds
        )
        return self._egress.open_session(
            headers=headers, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        )

    def _redirected(self, response: aiohttp.ClientResponse) -> URL:
        """Return where to go on.

        Raises SourceMalformedError for another host, which must never see our key.
        """
        try:
            target = response.url.join(URL(response.headers.get("Location", "")))
        except ValueError:
            target = URL()
        upgraded = (
            target.host == response.url.host
            and target.scheme == "https"
            and target.port == HTTPS_PORT
        )
        if not upgraded and (not target.absolute or target.origin() != response.url.origin()):
            host = target.host_port_subcomponent or "one without a name"
            raise SourceMalformedError(
                f"{self.provider.name} redirected to another host ({host}), which is not followed; "
                f"check {self.provider.url_variable}"
            )
        return target

    async def _read(self, response: aiohttp.ClientResponse, validators: Validators) -> ResponseBody:
        if response.status == HTTPStatus.NOT_MODIFIED and validators.headers():
            return ResponseBody(None, utc_now(), validators)
        if response.status == HTTPStatus.OK:
            content = await self._body(response)
            found = Validators(response.headers.get("ETag"), response.headers.get("Last-Modified"))
            return ResponseBody(content, utc_now(), found)
        raise self._refusal(response, read_error(await _start_of(response)))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the JSON of a response with status 200, in UTF-8, judged by its bytes."""
        content = await self._content(response)
        try:
            content = to_utf_8(content)
        except UnicodeDecodeError as error:
            raise _PassingError(f"the body is not {error.encoding}: {error.reason}") from None
        if is_cut(
            content
        ):  # by a proxy, or by a packed body that ended early: its status says nothing of that
            raise _PassingError(f"the body ended too early, after {len(content):,} bytes")
        answer = error_in(content)
        if answer is not None:
            raise self._refusal(response, answer)
        if not is_json(content):
            what = self.provider.shown(read_error(content[:MAX_ERROR_BODY_BYTES]).message)
            raise SourceMalformedError(
                f"{self.provider.name} sent {what[:MAX_SHOWN]!r} where JSON was wanted; "
                f"check {self.provider.url_variable}"
            )
        return content

    def _refusal(self, response: aiohttp.ClientResponse, answer: ErrorAnswer) -> Exception:
        """Return the error that an answer without data stands for."""
        status, provider = response.status, self.provider
        message = provider.shown(answer.message)
        reason = f"it answered {status}" + (f", {message}" if message else "")
        is_ok = status == HTTPStatus.OK
        is_passing = status in RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_passing or (is_ok and answer.is_rate_limit):
            return _PassingError(
                reason, retry_after_seconds(response.headers.get("Retry-After"), utc_now())
            )
        if refusal := self._egress.refusal(response.url, status):
            return SourceRefusedError(f"{provider.name} cannot be reached: {refusal}")
        if status == HTTPStatus.NOT_FOUND or (is_ok and answer.is_missing):
            return SourceMissingError(provider.refusal(status, answer))
        if is_ok or status >= HTTPStatus.BAD_REQUEST:
            return SourceRefusedError(provider.refusal(status, answer))
        return SourceMalformedError(f"{provider.name} cannot be understood: {reason}")

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the whole body, unpacked.

        Raises SourceMalformedError as soon as it is larger than allowed.
        """
        content = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            content += chunk
            if len(content) > self._limits.max_body_bytes:
                raise SourceMalformedError(
                    f"{self.provider.name} sent a body of more than {self._limits.max_body_bytes:,} bytes"
                )
        return bytes(content)


async def _start_of(response: aiohttp.ClientResponse) -> bytes:
    """Return the first bytes of an error's body; one that breaks off says what it says."""
    content = bytearray()
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            content += chunk
            if len(content) >= MAX_ERROR_BODY_BYTES:
                break
    except aiohttp.ClientError:
        pass
    return bytes(content[:MAX_ERROR_BODY_BYTES])


def _clock(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
