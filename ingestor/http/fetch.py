"""Fetch a JSON body over HTTP: with limits of time and size, retries and a rate limit."""

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import aiohttp
import structlog
from aiolimiter import AsyncLimiter
from yarl import URL

from common.backoff import Backoff
from common.settings import Settings
from ingestor.clock import utc_now
from ingestor.http.circuit_breaker import Circuit
from ingestor.http.egress import Egress, egress_of
from ingestor.http.error_body import MAX_ERROR_BODY_BYTES, ErrorAnswer, error_in, read_error
from ingestor.http.limits import FetchLimits, limits_of
from ingestor.http.provider import Provider
from ingestor.http.response import CHUNK_BYTES, ResponseBody, Validators, read_start, response_body
from ingestor.http.retry import retry_after_seconds
from ingestor.sources.errors import (
    SourceMalformedError,
    SourceMissingError,
    SourceRefusedError,
    SourceUnavailableError,
)
from ingestor.sources.json_bytes import is_json, is_truncated, to_utf_8

__all__ = [
    "Fetch",
    "FetchLimits",
    "OnCall",
    "Provider",
    "ResponseBody",
    "Validators",
    "open_fetch",
]

RETRIED = frozenset({408, 425, 429})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 3
MAX_SHOWN = 80
HTTPS_PORT = 443

_log = structlog.stdlib.get_logger(__name__)

OnCall = Callable[[], Awaitable[None]]


class _RetryableError(Exception):
    """The next attempt may succeed, after the `retry_after` seconds that the provider asks for."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Fetch:
    """The client of one provider: a session, a token bucket and a circuit breaker."""

    def __init__(
        self,
        provider: Provider,
        limits: FetchLimits | None = None,
        egress: Egress | None = None,
        bucket: AsyncLimiter | None = None,
    ) -> None:
        self.provider = provider
        self._egress = egress or Egress()
        self._limits = limits or FetchLimits()
        self._circuit = Circuit(
            threshold=self._limits.circuit_threshold, open_seconds=self._limits.circuit_open_seconds
        )
        self._bucket = bucket or AsyncLimiter(provider.calls, provider.per_seconds)
        self._session: aiohttp.ClientSession | None = None
        self.on_call: OnCall | None = None
        """Awaited before each request, retries and redirects included; its exceptions propagate."""

    async def get(
        self, path: str, query: Mapping[str, str], validators: Validators | None = None
    ) -> ResponseBody:
        """Return the body at `path` below the provider's URL.

        Raises SourceUnavailableError if the provider is down or limits the rate, SourceRefusedError
        if it refuses the request, SourceMalformedError if the body is not JSON or too large.
        """
        url = URL(f"{self.provider.url}/{path}").with_query(query)
        give_up_at = time.monotonic() + self._limits.patience_seconds
        backoff = Backoff(self._limits.backoff_policy())
        while True:
            self._check_circuit()
            try:
                body = await self._attempt(url, validators or Validators())
            except _RetryableError as failure:
                wait_seconds = self._wait_after(failure, backoff, give_up_at - time.monotonic())
                await _log.awarning(
                    "fetch.retry",
                    provider=self.provider.name,
                    reason=str(failure),
                    wait_seconds=round(wait_seconds, 3),
                )
                await asyncio.sleep(wait_seconds)
            except (SourceRefusedError, SourceMalformedError):
                self._circuit.succeeded()
                raise
            else:
                self._circuit.succeeded()
                return body

    def apart(self) -> "Fetch":
        """Return a fetch with the same rate limit, whose failures do not stop this one."""
        return Fetch(self.provider, self._limits, self._egress, self._bucket)

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
                f"{self.provider.name} is not called until {_clock(retry_at)}: "
                f"{self._circuit.reason}",
                retry_at,
            )

    def _wait_after(self, failure: _RetryableError, backoff: Backoff, left_seconds: float) -> float:
        """Return the seconds to wait before the next attempt.

        Raises SourceUnavailableError after the last attempt.
        """
        limits, name, reason = self._limits, self.provider.name, str(failure)
        retry_after = failure.retry_after
        wait_seconds = backoff.next_seconds()
        failures = backoff.failures
        if retry_after is not None:
            if retry_after > min(limits.longest_retry_after_seconds, left_seconds):
                self._circuit.open_for(retry_after, reason)
                retry_at = utc_now() + datetime.timedelta(seconds=retry_after)
                raise SourceUnavailableError(
                    f"{name} asks to wait until {_clock(retry_at)}: {reason}", retry_at
                )
            wait_seconds += retry_after
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
            answer = await self._send(url, validators)
            if isinstance(answer, ResponseBody):
                return answer
            url = answer
        raise SourceMalformedError(
            f"{self.provider.name} redirected more than {MAX_REDIRECTS} times"
        )

    async def _send(self, url: URL, validators: Validators) -> ResponseBody | URL:
        """Send one request; return the body, or the URL of a redirect."""
        if self._session is None:
            self._session = self._open_session()
        try:
            options = self._egress.request_options(url, validators.headers())
            async with self._session.get(url, allow_redirects=False, **options) as response:
                if response.status in REDIRECTS:
                    return self._redirected(response)
                return await self._read(response, validators)
        except TimeoutError:
            raise _RetryableError("it did not answer in time") from None
        except aiohttp.ClientError as error:
            raise self._failure(url, error) from None

    def _failure(self, url: URL, error: aiohttp.ClientError) -> Exception:
        problem = self._egress.problem(url, error)
        if problem is None:
            problem = f"the connection failed ({type(error).__name__}: {error})"
            if isinstance(error, aiohttp.ClientConnectorCertificateError):
                problem += "; SSL_CERT_FILE names the certificates that are trusted"
        problem = self.provider.without_key(problem)
        if (
            isinstance(error, aiohttp.ClientHttpProxyError)
            and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return SourceRefusedError(f"{self.provider.name} cannot be reached: {problem}")
        return _RetryableError(problem)

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
        """Return the URL of a redirect.

        Raises SourceMalformedError for another host, which must not receive the key.
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
            sent = await self._content(response)
            return response_body(response, sent, self._json(response, sent))
        raise self._refusal(response, read_error(await read_start(response)))

    def _json(self, response: aiohttp.ClientResponse, content: bytes) -> bytes:
        """Return the JSON of a response with status 200, in UTF-8, whatever its Content-Type."""
        try:
            content = to_utf_8(content)
        except UnicodeDecodeError as error:
            raise _RetryableError(f"the body is not {error.encoding}: {error.reason}") from None
        # A proxy, or a compressed body that ended early: the status does not show it.
        if is_truncated(content):
            raise _RetryableError(f"the body ended too early, after {len(content):,} bytes")
        answer = error_in(content)
        if answer is not None:
            raise self._refusal(response, answer)
        if not is_json(content):
            what = self.provider.without_key(read_error(content[:MAX_ERROR_BODY_BYTES]).message)
            raise SourceMalformedError(
                f"{self.provider.name} sent {what[:MAX_SHOWN]!r} instead of JSON; "
                f"check {self.provider.url_variable}"
            )
        return content

    def _refusal(self, response: aiohttp.ClientResponse, answer: ErrorAnswer) -> Exception:
        """Return the error of a response without data."""
        status, provider = response.status, self.provider
        message = provider.without_key(answer.message)
        reason = f"it answered {status}" + (f", {message}" if message else "")
        is_ok = status == HTTPStatus.OK
        is_retryable = status in RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_retryable or (is_ok and answer.is_rate_limit):
            return _RetryableError(
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
        """Return the whole body, decompressed. Raises SourceMalformedError beyond the limit."""
        content = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            content += chunk
            if len(content) > self._limits.max_body_bytes:
                raise SourceMalformedError(
                    f"{self.provider.name} sent a body of more than "
                    f"{self._limits.max_body_bytes:,} bytes"
                )
        return bytes(content)


def open_fetch(settings: Settings, provider: Provider) -> Fetch:
    """Return a fetch with the time limit, proxies and certificates of the settings."""
    return Fetch(provider, limits_of(settings), egress_of(settings))


def _clock(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
