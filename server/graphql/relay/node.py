"""The interface Node: objects with a global id."""

from typing import Any, ClassVar

import strawberry


@strawberry.interface(description="An object with an id, by which it can be fetched again.")
class Node:
    """Its values are rows of `db`, of the `row_type` of each object type."""

    row_type: ClassVar[type]

    id: strawberry.ID = strawberry.field(
        description='Readable and stable, such as "merged_btc" or "run_42".'
    )

    @classmethod
    def is_type_of(cls, value: object, _info: Any) -> bool:  # noqa: ANN401  (graphql-core calls it)
        """Return whether a value is of this type."""
        return isinstance(value, cls.row_type)
