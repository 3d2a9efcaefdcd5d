"""What a provider says in an error body, whatever shape it gave it, in one short line."""

import re

import msgspec

MAX_LENGTH = 300
_KEYS = ("error_message", "message", "error", "detail", "status", "title")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def provider_message(body: bytes) -> str:
    """Return the provider's own words, "" where there are none.

    CoinPaprika: {"error": text}. CoinGecko: {"error": text}, {"status": {"error_message": text}},
    {"error": {"status": {"error_message": text}}}, plain text such as "Throttled"; its CDN: an HTML page.
    """
    text = body.decode("utf-8", "replace")
    try:
        text = _find(msgspec.json.decode(body)) or ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if "<" in text:
            title = _TITLE.search(text)
            text = f"an HTML page, {title.group(1)}" if title else "an HTML page"
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MAX_LENGTH else f"{line[:MAX_LENGTH]}..."


def _find(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for key in _KEYS:
            if found := _find(value.get(key)):
                return found
    return None
