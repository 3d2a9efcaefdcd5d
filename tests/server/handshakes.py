"""Websocket handshakes of pages and programs, and the responses."""

import aiohttp

from tests.server.conftest import Service


async def handshake(service: Service, path: str = "/graphql", **headers: str) -> tuple[int, str]:
    """Return the status of a handshake, and the body of a refusal; headers have `_` for `-`."""
    all_headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "graphql-transport-ws",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with (
        aiohttp.ClientSession(service.url) as client,
        client.get(path, headers=all_headers) as response,
    ):
        assert response.headers["X-Request-ID"]
        return response.status, "" if response.status == 101 else await response.text()
