"""Websocket handshakes as a page or a program makes them, and what the server answers."""

import aiohttp

from tests.server.conftest import Service


async def handshake(service: Service, path: str = "/graphql", **headers: str) -> tuple[int, str]:
    """Return the status of the answer to a handshake, and its body where it was refused; names with `_` for `-`."""
    sent = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "graphql-transport-ws",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with (
        aiohttp.ClientSession(service.url) as client,
        client.get(path, headers=sent) as response,
    ):
        assert response.headers["X-Request-ID"]
        return response.status, "" if response.status == 101 else await response.text()
