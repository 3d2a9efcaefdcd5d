"""The head of a request: its checks (RFC 9110, RFC 9112), and the response to an invalid one."""

import functools
import ipaddress
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus

import msgspec

MAX_HEAD_BYTES = 65_536
"""The limit of the request line and the fields: 414 if the target alone exceeds it, else 431."""
MAX_FIELDS = 100

Field = tuple[bytes, bytes]

_HOST = re.compile(
    rb"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|[A-Za-z0-9._-]{1,255})(?::(?P<port>[0-9]{1,5})?)?"
)
_MAX_PORT = 65_535


class HeadError(Exception):
    """The head of a request is invalid; the response has this status and this reason."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@functools.lru_cache(maxsize=256)
def is_host(value: bytes) -> bool:
    """Return whether a Host field is a valid host, with or without a port (RFC 9110, 7.2)."""
    found = _HOST.fullmatch(value)
    if found is None or int(found["port"] or 0) > _MAX_PORT:
        return False
    if found["v6"] is None:
        return True
    try:
        ipaddress.IPv6Address(found["v6"].decode())
    except ValueError:
        return False
    return True


def check_host(hosts: Sequence[bytes], version: str) -> None:
    """Check the Host fields of a request (RFC 9112, 3.2). Raises HeadError."""
    if not hosts and version == "1.1":
        raise HeadError(400, "A request of HTTP/1.1 must have a Host header; send one")
    if len(hosts) > 1:
        raise HeadError(400, "The request has several Host headers; send one")
    if hosts and not is_host(hosts[0]):
        raise HeadError(
            400, "The Host header names no host; send a name or an address, with or without a port"
        )


def check_size(url: bytes, fields: Sequence[Field]) -> None:
    """Check the size of a head. Raises HeadError."""
    if len(fields) > MAX_FIELDS:
        raise HeadError(431, f"The request has more than {MAX_FIELDS} header fields; send fewer")
    if len(url) + sum(len(name) + len(value) for name, value in fields) > MAX_HEAD_BYTES:
        raise too_large(url)


def too_large(url: bytes) -> HeadError:
    """Return the error for a head of more than MAX_HEAD_BYTES."""
    if len(url) > MAX_HEAD_BYTES // 2:
        return HeadError(
            414, "The request's target is too long; send a query in the body of a POST"
        )
    return HeadError(
        431,
        f"The request's head is larger than {MAX_HEAD_BYTES:,} bytes;"
        " send fewer or shorter headers",
    )


def names_websocket(fields: Iterable[Field]) -> bool:
    """Return whether the first protocol of the Upgrade field is a websocket (RFC 6455, 4.2.1)."""
    for name, value in fields:
        if name == b"upgrade":
            return value.partition(b",")[0].strip().lower() == b"websocket"
    return False


def check_no_body(fields: Iterable[Field]) -> None:
    """Check that no body follows the handshake of a websocket (RFC 9112, 6.3). Raises HeadError."""
    if any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in fields
    ):
        raise HeadError(400, "The handshake of a websocket has no body; send it without one")


def without_upgrade(method: bytes, url: bytes, version: str, fields: Iterable[Field]) -> bytes:
    """Return a head without its Upgrade field, which a server may ignore (RFC 9110, 7.8)."""
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode())]
    lines += [b"%s: %s" % field for field in fields if field[0] != b"upgrade"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def error_response(error: HeadError, default_fields: Iterable[Field]) -> bytes:
    """Return the whole response to a request that does not reach the application."""
    body = msgspec.json.encode({"detail": error.detail})
    status = HTTPStatus(error.status)
    fields = [
        *default_fields,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    lines = [
        b"HTTP/1.1 %d %s" % (status, status.phrase.encode()),
        *(b"%s: %s" % field for field in fields),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
