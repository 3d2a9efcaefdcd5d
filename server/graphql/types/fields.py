"""Fields with resolvers, told to the type checker as what they are: rows at run time, types in the schema."""

from collections.abc import Callable
from typing import Any

import strawberry


def resolved(resolver: Callable[..., object], description: str) -> Any:  # noqa: ANN401  (see the module)
    """Return a field whose value the resolver gives: a row of `db`, where the annotation names the schema's type."""
    return strawberry.field(resolver=resolver, description=description)


def streamed(resolver: Callable[..., object], description: str) -> Any:  # noqa: ANN401  (see the module)
    """Return a subscription's field."""
    return strawberry.subscription(resolver=resolver, description=description)
