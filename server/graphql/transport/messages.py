"""The messages of graphql-transport-ws that a client sends.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from typing import Annotated, Any

import msgspec

from server.graphql.transport.request_body import RequestBody

Payload = dict[str, Any] | None
Id = Annotated[str, msgspec.Meta(min_length=1)]


class ConnectionInit(msgspec.Struct, tag="connection_init"):
    """The first message of a client."""

    payload: Payload = None


class Ping(msgspec.Struct, tag="ping"):
    """Asks for a pong."""

    payload: Payload = None


class Pong(msgspec.Struct, tag="pong"):
    """Answers a ping, or is a heartbeat."""

    payload: Payload = None


class Subscribe(msgspec.Struct, tag="subscribe"):
    """Starts an operation."""

    id: Id
    payload: RequestBody

    def __post_init__(self) -> None:
        if self.payload.query is None and not self.payload.names_document:
            raise ValueError("Object missing required field `query` - at `$.payload`")


class Complete(msgspec.Struct, tag="complete"):
    """Ends an operation."""

    id: Id


ClientMessage = ConnectionInit | Ping | Pong | Subscribe | Complete
DECODER: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
"""Raises msgspec.DecodeError for any other message, RecursionError for too deep nesting."""
