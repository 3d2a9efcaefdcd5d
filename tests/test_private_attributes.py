"""What the product uses of other packages beyond their documentation.

An upgrade that takes one of these away fails here, and nowhere else.
"""

import ast
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest
from graphql.execution import Executor
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.graphql.schema import schema
from tests.structure import ROOT

# The subclasses of foreign classes, and what each takes over from its parent.
HTTP = frozenset(
    [
        "client",
        "cycle",
        "expect_100_continue",
        "flow",
        "handle_websocket_upgrade",
        "headers",
        "loop",
        "parser",
        "pipeline",
        "scope",
        "server_state",
        "timeout_keep_alive",
        "transport",
        "url",
        "_start_asgi_task",
    ]
)
WEBSOCKET = frozenset(
    [
        "close_sent",
        "conn",
        "default_headers",
        "disconnected",
        "handle_events",
        "handle_parser_exception",
        "handshake_complete",
        "handshake_initiated",
        "loop",
        "queue",
        "read_paused",
        "scope",
        "transport",
        "writable",
    ]
)
CYCLE = frozenset(
    [
        "body",
        "chunked_encoding",
        "disconnected",
        "expected_content_length",
        "message_event",
        "more_body",
        "response_complete",
        "response_started",
        "send",
    ]
)
SUBCLASSES: list[tuple[str, str, type, frozenset[str]]] = [
    ("server/http/protocol.py", "HttpProtocol", HttpToolsProtocol, HTTP),
    ("server/live/wire.py", "WebSocketProtocol", WebSocketsSansIOProtocol, WEBSOCKET),
]


def source_of(thing: type) -> str:
    """Return the text of the module that defines a class; `inspect.getsource` parses it first."""
    return Path(inspect.getfile(thing)).read_text(encoding="utf-8")


@pytest.mark.parametrize(("path", "name", "parent", "used"), SUBCLASSES)
def test_a_parent_still_has_what_its_subclass_uses(
    path: str, name: str, parent: type, used: frozenset[str]
) -> None:
    source = source_of(parent)
    missing = {
        attribute
        for attribute in used
        if not hasattr(parent, attribute) and not re.search(rf"self\.{attribute}\b[^=]*= ", source)
    }
    assert missing == set(), f"{name} in {path} uses what {parent.__name__} no longer has"


@pytest.mark.parametrize(("path", "name", "parent", "used"), SUBCLASSES)
def test_the_list_names_all_that_a_subclass_uses(
    path: str, name: str, parent: type, used: frozenset[str]
) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    (own,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    attributes = {
        node.attr
        for node in ast.walk(own)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    defined = vars(getattr(import_module(path.removesuffix(".py").replace("/", ".")), name))
    assigned = {
        node.attr
        for node in ast.walk(own)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    inherited = {name for name in attributes if name in dir(parent) or name not in assigned}
    assert inherited - set(defined) <= used


def test_a_cycle_still_has_what_is_set_on_it() -> None:
    source = source_of(RequestResponseCycle)
    missing = {name for name in CYCLE if not re.search(rf"self\.{name}\b|def {name}\b", source)}
    assert missing == set()


PRIVATE: dict[str, Callable[[], bool]] = {
    "connection._transport": lambda: "_transport" in asyncpg.Connection.__slots__,
    "schema._schema": lambda: hasattr(schema, "_schema"),
    "executor._relevant_sub_fields": lambda: "_relevant_sub_fields" in source_of(Executor),
    "from uvicorn._types": lambda: hasattr(import_module("uvicorn._types"), "ASGISendEvent"),
}


@pytest.mark.parametrize("use", PRIVATE)
def test_a_private_attribute_is_still_there(use: str) -> None:
    assert PRIVATE[use]()


def test_every_private_attribute_is_named_above() -> None:
    uses = set()
    for package in ("common", "db", "ingestor", "server", "kasparro"):
        for path in (ROOT / package).rglob("*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                if "SLF001" in line:
                    uses |= set(re.findall(r"(\w+\._[a-z]\w*)", line.partition("#")[0]))
                uses |= set(re.findall(r"^(from \w+\.?\w*\._\w+) import", line))
    assert uses - {"self._schema"} <= set(PRIVATE)
    assert {use for use in PRIVATE if use in uses} == set(PRIVATE)
