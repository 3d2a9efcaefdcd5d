"""`python -m bench.queries.plain`: our server and schema, executed by Strawberry alone."""

import sys
from unittest.mock import patch

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from server.__main__ import main
from server.compiler.fast_path import FastPath
from server.graphql.schema import schema


async def _pass_on(_path: FastPath, *_: object) -> None:
    """Leave every request to Strawberry."""


if __name__ == "__main__":
    with (
        patch.object(FastPath, "answer", _pass_on),
        patch.object(schema, "execution_context_class", StrawberryGraphQLCoreExecutionContext),
    ):
        sys.exit(main())
