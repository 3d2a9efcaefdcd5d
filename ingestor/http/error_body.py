"""The error in a provider's body: its code, and its message in one short line."""

import re
from typing import Any

import msgspec

from ingestor.sources.json_bytes import to_utf_8

MAX_LENGTH = 300
MAX_ERROR_BODY_BYTES = 65_536
"""A longer body is data."""
_KEYS = (
    "error_message",
    "message",
    "error",
    "errors",
    "detail",
    "status",
    "title",
    "msg",
    "description",
    "reason",
)
_CODES = ("error_code", "code", "statusCode", "status_code", "status")
_ALONE = frozenset(
    {*_KEYS, *_CODES, "success", "timestamp", "type", "instance", "path", "request_id", "requestId"}
)
"""Keys of an error object; an object with data has others."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)

_RATE_LIMIT = re.compile(
    r"rate.?limit|too many (?:requests|calls)|throttl|slow down|quota"
    r"|\b(?:request|call|api|usage|credit|minute|hourly|daily|monthly)s?\W+(?:\w+\W+)?limit\w*\W+(?:\w+\W+){0,3}(?:exceed|reach)"
    r"|\bexceed\w*\W+(?:\w+\W+){0,4}?(?:limit|requests|calls|credits)\b",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"not found|does not exist|could not find|no such|unknown (?:coin|id)", re.IGNORECASE
)
_KEY = re.compile(
    r"\b(?:api.?)?key\b|\bunauthori[sz]ed\b|\bforbidden\b|authentication", re.IGNORECASE
)
TOO_MANY_REQUESTS, NOT_FOUND = 429, 404
_KEY_CODES = frozenset({401, 403})


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The provider's message, "" if there is none, and the code in the body."""

    message: str
    code: int | None = None

    @property
    def is_rate_limit(self) -> bool:
        """Return whether the provider refuses because there were too many requests."""
        return self.code == TOO_MANY_REQUESTS or (
            not self._says_status and bool(_RATE_LIMIT.search(self.message))
        )

    @property
    def is_missing(self) -> bool:
        """Return whether the provider does not know the coin or the path."""
        return self.code == NOT_FOUND or (
            not self._says_status and bool(_MISSING.search(self.message))
        )

    @property
    def _says_status(self) -> bool:
        """Return whether the code is an HTTP error status, which outweighs the message."""
        # RFC 9110, section 15.5.
        return self.code is not None and 400 <= self.code < 500  # noqa: PLR2004

    @property
    def is_about_key(self) -> bool:
        """Return whether the provider refuses the key, or wants one."""
        return self.code in _KEY_CODES or bool(_KEY.search(self.message))


def read_error(body: bytes) -> ErrorAnswer:
    """Return what the body of an error status says.

    CoinPaprika: {"error": text}. CoinGecko: {"error": text}, {"status": {"error_code": 429,
    "error_message": text}}, {"error": {"status": {"error_message": text}}}, plain text such as
    "Throttled"; its CDN: an HTML page.
    """
    try:
        value = msgspec.json.decode(to_utf_8(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace")
        if "<" in text:
            title = _TITLE.search(text)
            text = f"an HTML page, {title.group(1)}" if title else "an HTML page"
        return ErrorAnswer(_line(text))
    return ErrorAnswer(_line(_find(value) or ""), _find_code(value))


def error_in(body: bytes) -> ErrorAnswer | None:
    """Return the error that a body of status 200 holds instead of data, else None."""
    if len(body) > MAX_ERROR_BODY_BYTES or body[:16].lstrip().startswith(b"["):
        return None
    answer = read_error(body)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return (
            answer
            if answer.is_rate_limit and not answer.message.startswith("an HTML page")
            else None
        )
    if isinstance(value, dict):
        return answer if _is_error(value) else None
    return answer if answer.is_rate_limit else None


def _is_error(value: dict[str, Any]) -> bool:
    """Return whether an object is an error; `"error_code": 0` and `"error": null` are not."""
    status = value.get("status")
    says = [value.get(key) for key in ("error", "errors", "error_code", "error_message")]
    if isinstance(status, dict):
        says += [status.get("error_code"), status.get("error_message")]
    return (
        any(says)
        or value.get("success") is False
        or (_ALONE.issuperset(value) and bool(_find(value)))
    )


def _line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MAX_LENGTH else f"{line[:MAX_LENGTH]}..."


def _find(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        return _find(value[0])
    if isinstance(value, dict):
        for key in _KEYS:
            if found := _find(value.get(key)):
                return found
    return None


def _find_code(value: object) -> int | None:
    if not isinstance(value, dict):
        return None
    for key in _CODES:
        found = value.get(key)
        if isinstance(found, int) and not isinstance(found, bool) and found:
            return found
        if isinstance(found, str) and found.isascii() and found.isdecimal() and int(found[:9]):
            return int(found[:9])
    return next(
        (
            code
            for key in ("error", "status", "errors")
            if (code := _find_code(value.get(key))) is not None
        ),
        None,
    )
