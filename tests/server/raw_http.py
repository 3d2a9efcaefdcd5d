"""HTTP by hand: bytes that no client library sends, and the responses."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.server.conftest import Service

TIMEOUT_SECONDS = 30


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes


async def connect(service: Service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(service.url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def exchange(service: Service, *parts: bytes) -> list[Answer]:
    """Send the parts, one packet each; return all responses until the server closes."""
    reader, writer = await connect(service)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return answers(await reader.read())
    finally:
        writer.close()


def split(data: bytes, size: int) -> Iterable[bytes]:
    """Return data in parts of `size` bytes."""
    return (data[start : start + size] for start in range(0, len(data), size))


def answers(received: bytes) -> list[Answer]:
    """Return the responses in the bytes of a connection."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (field.partition(": ") for field in fields)
        }
        version, status = line.split(" ")[:2]
        assert version == "HTTP/1.1", line
        if headers.get("transfer-encoding") == "chunked":
            body, received = _joined(received)
        elif "content-length" in headers:
            length = int(headers["content-length"])
            assert len(received) >= length
            body, received = received[:length], received[length:]
        else:
            body, received = received, b""
        found.append(Answer(int(status), headers, body))
    return found


def _joined(received: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, received = received.partition(b"\r\n")
        length = int(size, 16)
        body, received = body + received[:length], received[length + 2 :]
        if not length:
            return body, received
