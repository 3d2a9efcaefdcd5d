"""Tickers as they are stored: one rule for what a source writes and for what a client asks."""

import unicodedata


def _is_invisible(character: str) -> bool:
    # Cf holds the zero-width space and joiners and the byte order mark.
    return character.isspace() or unicodedata.category(character) in ("Cf", "Cc")


def strip_edges(text: str) -> str:
    """Return the text without white space, control and zero-width characters at its edges."""
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
    """Return the ticker that a symbol stands for: NFKC-normalised, its edges stripped, upper-cased; it may be empty."""
    # İ is the one capital whose small letter is another capital's in PostgreSQL: i. Normalised
    # again, because capitals can come in pieces (ΐ): a ticker's ticker is itself.
    ticker = strip_edges(unicodedata.normalize("NFKC", symbol)).upper().replace("\u0130", "I")
    return unicodedata.normalize("NFKC", ticker)
