"""The fast path: from a request's body to the response's, without a resolver."""

import datetime
from collections.abc import Callable

import msgspec
import structlog
from graphql import GraphQLError
from strawberry.types.graphql import OperationType

from db.connect.pool import TOO_SLOW, is_passing
from db.connect.readers import Readers
from server.compiler.errors import NotOursError, OutOfTimeError
from server.compiler.lru_cache import LRUCache
from server.compiler.plans import BoundPlan, CompiledOperation
from server.compiler.response_cache import ResponseCache, Version
from server.deadline import deadline_from_now
from server.documents import Documents
from server.graphql.execution.context import end_of_minute
from server.graphql.execution.execute import (
    KEPT_CHARACTERS,
    DocumentRefusedError,
    ParsedOperation,
    Schema,
)
from server.graphql.execution.persisted import text_of
from server.graphql.transport.request_body import RequestBody
from server.http.compression import Encoded, encode
from server.replica import ReplicaReaders

KEPT_OPERATIONS = 512
KEPT_REQUESTS = 1_024
KEPT_REQUEST_BYTES = 4_096
"""A larger body is read each time, so that the kept ones take a few megabytes at most."""

KEPT_FOR = datetime.timedelta(minutes=10)
"""For so long it is known that a request will be within the limits."""

log = structlog.stdlib.get_logger(__name__)


class PlainBody(RequestBody, forbid_unknown_fields=True):
    """A request with nothing in it that would have to be looked at closer."""


FORESEEN = (
    NotOursError,
    DocumentRefusedError,
    GraphQLError,
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
)
"""What it means when a request is none, or is refused, or asks for what is not compiled."""


class CachedRequest(msgspec.Struct, frozen=True):
    """A request that is known, and until when it may run without being looked at again.

    `identity` is its plan's, for one whose answer may be kept.
    """

    bound: BoundPlan
    identity: bytes | None
    until: datetime.datetime


def _nobody_tells() -> None:
    """Return the version of data whose changes nobody would tell of."""


_DECODER = msgspec.json.Decoder(PlainBody)
_READING = frozenset({OperationType.QUERY})


class FastPath:
    """Answers queries that were compiled.

    `answered` and `passed_on` count what it did and what it left to the ordinary way, `failed` what
    of that should not have been. Up to `answers_bytes` of `answers` are kept while `data_version`
    can tell what they are answers of.
    """

    def __init__(
        self,
        schema: Schema,
        readers: Readers | ReplicaReaders,
        *,
        introspection: bool,
        documents: Documents | None = None,
        data_version: Callable[[], Version | None] = _nobody_tells,
        answers_bytes: int = 0,
    ) -> None:
        self.answered = 0
        self.passed_on = 0
        self.failed = 0
        self.answers = ResponseCache(answers_bytes)
        self._data_version = data_version
        self._schema = schema
        self._readers = readers
        self._introspection = introspection
        self._documents = documents or Documents()
        self._operations: LRUCache[tuple[str, str | None], CompiledOperation] = LRUCache(
            KEPT_OPERATIONS
        )
        self._requests: LRUCache[bytes, CachedRequest] = LRUCache(KEPT_REQUESTS)

    async def answer(
        self, body: bytes, coding: str | None = None, deadline: float | None = None
    ) -> Encoded | None:
        """Return the body of the response to a request with status 200; None where it goes the ordinary way.

        It is written in the content coding `coding`, unless it is small. Whatever goes wrong goes
        wrong again there, where it is told as the specification says. Raises OutOfTimeError where
        it was time that failed: by the deadline, or where one of the statements took too long.
        """
        try:
            now = end_of_minute()
            request = self._requests.get(body)
            if request is None or request.until < now:
                request = self._look_at(body, now)
            deadline = deadline or deadline_from_now()
            if coding is None:
                answer: Encoded = await self._answer(request, now, deadline), None
            else:
                answer = await self._encoded(request, now, coding, deadline)
        except TOO_SLOW as error:
            log.warning(
                "a query failed for the database", reason=str(error) or type(error).__name__
            )
            raise OutOfTimeError from error
        except Exception as error:  # noqa: BLE001  (see above)
            self._pass_on(error)
            return None
        self.answered += 1
        return answer

    async def _answer(
        self, request: CachedRequest, now: datetime.datetime, deadline: float
    ) -> bytes:
        # Read before the data are: an answer may be newer than what it is kept as, never older.
        version = self._data_version()
        if version is None or request.identity is None:
            return await self._work_out(request, now, deadline)
        key = request.identity, now
        answer = self.answers.get(version, key)
        if answer is None:
            answer = await self._work_out(request, now, deadline)
            self.answers.keep(version, key, answer)
        return answer

    async def _encoded(
        self, request: CachedRequest, now: datetime.datetime, coding: str, deadline: float
    ) -> Encoded:
        """Return the answer in a content coding; it is kept so, too, and compressed once."""
        version = self._data_version()
        if version is None or request.identity is None:
            return await encode(await self._work_out(request, now, deadline), coding)
        key = request.identity, now, coding
        body = self.answers.get(version, key)
        if body is not None:
            return body, coding
        body, written = await encode(await self._answer(request, now, deadline), coding)
        if written is not None:
            self.answers.keep(version, key, body)
        return body, written

    async def _work_out(
        self, request: CachedRequest, now: datetime.datetime, deadline: float
    ) -> bytes:
        async with self._readers.lend(deadline) as connection:
            return await request.bound.run(connection, now)

    def _pass_on(self, error: Exception) -> None:
        self.passed_on += 1
        if isinstance(error, FORESEEN) or is_passing(error):
            log.debug("a request goes the ordinary way", reason=repr(error))
            return
        # Slow, but right: only we can find out why.
        self.failed += 1
        log.warning("the fast path failed, and the request goes the ordinary way", exc_info=error)

    def _look_at(self, body: bytes, now: datetime.datetime) -> CachedRequest:
        """Return the plan with the request's arguments; raises what makes it somebody else's."""
        request = _DECODER.decode(body)
        text = text_of(request, self._documents)
        if len(text or "") > KEPT_CHARACTERS:
            raise NotOursError  # parsing it once is enough
        prepared = self._schema.prepare(
            text,
            request.variables,
            request.operation_name,
            _READING,
            introspection=self._introspection,
        )
        bound = self._compiled(prepared).bind(prepared.variables)
        known = CachedRequest(bound, bound.identity() if bound.told else None, now + KEPT_FOR)
        if len(body) <= KEPT_REQUEST_BYTES and self._schema.fits_until(prepared, known.until):
            self._requests.keep(body, known)
        return known

    def _compiled(self, prepared: ParsedOperation) -> CompiledOperation:
        key = prepared.text, prepared.name
        compiled = self._operations.get(key)
        if compiled is None:
            compiled = CompiledOperation(
                self._schema, prepared.text, prepared.document, prepared.node
            )
            self._operations.keep(key, compiled)
        return compiled
