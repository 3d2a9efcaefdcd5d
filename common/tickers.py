"""Tickers: one rule for the symbols of sources and for the tickers of requests."""

import unicodedata


def _is_invisible(character: str) -> bool:
    # Cf contains the zero-width space and joiners and the byte order mark.
    return character.isspace() or unicodedata.category(character) in ("Cf", "Cc")


def strip_edges(text: str) -> str:
    """Return the text stripped of white space, control and zero-width characters."""
    text = text.strip()
    if text.isascii() and text.isprintable():
        return text
    start, end = 0, len(text)
    while start < end and _is_invisible(text[start]):
        start += 1
    while end > start and _is_invisible(text[end - 1]):
        end -= 1
    return text[start:end]


def to_ticker(symbol: str) -> str:
    """Return the ticker of a symbol: NFKC-normalised, stripped, in upper case; it may be empty."""
    # İ is the one capital that PostgreSQL lower-cases to another capital's letter: i. Normalise
    # again, because upper-casing may decompose a letter (ΐ): a ticker's ticker is itself.
    ticker = strip_edges(unicodedata.normalize("NFKC", symbol)).upper().replace("\u0130", "I")
    return unicodedata.normalize("NFKC", ticker)
