"""Text that is safe to show: without terminal control characters or a URL's user and password."""

import re
import unicodedata

_USER_INFO = re.compile(r"(?<=://)[^\s/?#]*@")
_BIDI_CLASSES = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})


class _Escapes(dict[int, str]):
    """For str.translate: JSON escapes of control and of bidirectional characters."""

    def __init__(self, allowed: str = "") -> None:
        super().__init__({ord(char): char for char in allowed})

    def __missing__(self, code: int) -> str:
        char = chr(code)
        is_control = (
            unicodedata.category(char) in _CONTROL_CATEGORIES
            or unicodedata.bidirectional(char) in _BIDI_CLASSES
        )
        return f"\\u{code:04x}" if is_control else char


_ONE_LINE = _Escapes()
_LINES = _Escapes("\n\t")


def printable(text: str) -> str:
    """Return text as one printable line, with control characters escaped as in JSON."""
    return text if text.isprintable() else text.translate(_ONE_LINE)


def printable_lines(text: str) -> str:
    """Return text of several lines, such as a traceback, without terminal control characters."""
    return text if text.isprintable() else text.translate(_LINES)


def without_user_info(text: str) -> str:
    """Return text with `***@` in place of the user and password of every URL in it."""
    return _USER_INFO.sub("***@", text) if "@" in text else text


def sanitize(text: str) -> str:
    """Return a message that is safe to show, log or store: one printable line without user info."""
    return printable(without_user_info(text))
