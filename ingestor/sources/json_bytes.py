"""Detect JSON by its bytes: a Content-Type can be wrong, and a byte order mark may come first."""

import json

import msgspec


def to_utf_8(content: bytes) -> bytes:
    """Return JSON in UTF-8 without a byte order mark, from any Unicode encoding.

    The first four bytes show the encoding (RFC 4627, section 3). Raises UnicodeDecodeError.
    """
    encoding = json.detect_encoding(content)
    if encoding == "utf-8":
        return content
    if encoding == "utf-8-sig":
        return content[3:]
    return content.decode(encoding).encode("utf-8", "surrogatepass")


def is_json(content: bytes) -> bool:
    """Return whether bytes can be JSON; of an array or object only the first byte is checked."""
    return content[:64].lstrip()[:1] in (b"[", b"{") or _problem(content) is None


def is_truncated(content: bytes) -> bool:
    """Return whether JSON ends too early; a last bracket that fits the first counts as its end."""
    body = content.strip()
    if (body[:1], body[-1:]) in ((b"[", b"]"), (b"{", b"}")):
        return False
    return "truncated" in (_problem(body) or "")


def _problem(content: bytes) -> str | None:
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        return str(error)
    return None
