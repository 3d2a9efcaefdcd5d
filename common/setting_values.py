"""Parsers of settings: each takes a text and raises ValueError that says what is expected."""

from collections.abc import Callable
from pathlib import Path


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `low` to `high`, which raises ValueError."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return number

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser of one of `words` in either case, which raises ValueError."""

    def parse(text: str) -> str:
        for word in words:
            if text.casefold() == word.casefold():
                return word
        raise ValueError(f"one of {', '.join(words)}")

    return parse


def secret(text: str) -> str:
    """Return a key or token, which must fit into an HTTP header. Raises ValueError."""
    if not text.isprintable() or not text.isascii():
        raise ValueError("one line of printable ASCII characters")
    return text


def boolean(text: str) -> bool:
    """Return the value of true, false, 1 or 0. Raises ValueError."""
    return one_of("true", "false", "1", "0")(text) in ("true", "1")


def list_of(parse: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of values separated by commas, without duplicates."""

    def parse_list(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(parse(item.strip()) for item in text.split(",") if item.strip()))

    return parse_list


def path(text: str) -> Path:
    """Return an absolute path; `~` is the home folder."""
    return Path(text).expanduser().absolute()
