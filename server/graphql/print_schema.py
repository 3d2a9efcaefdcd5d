"""`python -m server.graphql.print_schema` prints the schema, as `schema.graphql` holds it."""

import sys

from server.graphql.schema import schema

HEADER = (
    "# Printed by `python -m server.graphql.print_schema > schema.graphql`;"
    " a test holds it against the code.\n\n"
)


def schema_text() -> str:
    """Return the text of `schema.graphql`."""
    return f"{HEADER}{schema.as_str()}\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
