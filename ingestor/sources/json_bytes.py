"""Whether bytes are JSON, judged by themselves: a Content-Type can be wrong, and a byte order mark may stand first."""

import json

import msgspec


def to_utf_8(content: bytes) -> bytes:
    """Return JSON in UTF-8 without a byte order mark, whatever Unicode encoding its bytes are in.

    RFC 4627, section 3, tells the encoding by the first four bytes. Raises UnicodeDecodeError.
    """
    encoding = json.detect_encoding(content)
    if encoding == "utf-8":
        return content
    if encoding == "utf-8-sig":
        return content[3:]
    return content.decode(encoding).encode("utf-8", "surrogatepass")


def is_json(content: bytes) -> bool:
    """Tell whether bytes can be JSON: by their beginning, those of a number, a text or a literal by all of them."""
    return content[:64].lstrip()[:1] in (b"[", b"{") or _problem(content) is None


def is_cut(content: bytes) -> bool:
    """Tell whether JSON ends before it is whole; a last byte that closes what the first one opens is believed."""
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
