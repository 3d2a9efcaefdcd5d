"""The fast path: from the body of a request to the body of the response, without resolvers."""

import datetime
from collections.abc import Callable

import msgspec
import structlog
from graphql import GraphQLError
from strawberry.types.graphql import OperationType

from db.connect.pool import TOO_SLOW, is_transient
from db.connect.readers import Readers
from server.compiler.errors import NotCompiledError, OutOfTimeError
from server.compiler.lru_cache import LRUCache
from server.compiler.plans import BoundPlan, CompiledOperation
from server.compiler.response_cache import ResponseCache, Version
from server.deadline import deadline_from_now
from server.documents import Documents
from server.graphql.execution.context import end_of_minute
from server.graphql.execution.document import MAX_CACHED_CHARACTERS, DocumentRefusedError
from server.graphql.execution.execute import ParsedOperation, Schema
from server.graphql.execution.persisted import text_of
from server.graphql.transport.request_body import RequestBody
from server.http.compression import Encoded, encode
from server.replica import ReplicaReaders

MAX_OPERATIONS = 512
MAX_REQUESTS = 1_024
MAX_CACHED_REQUEST_BYTES = 4_096
"""Larger bodies are not cached, so that the cache takes a few megabytes at most."""

REQUEST_LIFETIME = datetime.timedelta(minutes=10)
"""How long a cached request needs no new check of the limits."""

log = structlog.stdlib.get_logger(__name__)


class PlainBody(RequestBody, forbid_unknown_fields=True):
    """A request with the fields of `RequestBody` only."""


FALLBACK_ERRORS = (
    NotCompiledError,
    DocumentRefusedError,
    GraphQLError,
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
)
"""Errors of requests that are malformed, refused or not compiled; Strawberry answers these."""


class CachedRequest(msgspec.Struct, frozen=True):
    """A checked request, and the time until which it may run without another check.

    `identity` is that of its bound plan if the response may be cached, else None.
    """

    bound: BoundPlan
    identity: bytes | None
    until: datetime.datetime


def _no_version() -> None:
    """Return the version of data without change events: None."""


_DECODER = msgspec.json.Decoder(PlainBody)
_READING = frozenset({OperationType.QUERY})


class FastPath:
    """Answers queries by compiled plans.

    `answered` counts its responses, `fallbacks` the requests that Strawberry executed, and `failed`
    those of them with an unexpected error. Up to `response_cache_bytes` of `responses` are cached
    while `data_version` returns a version.
    """

    def __init__(
        self,
        schema: Schema,
        readers: Readers | ReplicaReaders,
        *,
        introspection: bool,
        documents: Documents | None = None,
        data_version: Callable[[], Version | None] = _no_version,
        response_cache_bytes: int = 0,
    ) -> None:
        self.answered = 0
        self.fallbacks = 0
        self.failed = 0
        self.responses = ResponseCache(response_cache_bytes)
        self._data_version = data_version
        self._schema = schema
        self._readers = readers
        self._introspection = introspection
        self._documents = documents or Documents()
        self._operations: LRUCache[tuple[str, str | None], CompiledOperation] = LRUCache(
            MAX_OPERATIONS
        )
        self._requests: LRUCache[bytes, CachedRequest] = LRUCache(MAX_REQUESTS)

    async def answer(
        self, body: bytes, coding: str | None = None, deadline: float | None = None
    ) -> Encoded | None:
        """Return the body of a response with status 200; None if Strawberry must execute it.

        The body has the content coding `coding`, unless it is small. After an error Strawberry
        executes the request too, and reports the error as the specification requires. Raises
        OutOfTimeError after the deadline, or if a statement took too long.
        """
        try:
            now = end_of_minute()
            request = self._requests.get(body)
            if request is None or request.until < now:
                request = self._check(body, now)
            deadline = deadline or deadline_from_now()
            if coding is None:
                response: Encoded = await self._respond(request, now, deadline), None
            else:
                response = await self._respond_encoded(request, now, coding, deadline)
        except TOO_SLOW as error:
            log.warning("the database failed a query", reason=str(error) or type(error).__name__)
            raise OutOfTimeError from error
        except Exception as error:  # noqa: BLE001  (see above)
            self._fall_back(error)
            return None
        self.answered += 1
        return response

    async def _respond(
        self, request: CachedRequest, now: datetime.datetime, deadline: float
    ) -> bytes:
        # Read it before the data: a response may be newer than its version, but not older.
        version = self._data_version()
        if version is None or request.identity is None:
            return await self._execute(request, now, deadline)
        key = request.identity, now
        response = self.responses.get(version, key)
        if response is None:
            response = await self._execute(request, now, deadline)
            self.responses.put(version, key, response)
        return response

    async def _respond_encoded(
        self, request: CachedRequest, now: datetime.datetime, coding: str, deadline: float
    ) -> Encoded:
        """Return the response in a content coding; it is cached in that coding, too."""
        version = self._data_version()
        if version is None or request.identity is None:
            return await encode(await self._execute(request, now, deadline), coding)
        key = request.identity, now, coding
        body = self.responses.get(version, key)
        if body is not None:
            return body, coding
        body, written = await encode(await self._respond(request, now, deadline), coding)
        if written is not None:
            self.responses.put(version, key, body)
        return body, written

    async def _execute(
        self, request: CachedRequest, now: datetime.datetime, deadline: float
    ) -> bytes:
        async with self._readers.lend(deadline) as connection:
            return await request.bound.run(connection, now)

    def _fall_back(self, error: Exception) -> None:
        self.fallbacks += 1
        if isinstance(error, FALLBACK_ERRORS) or is_transient(error):
            log.debug("a request is left to Strawberry", reason=repr(error))
            return
        # The client gets a correct response, but slowly: the log must show the cause.
        self.failed += 1
        log.warning("the fast path failed; the request is left to Strawberry", exc_info=error)

    def _check(self, body: bytes, now: datetime.datetime) -> CachedRequest:
        """Return the plan with the request's arguments. Raises FALLBACK_ERRORS."""
        request_body = _DECODER.decode(body)
        text = text_of(request_body, self._documents)
        if len(text or "") > MAX_CACHED_CHARACTERS:
            raise NotCompiledError  # it is not cached, so it should be parsed once only
        prepared = self._schema.prepare(
            text,
            request_body.variables,
            request_body.operation_name,
            _READING,
            introspection=self._introspection,
        )
        bound = self._compile(prepared).bind(prepared.variables)
        identity = bound.identity() if bound.cacheable else None
        request = CachedRequest(bound, identity, now + REQUEST_LIFETIME)
        if len(body) <= MAX_CACHED_REQUEST_BYTES and self._schema.fits_until(
            prepared, request.until
        ):
            self._requests.put(body, request)
        return request

    def _compile(self, prepared: ParsedOperation) -> CompiledOperation:
        key = prepared.text, prepared.name
        compiled = self._operations.get(key)
        if compiled is None:
            compiled = CompiledOperation(
                self._schema, prepared.text, prepared.document, prepared.node
            )
            self._operations.put(key, compiled)
        return compiled
