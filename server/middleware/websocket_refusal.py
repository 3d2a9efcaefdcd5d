"""The answer to a websocket's handshake that is refused: a status and a sentence."""

from starlette.types import Receive, Send


async def refuse_websocket(receive: Receive, send: Send, status: int, detail: str) -> None:
    """Answer the handshake with `status` and `detail` as plain text (ASGI's extension websocket.http.response)."""
    await receive()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{detail}\n".encode()})
