"""A GraphQL request as it is sent."""

from typing import Any

import msgspec


class RequestBody(msgspec.Struct, rename="camel"):
    """A GraphQL request, in a body or in a query string."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
