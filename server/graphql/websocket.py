"""Websockets: Strawberry's graphql-transport-ws, given only messages of the shape that the protocol names.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from typing import Any

import msgspec
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message

from server.graphql.context import Context

Payload = dict[str, Any] | None


class ConnectionInit(msgspec.Struct, tag="connection_init"):
    """The first message of a client."""

    payload: Payload = None


class Ping(msgspec.Struct, tag="ping"):
    """Asks for a pong."""

    payload: Payload = None


class Pong(msgspec.Struct, tag="pong"):
    """Answers a ping, or tells that the client is there."""

    payload: Payload = None


class SubscribePayload(msgspec.Struct, rename="camel"):
    """A GraphQL request."""

    query: str
    variables: Payload = None
    operation_name: str | None = None
    extensions: Payload = None


class Subscribe(msgspec.Struct, tag="subscribe"):
    """Starts an operation."""

    id: str
    payload: SubscribePayload


class Complete(msgspec.Struct, tag="complete"):
    """Ends an operation."""

    id: str


Known = ConnectionInit | Ping | Pong | Subscribe | Complete


class WebSocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """Closes a connection whose messages break the protocol (4400), where Strawberry's would end in an exception."""

    async def handle_message(self, message: Message) -> None:
        """Check a message's shape, then act on it."""
        try:
            msgspec.convert(message, Known)
        except msgspec.ValidationError as error:
            # A close reason has room for 123 bytes (RFC 6455, 5.5).
            await self.handle_invalid_message(f"Invalid message: {error}".encode()[:120].decode(errors="ignore"))
            return
        # The protocol lets a client leave a payload out, or send null.
        if message["type"] == "connection_init" and message.get("payload") is None:
            message["payload"] = {}
        await super().handle_message(message)
