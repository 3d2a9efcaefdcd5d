"""Header fields with weighted alternatives (RFC 9110, 12.4.2 and 12.5): Accept, Accept-Encoding.

Invalid elements are ignored.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

MAX_CACHED_VALUES = 256
MAX_CACHED_CHARACTERS = 1_024
"""Longer values are not cached, so that the cache takes a few megabytes at most."""

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# A quoted string ends at its closing quote, an unclosed one at the end: parsing is linear.
_QUOTED = r'"(?:[^"\\]|\\.)*+(?:"|\\?$)'
_ELEMENTS = re.compile(rf'(?:{_QUOTED}|[^",]++)++', re.DOTALL)
_PARTS = re.compile(rf'(?:{_QUOTED}|[^";]++)++', re.DOTALL)
_NAME = re.compile(rf"{_WORD}(?:/{_WORD})?")
_PARAMETER = re.compile(rf'({_WORD})\s*=\s*({_WORD}|"(?:[^"\\]|\\.)*+")', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# Java's HttpURLConnection writes ".2".
_WEIGHT = re.compile(r"(?:0?\.\d+|[01](?:\.\d*)?)", re.ASCII)
# Equivalent names (RFC 9110, section 8.4.1).
_CODING_ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}

ANY = 0
ANY_SUBTYPE = 1
NAMED = 2


class Alternative(NamedTuple):
    """One element of a list; names are in lower case, the weight is from 0 to 1."""

    name: str
    parameters: Mapping[str, str]
    weight: float


class Match(NamedTuple):
    """The weight of the most specific element that matches; 0 means not acceptable.

    `specificity` is ANY, ANY_SUBTYPE, NAMED, or more where parameters match too.
    """

    weight: float
    specificity: int


NO_MATCH = Match(0.0, -1)


def field_value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return all lines of a field, joined (RFC 9110, section 5.3); None if there are none."""
    lines = [value for key, value in headers if key == name]
    return b", ".join(lines) if lines else None


def parse(value: bytes) -> tuple[Alternative, ...]:
    """Return the alternatives of a list, in its order."""
    return _cached_parse(value) if len(value) <= MAX_CACHED_CHARACTERS else _parse(value)


def match_media_type(
    accept: bytes | None, media_type: str, parameters: Mapping[str, str] | None = None
) -> Match:
    """Return how an Accept header matches a media type, such as "application/json" (12.5.1).

    A range with parameters matches only equal `parameters`. An empty or missing header accepts
    everything.
    """
    alternatives = parse(accept or b"")
    if not alternatives:
        return Match(1.0, ANY)
    found = NO_MATCH
    for range_ in alternatives:
        specificity = _specificity(range_, media_type, parameters or {})
        if specificity >= ANY:
            found = max(found, Match(range_.weight, specificity), key=_most_specific)
    return found


def match_coding(accept_encoding: bytes | None, coding: str) -> Match:
    """Return how an Accept-Encoding header matches a coding, such as "gzip" (12.5.3)."""
    found = NO_MATCH
    for alternative in parse(accept_encoding or b""):
        name = _CODING_ALIASES.get(alternative.name, alternative.name)
        if name in (coding, "*"):
            match = Match(alternative.weight, NAMED if name == coding else ANY)
            found = max(found, match, key=_most_specific)
    return found


def best_coding(accept_encoding: bytes | None, offered: Sequence[str]) -> str | None:
    """Return the offered coding with the largest weight, or the first of equal ones.

    Returns None for identity.
    """
    identity = match_coding(accept_encoding, "identity")
    best, weight = None, identity.weight if identity.specificity == NAMED else 0.0
    for coding in offered:
        offer = match_coding(accept_encoding, coding).weight
        if offer > weight or (offer == weight > 0 and best is None):
            best, weight = coding, offer
    return best


def _most_specific(match: Match) -> tuple[int, float]:
    return match.specificity, match.weight


def _specificity(range_: Alternative, media_type: str, parameters: Mapping[str, str]) -> int:
    if range_.name == media_type:
        if any(parameters.get(name) != value.lower() for name, value in range_.parameters.items()):
            return -1
        return NAMED + len(range_.parameters)
    if range_.name in ("*/*", "*"):
        return ANY
    return ANY_SUBTYPE if range_.name == media_type.partition("/")[0] + "/*" else -1


def _parse(value: bytes) -> tuple[Alternative, ...]:
    elements = _ELEMENTS.findall(value.decode("latin-1"))
    return tuple(found for element in elements if (found := _alternative(element)) is not None)


_cached_parse: Callable[[bytes], tuple[Alternative, ...]] = functools.lru_cache(MAX_CACHED_VALUES)(
    _parse
)


def _alternative(element: str) -> Alternative | None:
    name, *parts = [part.strip() for part in _PARTS.findall(element)] or [""]
    if not _NAME.fullmatch(name):
        return None
    parameters = {}
    for part in filter(None, parts):
        found = _PARAMETER.fullmatch(part)
        if found is None:
            return None
        parameters[found[1].lower()] = _unquote(found[2])
    weight = parameters.pop("q", "1")
    if not _WEIGHT.fullmatch(weight):
        return None
    return Alternative(name.lower(), parameters, min(1.0, float(weight)))


def _unquote(value: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') else value
