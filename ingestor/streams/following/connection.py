"""One websocket of a venue: connect, subscribe, keep alive, read, and notice that it is silent."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from aiolimiter import AsyncLimiter
from yarl import URL

from ingestor.http.egress import Egress
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.records import GapReason
from ingestor.streams.venue import Missed, Reading, Venue

OnReading = Callable[["StreamConnection", bytes, Reading], Awaitable[None]]
"""Takes the connection, the frame and what it says."""
Websocket = aiohttp.ClientWebSocketResponse[Any]
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}


class Ending(msgspec.Struct, frozen=True):
    """Why a connection ended; `is_refusal` if a person has to act."""

    reason: GapReason
    message: str
    is_refusal: bool = False


class ConnectionEndedError(Exception):
    """A connection ended; `ending` says why."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


class Dialer(msgspec.Struct, frozen=True):
    """Opens the websockets of one venue, within its budget of connections."""

    url: URL
    session: aiohttp.ClientSession
    egress: Egress
    connections: AsyncLimiter
    policy: StreamPolicy

    async def dial(self) -> Websocket:
        """Open a websocket. Raises ConnectionEndedError."""
        await self.connections.acquire()
        policy = self.policy
        options = self.egress.request_options(self._http_url, {"User-Agent": "kasparro"})
        try:
            async with asyncio.timeout(policy.connect_seconds):
                websocket: Websocket = await self.session.ws_connect(
                    self.url,
                    autoping=False,
                    decode_text=False,
                    max_msg_size=policy.max_frame_bytes,
                    timeout=aiohttp.ClientWSTimeout(ws_close=policy.close_seconds),
                    **options,
                )
                return websocket
        except TimeoutError:
            raise ConnectionEndedError(
                Ending("reconnect", f"no answer in {policy.connect_seconds:g} s")
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionEndedError(self._failure(error)) from None

    @property
    def _http_url(self) -> URL:
        """The URL whose scheme selects the proxy."""
        return self.url.with_scheme(_HTTP_SCHEMES[self.url.scheme])

    def _failure(self, error: Exception) -> Ending:
        if isinstance(error, aiohttp.WSServerHandshakeError):
            status = error.status
            # Not 429 or 5xx: the address, the network or the country is refused.
            is_refusal = (
                status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS
            )
            return Ending("reconnect", f"it answered {status}", is_refusal)
        problem = self.egress.problem(self._http_url, error)
        return Ending("reconnect", problem or f"{type(error).__name__}: {error}")


class StreamConnection:
    """One connection for some symbols; `run` reads it until it ends."""

    def __init__(
        self, venue: Venue, symbols: Sequence[str], dialer: Dialer, on_reading: OnReading
    ) -> None:
        self.live = asyncio.Event()
        """Set when every subscription is confirmed."""
        self.replace = asyncio.Event()
        """Set when the venue asks for another connection, or will cut this one."""
        self.changed = asyncio.Event()
        """Set with either of them."""
        self.received: set[str] = set()
        """The symbols of which a tick arrived."""
        self._venue, self._dialer, self._on_reading = venue, dialer, on_reading
        self._policy, self._limits = dialer.policy, venue.limits
        self._messages = venue.subscribe(symbols)
        self._reader = venue.reader()
        self._budget = AsyncLimiter(self._limits.messages.calls, self._limits.messages.per_seconds)
        self._awaited = sum(message.answers for message in self._messages)
        self._malformed = 0
        self._opened_at = self._frame_at = self._tick_at = self._sent_at = 0.0

    async def run(self, clock: Callable[[], int]) -> Ending:
        """Connect and read until the connection ends; return why. `clock` is in nanoseconds."""
        ending = Ending("reconnect", "it ended")
        try:
            websocket = await self._dialer.dial()
        except ConnectionEndedError as error:
            return error.ending
        self._opened_at = self._frame_at = self._tick_at = self._sent_at = _now()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._subscribe(websocket))
                group.create_task(self._watch(websocket))
                group.create_task(self._read(websocket, clock))
        except* ConnectionEndedError as ended:
            first = ended.exceptions[0]
            if isinstance(first, ConnectionEndedError):
                ending = first.ending
        finally:
            await websocket.close()
        return ending

    async def _subscribe(self, websocket: Websocket) -> None:
        for message in self._messages:
            await self._send(websocket, message.text)

    async def _send(self, websocket: Websocket, text: str) -> None:
        await self._budget.acquire()
        try:
            await websocket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionEndedError(Ending("reconnect", f"a send failed: {error}")) from None
        self._sent_at = _now()

    async def _watch(self, websocket: Websocket) -> None:
        """Send what keeps the connection alive; end it when it is silent, replace it when old."""
        keep_alive, longest = self._venue.keep_alive, self._limits.longest_seconds
        while True:
            await asyncio.sleep(self._policy.check_seconds)
            now = _now()
            self._check_silence(now)
            if (
                longest is not None
                and now - self._opened_at >= longest * self._policy.planned_share
            ):
                self._set(self.replace)
            if now - self._sent_at >= keep_alive.every_seconds:
                if keep_alive.text is None:
                    await self._ping(websocket)
                else:
                    await self._send(websocket, keep_alive.text)

    async def _ping(self, websocket: Websocket) -> None:
        await self._budget.acquire()
        try:
            await websocket.ping()
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionEndedError(Ending("reconnect", f"a ping failed: {error}")) from None
        self._sent_at = _now()

    def _check_silence(self, now: float) -> None:
        limits = self._limits
        if now - self._frame_at > limits.silence_seconds:
            raise ConnectionEndedError(
                Ending("silence", f"no frame in {limits.silence_seconds:g} s")
            )
        if now - self._tick_at > limits.tick_silence_seconds:
            raise ConnectionEndedError(
                Ending("silence", f"no price in {limits.tick_silence_seconds:g} s")
            )
        patience = self._policy.subscribe_seconds
        if not self.live.is_set() and now - self._opened_at > patience:
            if not self.received:
                raise ConnectionEndedError(
                    Ending("reconnect", f"subscriptions were not confirmed in {patience:g} s")
                )
            # Prices arrive: a confirmation may have another form than ours.
            self._set(self.live)

    def _set(self, flag: asyncio.Event) -> None:
        flag.set()
        self.changed.set()

    async def _read(self, websocket: Websocket, clock: Callable[[], int]) -> None:
        while True:
            message = await websocket.receive()
            self._frame_at = _now()
            if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                await self._take(message.data, clock())
            elif message.type == aiohttp.WSMsgType.PING:
                await self._pong(websocket, message.data)
            elif message.type != aiohttp.WSMsgType.PONG:
                said = message.data if message.type == aiohttp.WSMsgType.ERROR else message.extra
                raise ConnectionEndedError(
                    Ending("reconnect", _closing(websocket, message.type, said))
                )

    async def _pong(self, websocket: Websocket, payload: bytes) -> None:
        try:
            await websocket.pong(payload)
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionEndedError(Ending("reconnect", f"a pong failed: {error}")) from None

    async def _take(self, raw: bytes, received_ns: int) -> None:
        try:
            reading = self._reader.read(raw, received_ns)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._malformed += 1
            reading = Reading(missed=(Missed(is_malformed=True),))
            if self._malformed >= self._policy.malformed_in_a_row:
                await self._on_reading(self, raw, reading)
                raise ConnectionEndedError(
                    Ending("malformed", f"{self._malformed} frames cannot be read: {error}")
                ) from None
        else:
            self._malformed = 0
        self._awaited -= reading.answers
        if self._awaited <= 0 and not self.live.is_set():
            self._set(self.live)
        if reading.wants_reconnect:
            self._set(self.replace)
        if reading.ticks:
            self._tick_at = self._frame_at
        await self._on_reading(self, raw, reading)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _closing(websocket: Websocket, kind: aiohttp.WSMsgType, said: object) -> str:
    """Return why a websocket ended; `said` is its error, or the text of the close frame."""
    if kind == aiohttp.WSMsgType.ERROR:
        return f"the connection failed: {said}"
    text = said if isinstance(said, str) else ""
    return " ".join(f"the venue closed the connection ({websocket.close_code}) {text}".split())
