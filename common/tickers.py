"""Tickers: one rule for the symbols of sources and for the tickers of requests."""
# ruff: noqa: RUF001 - the table lists letters that look like others

import unicodedata
from typing import Final

ENCODED: Final = "XN--"
"""What the ticker of a symbol that imitates another one begins with, as domain names do."""

# Characters that Unicode's Default_Ignorable_Code_Point names beside those of category Cf, and
# U+2800 and U+1D159, which have a glyph without ink.
_FILLERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U0001d159"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
# In the order of Unicode's blocks, after confusables.txt: what looks like an ASCII capital, digit
# or hyphen in a usual font. Lower-case letters are upper-cased before.
_LOOK_ALIKES = frozenset(
    "\u01a6\u01c0"  # Latin: R, I
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ\u037f"  # Greek
    "АВЕЅІЈКМНОРСТУХЗ\u04ae\u04c0\u050c\u051a\u051c\u0474"  # Cyrillic
    "\u054d\u054f\u0555"  # Armenian
    "ᎠᎡᎢᎪᎫᎬᎳᎷᎻᎽᏀᏃᏆᏒᏔᏙᏚᏞᏟᏢᏦᏴ"  # Cherokee
    "ᴀʙᴄᴅᴇꜰɢʜᴊᴋʟᴍɴᴏᴘꜱᴛᴜᴠᴡʏᴢ\ua7ae"  # small capitals
    "ⲀⲂⲈⲎⲒⲔⲘⲚⲞⲢⲤⲦⲨⲬ"  # Coptic
    "ꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ"  # Lisu
    "\u2010\u2011\u2012\u2013\u2014\u2212"  # hyphens
)
# Punycode keeps ASCII as it is: a control character becomes its picture first.
_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}


def _is_invisible(character: str) -> bool:
    # Cf contains the zero-width space and joiners and the byte order mark.
    if character.isspace() or character in _FILLERS:
        return True
    return unicodedata.category(character) in ("Cf", "Cc")


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


def _imitates(ticker: str) -> bool:
    """Return whether a ticker hides characters, or is made of look-alikes of ASCII."""
    if any(character != " " and _is_invisible(character) for character in ticker):
        return True
    return all(character.isascii() or character in _LOOK_ALIKES for character in ticker)


def to_ticker(symbol: str) -> str:
    """Return the ticker of a symbol: NFKC-normalised, stripped, in upper case; it may be empty.

    A symbol that imitates another one (an invisible character inside, Cyrillic letters that look
    like BTC) is written in Punycode (RFC 3492) behind `XN--`.
    """
    # İ is the one capital that PostgreSQL lower-cases to another capital's letter: i. Normalise
    # again, because upper-casing may decompose a letter (ΐ): a ticker's ticker is itself.
    ticker = strip_edges(unicodedata.normalize("NFKC", symbol)).upper().replace("\u0130", "I")
    if ticker.isascii() and ticker.isprintable():
        return ticker
    ticker = strip_edges(unicodedata.normalize("NFKC", ticker))
    if ticker and not (ticker.isascii() and ticker.isprintable()) and _imitates(ticker):
        encoded = ticker.translate(_PICTURES).encode("punycode").decode("ascii")
        return ENCODED + encoded.upper()
    return ticker
