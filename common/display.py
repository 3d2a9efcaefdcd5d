"""Text that may be shown: no control character that a terminal obeys, no user and password of a URL."""

import re
import unicodedata

_USER_INFO = re.compile(r"(?<=://)[^\s/?#]*@")
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_OBEYED = frozenset({"Cc", "Zl", "Zp"})


class _Escapes(dict[int, str]):
    """For str.translate: control characters, and those that turn the direction of text, as JSON escapes them."""

    def __init__(self, kept: str = "") -> None:
        super().__init__({ord(char): char for char in kept})

    def __missing__(self, code: int) -> str:
        char = chr(code)
        is_obeyed = (
            unicodedata.category(char) in _OBEYED or unicodedata.bidirectional(char) in _TURNING
        )
        return f"\\u{code:04x}" if is_obeyed else char


_ONE_LINE = _Escapes()
_LINES = _Escapes("\n\t")


def printable(text: str) -> str:
    """Return text as one line that a terminal only prints: control characters as JSON would escape them."""
    return text if text.isprintable() else text.translate(_ONE_LINE)


def printable_lines(text: str) -> str:
    """Return text of several lines, such as a traceback, that a terminal only prints."""
    return text if text.isprintable() else text.translate(_LINES)


def without_user_info(text: str) -> str:
    """Return text with `***@` in place of the user and password of every URL in it."""
    return _USER_INFO.sub("***@", text) if "@" in text else text


def displayed(text: str) -> str:
    """Return a message as it may be shown, logged or stored: one printable line without user info."""
    return printable(without_user_info(text))
