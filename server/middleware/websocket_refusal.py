"""The response to a refused handshake of a websocket."""

from starlette.types import Receive, Send


async def refuse_websocket(receive: Receive, send: Send, status: int, detail: str) -> None:
    """Answer with a status and plain text (ASGI extension websocket.http.response)."""
    await receive()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{detail}\n".encode()})
