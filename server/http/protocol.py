"""uvicorn's HTTP protocol with time-outs and size limits.

A connection is in one phase at a time. The head of a request, its body, and an idle connection
have a time-out each; one timer of the connection checks all three. The response to an invalid
request comes in its turn, after those to earlier requests.
"""

import asyncio
import math
from typing import Final, cast

import httptools
import structlog
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.http.head import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    HeadError,
    check_host,
    check_no_body,
    check_size,
    error_response,
    is_host,
    names_websocket,
    too_large,
    without_upgrade,
)
from server.http.http10 import disable_chunks
from server.http.transport import CoalescingTransport

HEAD_SECONDS = 10.0
"""The time from the first byte, or the start of the connection, to the end of the head."""
BODY_SECONDS = 30.0
"""The time from there to the end of the body; the largest body needs 9 kB a second."""
LINGER_SECONDS = 2.0
"""How long a refused client may still send: an early close would discard the response."""
SLICE_BYTES = 16_384
"""The input of one parser call; the next slice waits for responses to pipelined requests."""
MAX_UNFED_BYTES = 262_144
"""With more input, reading pauses until the pipelined requests are answered."""

_IDLE: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_UPGRADE: Final = 3
_LINGER: Final = 4

log = structlog.stdlib.get_logger(__name__)


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Start the connection."""
        super().connection_made(cast("asyncio.Transport", CoalescingTransport(transport)))
        self._phase = _IDLE
        self._hosts: list[bytes] = []
        self._unfed = b""
        self._quiet_bytes = 0
        """Bytes parsed since the last complete head or part of a body."""
        self._is_timed = False
        """Whether the phase has its deadline."""
        self._error_response: bytes | None = None
        """The response to write after those to earlier requests."""
        # No time-out is shorter than this period, so the timer is never late.
        self._period = min(HEAD_SECONDS, BODY_SECONDS, LINGER_SECONDS, self.timeout_keep_alive)
        self._deadline = self.loop.time() + HEAD_SECONDS
        self._timer = self.loop.call_later(self._period, self._check_deadline)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._timer.cancel()
        self._unfed = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse input in slices."""
        if self._error_response is not None or self._phase == _LINGER:
            return
        if len(data) <= SLICE_BYTES and not self._unfed:
            self._feed(data)
        else:
            self._unfed += data
        if self._unfed:
            self._feed_rest()
            if len(self._unfed) > MAX_UNFED_BYTES:
                self.flow.pause_reading()

    def _feed_rest(self) -> None:
        """Parse the remaining input while no request is pipelined."""
        while self._unfed and not self.pipeline and self.parser is not None:
            data, self._unfed = self._unfed[:SLICE_BYTES], self._unfed[SLICE_BYTES:]
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(
                cause
                if isinstance(cause, HeadError)
                else HeadError(400, f"This is not HTTP/1.1: {error}")
            )
        else:
            if self._phase != _IDLE:
                self._count(len(data))

    def _count(self, length: int) -> None:
        """Limit incomplete input in time and size."""
        if not self._is_timed:
            self._is_timed = True
            self._quiet_bytes = 0
            self._deadline = self.loop.time() + (
                HEAD_SECONDS if self._phase == _HEAD else BODY_SECONDS
            )
            return
        self._quiet_bytes += length
        if self._quiet_bytes > MAX_HEAD_BYTES:
            self._refuse(too_large(self.url))

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """Start a request."""
        self._phase = _HEAD
        self._is_timed = False
        self._hosts = []
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a field, without the white space around its value (RFC 9110, 5.5)."""
        if self._phase != _HEAD:
            return  # a trailer must not be merged into the head (RFC 9110, 6.5.1)
        name = name.lower()
        value = value.rstrip(b" \t")
        if name == b"host":
            self._hosts.append(value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start the response to a request. Raises HeadError."""
        if self.parser.should_upgrade():
            self._phase = _UPGRADE
            return
        self._check_head()
        self._phase = _BODY
        self._is_timed = False
        super().on_headers_complete()
        if self.scope["http_version"] != "1.1":
            disable_chunks(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._quiet_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """End the body of a request."""
        if self._phase == _UPGRADE:
            return
        self._phase = _IDLE
        cycle = self.cycle
        if cycle.response_complete:
            self._deadline = self.loop.time() + self.timeout_keep_alive
            return
        self._deadline = math.inf
        cycle.more_body = False
        cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Continue with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._error_response is not None:
            self._close_after(self._error_response)
        elif self._phase == _IDLE:
            self._deadline = self.loop.time() + self.timeout_keep_alive
        if self._unfed and not self.pipeline:
            self.loop.call_soon(self._feed_rest)

    # Errors

    def _check_head(self) -> None:
        """Raise HeadError for an invalid head."""
        hosts = self._hosts
        if len(hosts) != 1 or not is_host(hosts[0]):
            check_host(hosts, self.parser.get_http_version())
        if self._quiet_bytes or len(self.headers) > MAX_FIELDS:
            check_size(self.url, self.headers)

    def _refuse(self, error: HeadError) -> None:
        """Answer the incoming request with an error; later requests are not read."""
        log.info(
            "a request was refused", status=error.status, reason=error.detail, client=self.client
        )
        self._unfed = b""
        response = error_response(error, self.server_state.default_headers)
        cycle = self.cycle
        if self._phase != _BODY:
            waits = self._is_answering
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            waits = True
        elif cycle.response_started:
            self.transport.close()
            return
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            waits = False
        if waits:
            self._deadline = math.inf
            self._error_response = response
        else:
            self._close_after(response)

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # there is none before the first request
        return cycle is not None and not cycle.response_complete

    def _close_after(self, response: bytes) -> None:
        """Send a last response; the client can read it before the connection ends."""
        self._error_response = None
        self._phase = _LINGER
        self._deadline = self.loop.time() + LINGER_SECONDS
        self.transport.write(response)
        self.transport.write_eof()
        self.flow.resume_reading()

    def _check_deadline(self) -> None:
        """Handle an expired deadline, and set the timer again."""
        now = self.loop.time()
        if self._deadline <= now:
            self._handle_expired(now)
        if not self.transport.is_closing():
            self._timer = self.loop.call_at(
                min(self._deadline, now + self._period), self._check_deadline
            )

    def _handle_expired(self, now: float) -> None:
        if self._phase not in {_HEAD, _BODY}:
            self.transport.close()
        elif self.flow.read_paused or self._unfed:
            self._deadline = now + BODY_SECONDS  # the input waits for the server
        else:
            what = "head" if self._phase == _HEAD else "body"
            self._refuse(
                HeadError(408, f"The request's {what} took too long to arrive; send it again")
            )

    def _upgrade(self, rest: bytes) -> None:
        """Pass the connection to a websocket, or parse the request again without its Upgrade."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        is_websocket = method == b"GET" and version == "1.1" and names_websocket(self.headers)
        # Frames of a websocket could not wait for earlier responses; an Upgrade may be ignored.
        if is_websocket and not self._is_answering:
            self._open_websocket(rest + self._unfed)
        elif method == b"CONNECT":
            self._refuse(HeadError(501, "CONNECT is not supported: this server is not a proxy"))
        else:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self._unfed = (
                without_upgrade(method, self.url, version, self.headers) + rest + self._unfed
            )

    def _open_websocket(self, rest: bytes) -> None:
        self._unfed = b""
        try:
            self._check_head()
            check_no_body(self.headers)
        except HeadError as error:
            self._refuse(error)
            return
        self._timer.cancel()
        self.scope["method"] = "GET"
        if isinstance(self.transport, CoalescingTransport):
            self.transport = self.transport.plain
        self.handle_websocket_upgrade()
        if rest:
            cast("asyncio.Protocol", self.transport.get_protocol()).data_received(rest)
