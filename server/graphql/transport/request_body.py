"""The body of a GraphQL request."""

from typing import Any

import msgspec


class RequestBody(msgspec.Struct, rename="camel"):
    """A GraphQL request, of a body or a query string."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None
    doc_id: str | None = msgspec.field(default=None, name="doc_id")

    @property
    def named_document(self) -> str | None:
        """The id of a document, by the parameter of GraphQL over HTTP or of Relay."""
        return self.document_id if self.document_id is not None else self.doc_id

    @property
    def names_document(self) -> bool:
        """Whether the request has the id of a document."""
        return self.named_document is not None or "persistedQuery" in (self.extensions or {})
