"""The document of a request: sent as text, or named by its id.

The id is that of automatic persisted queries
(https://www.apollographql.com/docs/apollo-server/performance/apq), a `documentId`
(https://github.com/graphql/graphql-over-http, "Persisted Documents") or Relay's `doc_id`.
"""

from typing import NamedTuple

import msgspec

from server.documents import Documents, hash_of
from server.graphql.execution.document import DocumentRefusedError
from server.graphql.execution.errors import Code, error_with_code
from server.graphql.transport.request_body import RequestBody

_VERSION = 1
_SHA256 = "sha256:"


class _PersistedQuery(msgspec.Struct, rename="camel"):
    version: int
    sha256_hash: str


class _NamedDocument(NamedTuple):
    """With `is_hash` the id must be the SHA-256 of the text."""

    document_id: str
    is_hash: bool


def text_of(request: RequestBody, documents: Documents) -> str | None:
    """Return the text of a request's document, None if it has none. Raises DocumentRefusedError."""
    named = _named(request)
    if request.query:
        if not documents.may_run(request.query):
            raise _error(
                "This server runs trusted documents only, and this is not one of them",
                Code.UNTRUSTED_DOCUMENT,
            )
        if named is not None and named.is_hash and not documents.only_trusted:
            if hash_of(request.query) != named.document_id:
                raise _error(
                    'The hash in "extensions.persistedQuery" is not that of "query"',
                    Code.BAD_REQUEST,
                )
            documents.persist(named.document_id, request.query)
        return request.query
    if named is None:
        return None
    text = documents.get(named.document_id)
    if text is None:
        # Clients send the text after this message or this code.
        raise _error("PersistedQueryNotFound", Code.PERSISTED_QUERY_NOT_FOUND)
    return text


def _named(request: RequestBody) -> _NamedDocument | None:
    extension = (request.extensions or {}).get("persistedQuery")
    if extension is not None:
        try:
            persisted = msgspec.convert(extension, _PersistedQuery)
        except msgspec.ValidationError as error:
            raise _error(
                f'"extensions.persistedQuery" cannot be read: {error}', Code.BAD_REQUEST
            ) from None
        if persisted.version != _VERSION:
            raise _error(
                f'"extensions.persistedQuery" must have the version {_VERSION}', Code.BAD_REQUEST
            )
        return _NamedDocument(persisted.sha256_hash.lower(), is_hash=True)
    if request.named_document is None:
        return None
    return _NamedDocument(
        request.named_document.removeprefix(_SHA256),
        is_hash=request.named_document.startswith(_SHA256),
    )


def _error(message: str, code: Code) -> DocumentRefusedError:
    return DocumentRefusedError([error_with_code(message, code)])
