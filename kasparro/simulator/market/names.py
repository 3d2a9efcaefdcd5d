"""Names and ids of assets, and how two providers' names of one asset differ.

The proportions are those of the CSV files of 2023-01-10, of 2,857 tickers whose prices agree within
3 %: 2,396 names equal, 215 equal but for generic words, 116 with one name's words within the
other's, 31 with a common prefix, 99 with nothing in common.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from kasparro.simulator.market.chance import draw, number_of
from kasparro.simulator.market.tickers import REAL_WORD_MARK, TickerSymbol, own_word

_GENERIC: Final = ("Token", "Coin", "Network", "Protocol", "DAO", "Finance", "Chain")
_SECOND: Final = (
    "",
    "",
    "",
    "",
    "Swap",
    "Labs",
    "Games",
    "Verse",
    "Pay",
    "AI",
    "Cash",
    "Vault",
    "World",
    "Land",
)
_LONGER: Final = (
    "Lending Markets",
    "Game Studios",
    "Liquidity Layer",
    "Art Gallery",
    "Data Exchange",
)
_BRIDGES: Final = (
    "Wormhole",
    "Allbridge",
    "Axelar",
    "Stargate",
    "Hyperlane",
    "Base",
    "LayerZero",
    "Celer",
)
_CHAINS: Final = (
    "Base",
    "Solana",
    "Near Protocol",
    "Polygon PoS",
    "BNB Smart Chain",
    "Arbitrum One",
    "Linea",
    "Scroll",
)

_EQUAL, _BY_GENERIC, _BY_WORDS, _BY_PREFIX, _RENAMED = range(5)
_DIFFERENCES: Final = (2396, 2396 + 215, 2396 + 215 + 116, 2396 + 215 + 116 + 31)
_COMPARED: Final = 2857

_PREFIXED: Final = "ea"
_TURNED: Final = "ia"

_BASE: Final = 41
_DIFFERENCE: Final = 43
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_NOT_SLUG: Final = re.compile(r"[^a-z0-9]+")


def gecko_name(seed: int, number: int, ticker: TickerSymbol, *, alone: bool) -> str:
    """Return CoinGecko's name of an asset; a bridged copy has its original's, so names repeat."""
    chance = draw(seed, number, _BASE)
    if ticker.bridged:
        return f"{_pick(_BRIDGES, chance)} Bridged {ticker.symbol} ({_pick(_CHAINS, chance >> 8)})"
    return _base(seed, number) if alone else _one_of_two(seed, number, second=False)


def paprika_name(seed: int, number: int, *, alone: bool) -> str:
    """Return CoinPaprika's name of an asset."""
    return _base(seed, number) if alone else _one_of_two(seed, number, second=True)


def slug(text: str) -> str:
    """Return the text as in the providers' ids: lower-case letters, digits and hyphens."""
    return _NOT_SLUG.sub("-", text.lower()).strip("-") or "_"


def numbers_in(seed: int, external_id: str) -> Iterator[int | None]:
    """Yield the asset numbers that an id may contain, for every way in which names are made."""
    for part in external_id.split("-"):
        stem = part[:-2]
        yield (
            int(part)
            if _NUMBER.fullmatch(part)
            else number_of(seed, part.removesuffix(REAL_WORD_MARK))
        )
        if part.endswith((_PREFIXED, _TURNED)):
            yield number_of(seed, stem)
            yield number_of(seed, stem[::-1])


def _one_of_two(seed: int, number: int, *, second: bool) -> str:
    chance = draw(seed, number, _DIFFERENCE)
    difference = bisect_right(_DIFFERENCES, chance % _COMPARED)
    if difference == _EQUAL:
        return _base(seed, number)
    # Either provider may have the other name.
    if second == bool(chance >> 32 & 1):
        return _base(seed, number)
    root = own_word(seed, number).title()
    if difference == _BY_GENERIC:
        return f"{_base(seed, number)} {_pick(_GENERIC, chance >> 16)}"
    if difference == _BY_WORDS:
        return f"{_base(seed, number)} {_pick(_LONGER, chance >> 16)}"
    if difference == _BY_PREFIX:
        return root + _PREFIXED
    return root[::-1].title() + _TURNED


def _base(seed: int, number: int) -> str:
    return f"{own_word(seed, number).title()} {_pick(_SECOND, draw(seed, number, _BASE))}".strip()


def _pick(choices: tuple[str, ...], chance: int) -> str:
    return choices[chance % len(choices)]
