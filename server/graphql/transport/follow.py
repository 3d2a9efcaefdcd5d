"""From a subscription's text to what the hub needs: a feed, the operation's key, its encoder."""

from collections.abc import Iterator
from typing import Any

import msgspec
from graphql import (
    ExecutionResult,
    Executor,
    FieldNode,
    Node,
    VariableNode,
    create_source_event_stream,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.utils.await_maybe import await_maybe

from server.graphql.execution.context import Context
from server.graphql.execution.document import DocumentRefusedError
from server.graphql.execution.errors import MAX_ERRORS, Code, error_with_code, mask
from server.graphql.execution.plain_rows import PlainRows
from server.graphql.schema import schema
from server.graphql.transport.updates import CoinUpdates, RunUpdates
from server.graphql.types.subscription import decode_position
from server.limits import cost_of
from server.live.encoder import UpdateEncoder
from server.live.feed import RUNS, Feed, FeedPosition, FeedSubscription

_CORE = schema._schema  # noqa: SLF001  (Strawberry has no other way to graphql-core's)
_SUBSCRIPTION_FIELDS = frozenset(_CORE.subscription_type.fields if _CORE.subscription_type else ())
"""No other type has a field with one of these names."""


async def follow(
    text: str | None,
    variables: dict[str, Any] | None,
    operation_name: str | None,
    context: Context,
    *,
    last_event_id: str | None = None,
) -> FeedSubscription:
    """Return what a subscription follows. Raises DocumentRefusedError, also for invalid arguments.

    `last_event_id` is the cursor of the last message that the client received; it overrides
    `after`, which the client sends again as the first time.
    """
    operation = schema.prepare(
        text, variables, operation_name, introspection=context.state.settings.introspection
    )
    # It may outlive its client, so it must not hold the client's token.
    context = Context(context.state, context.request_id, outlives=True)
    executor = PlainRows.build(
        _CORE,
        operation.document,
        context_value=context,
        raw_variable_values=operation.variables,
        operation_name=operation.name,
        hide_suggestions=not context.state.settings.introspection,
        is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # it is a TypeGuard, but untyped
        max_coercion_errors=MAX_ERRORS,
    )
    if not isinstance(executor, Executor):
        raise DocumentRefusedError(mask(executor, context.request_id))
    feed = await await_maybe(create_source_event_stream(executor))
    if isinstance(feed, ExecutionResult):
        raise DocumentRefusedError(mask(feed.errors or (), context.request_id))
    assert isinstance(feed, Feed)  # noqa: S101  (each subscription's resolver returns one)
    if last_event_id:
        feed = msgspec.structs.replace(feed, start=_position(last_event_id))
    used = operation.variables.keys() & _variables(operation.document)
    operation_key = (
        text,
        operation.name,
        msgspec.json.encode({name: operation.variables[name] for name in used}, order="sorted"),
    )

    def make_encoder() -> UpdateEncoder:
        cost = cost_of(_CORE, operation.document, operation.node, operation.variables)
        return (RunUpdates if feed.topic is RUNS else CoinUpdates)(executor, context, cost)

    return FeedSubscription(feed, operation_key, make_encoder)


def _position(last_event_id: str) -> FeedPosition:
    position = decode_position(last_event_id)
    if position is None:
        problem = (
            "The header Last-Event-ID must be the id of an event of this subscription;"
            " leave it out to start from now"
        )
        raise DocumentRefusedError([error_with_code(problem, Code.BAD_USER_INPUT)])
    return position


def _variables(node: Node) -> Iterator[str]:
    """Yield the variables of a document, except in arguments of subscription fields.

    The feed holds the values of those arguments.
    """
    pending = [node]
    while pending:
        found = pending.pop()
        if isinstance(found, VariableNode):
            yield found.name.value
        for key in found.keys:
            if key == "variable_definitions" or (
                key == "arguments" and _is_subscription_field(found)
            ):
                continue
            value = getattr(found, key, None)
            if isinstance(value, Node):
                pending.append(value)
            elif isinstance(value, (list, tuple)):
                pending += [item for item in value if isinstance(item, Node)]


def _is_subscription_field(node: Node) -> bool:
    return isinstance(node, FieldNode) and node.name.value in _SUBSCRIPTION_FIELDS
