"""Hooks for schemathesis: values of the scalars, and a check of each error."""

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from server.graphql.execution.errors import Code

_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str)
_INSTANTS = st.datetimes().map(lambda at: f"{at.isoformat()}Z")
OURS = {Code.BAD_USER_INPUT, Code.GRAPHQL_VALIDATION_FAILED, Code.QUERY_TOO_COMPLEX}

schemathesis.graphql.scalar("Decimal", (_DECIMALS | st.text()).map(nodes.String))
schemathesis.graphql.scalar("DateTime", (_INSTANTS | st.text()).map(nodes.String))


@schemathesis.check
def every_error_is_the_request_s_and_says_which_part(
    _: schemathesis.CheckContext, response: schemathesis.Response, __: schemathesis.Case[Any]
) -> None:
    """Check each error: it names its argument, or has a location in the document."""
    assert response.status_code == 200
    for error in response.json().get("errors", ()):
        extensions = error["extensions"]
        assert extensions["code"] in OURS, error
        if extensions["code"] == Code.BAD_USER_INPUT:
            assert "argument" in extensions or error["locations"], error
