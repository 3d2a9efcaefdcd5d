"""Assets that share a ticker, in the proportions of the recordings, and odd symbols.

CoinGecko, 2026-02-03: 2,401 symbols are shared by 6,975 of 18,939 coins, so 24 % of the coins have
a symbol that another coin had before. CoinPaprika, 2021-08-12: 248 symbols by 533 of 3,795, so 7.5
%. An asset with another's ticker is called its *namesake* here. Namesakes are on both lists or on
one alone.
"""

from bisect import bisect_right
from itertools import accumulate
from operator import itemgetter
from typing import Final

from msgspec import Struct

from kasparro.simulator.market.chance import draw, happens, word
from kasparro.simulator.market.known import KNOWN_COINS

_PERIOD: Final = 17
"""Of every 17 assets on both lists the last is a namesake: 4.2 % of each list."""
_ORIGINALS: Final = (2, 5)
"""Of every 17 assets on both lists, these two have namesakes on CoinGecko alone."""
_PAPRIKA_NAMESAKES: Final = (5, 11)
_GECKO_PERIOD: Final = 7
_GECKO_NAMESAKES: Final = 5
_GECKO_ODD: Final = 5

_GROUPS: Final = ((1, 702), (2, 922), (3, 612), (4, 424), (5, 250), (6, 108), (7, 126), (8, 72))
"""(namesakes of one ticker, all such namesakes) of the 2026 list; the worst are left out."""
_WORST_TICKERS: Final = (
    "WETH",
    "USDC",
    "USDT",
    "WBTC",
    "DAI",
    "PEPE",
    "SOL",
    "ETH",
    "BTC",
    "STETH",
    "DOGE",
    "TRX",
)
_WORST_WEIGHTS: Final = (67, 62, 53, 37, 26, 22, 11, 12, 10, 10, 10, 9)
_WORST_REST: Final = 226
_ALL_NAMESAKES: Final = sum(total for _, total in _GROUPS) + sum(_WORST_WEIGHTS) + _WORST_REST
_WORST: Final = tuple(accumulate(_WORST_WEIGHTS))

_GECKO_SYMBOLS: Final = (
    "neo\u00a0", "null", "null", "inf", "inf", "true", "1", "01", "000", "2025", "nan", "∅",
    "🟥🟩", "₿o₿", "客服小何", "usdc.e", "$1", "1%", "@btc25", "baby dowge", '"\u3000"',
    "usdt.bsc", "usdc+", "πts", "møth", "d.o.g.e",
    "wavax[hts]", "btc.b", "_gib_", "01111010011110000110001001110100",
)  # fmt: skip
_PAPRIKA_SYMBOLS: Final = (
    "KCH ",
    "G-Fi",
    "POP!",
    "$ROPE",
    "XAAVEB ",
    "BRK.A10",
    "APE$",
    "ΩPLN",
    "0xBTC",
    "renBTC",
)
_GECKO_SHAPES: Final = (
    "${}",
    "{}.e",
    "{}.d",
    "{} inu",
    "${}",
    "{}-1",
    "{}_e",
    "🔶{}",
    "baby {}",
    "st-{}",
    "{}+",
    "é{}",
)

_REAL_WORDS: Final = frozenset(
    word for coin in KNOWN_COINS for word in (coin.symbol.lower(), coin.gecko_id)
)
REAL_WORD_MARK: Final = "q"
"""A letter that words never contain."""

_CASE: Final = 31
_BRIDGED: Final = 37


class TickerSymbol(Struct, frozen=True):
    """A symbol and, for a namesake, its original; `bridged` means that it copies that asset."""

    symbol: str
    original: int | None = None
    bridged: bool = False


class Tickers:
    """The ticker of every asset of a market."""

    def __init__(self, coins: int, shared: int, seed: int) -> None:
        """Create tickers for a market in which `shared` of `coins` listings are on both lists."""
        self._coins = coins
        self._shared = shared
        self._alone = coins - shared
        self._seed = seed
        self._known = min(len(KNOWN_COINS), shared)
        self._namesakes = max(self._alone * _GECKO_NAMESAKES // _GECKO_PERIOD, 1)
        self._groups = _lay_out_groups(self._namesakes)

    def of(self, number: int) -> TickerSymbol:
        """Return the ticker of an asset, as its makers write it."""
        if number < self._known:
            return TickerSymbol(symbol=KNOWN_COINS[number].symbol)
        if number < self._shared:
            return self._on_both(number)
        if number < self._coins:
            return self._on_paprika(number, number - self._shared)
        return self._on_gecko(number, number - self._coins)

    def _on_both(self, number: int) -> TickerSymbol:
        if number % _PERIOD == _PERIOD - 1:
            return self._namesake(self._original(number // 2))
        return self._own(number)

    def _on_paprika(self, number: int, place: int) -> TickerSymbol:
        if place < len(_PAPRIKA_SYMBOLS):
            return TickerSymbol(symbol=_PAPRIKA_SYMBOLS[place])
        if place % _PERIOD in _PAPRIKA_NAMESAKES:
            return self._namesake(self._original(place * self._shared // self._alone))
        return self._own(number)

    def _on_gecko(self, number: int, place: int) -> TickerSymbol:
        turn, step = divmod(place, _GECKO_PERIOD)
        if step < _GECKO_NAMESAKES:
            original = self._gecko_original(turn * _GECKO_NAMESAKES + step)
            return self._namesake(original, bridged=happens(draw(self._seed, number, _BRIDGED), 40))
        if step == _GECKO_ODD:
            if turn < len(_GECKO_SYMBOLS):
                return TickerSymbol(symbol=_GECKO_SYMBOLS[turn])
            return TickerSymbol(
                symbol=_GECKO_SHAPES[turn % len(_GECKO_SHAPES)].format(own_word(self._seed, number))
            )
        if turn % 2:
            # Two assets, each on one list alone, that share only the ticker.
            return self._namesake(self._shared + place - place % _PERIOD)
        return self._own(number)

    def _gecko_original(self, namesake: int) -> int:
        """Return the original of this namesake: most have one namesake, the worst have dozens."""
        begin, size, first_group = self._groups[
            bisect_right(self._groups, namesake, key=itemgetter(0)) - 1
        ]
        if size:
            turn, choice = divmod(first_group + (namesake - begin) // size, len(_ORIGINALS))
            return self._original(turn * _PERIOD + _ORIGINALS[choice])
        worst = bisect_right(_WORST, (namesake - begin) * _ALL_NAMESAKES // self._namesakes)
        if worst < len(_WORST_TICKERS):
            return self._original(_NUMBERS[_WORST_TICKERS[worst]])
        return self._original(_WORST_OTHERS[namesake % len(_WORST_OTHERS)])

    def _original(self, number: int) -> int:
        """Return the nearest asset on both lists that is not a namesake."""
        number %= self._shared
        return number - 1 if number >= self._known and number % _PERIOD == _PERIOD - 1 else number

    def _namesake(self, original: int, *, bridged: bool = False) -> TickerSymbol:
        return TickerSymbol(symbol=self.of(original).symbol, original=original, bridged=bridged)

    def _own(self, number: int) -> TickerSymbol:
        return TickerSymbol(symbol=own_word(self._seed, number).upper())


_NUMBERS: Final = {coin.symbol: number for number, coin in enumerate(KNOWN_COINS)}
_WORST_OTHERS: Final = tuple(
    number for number in range(40) if KNOWN_COINS[number].symbol not in _WORST_TICKERS
)


def _lay_out_groups(namesakes: int) -> list[tuple[int, int, int]]:
    """Return (first namesake, namesakes of one ticker, first ticker) of each run of equal groups.

    Size 0 is the worst.
    """
    runs, begin, first_group, counted = [], 0, 0, 0
    for size, total in _GROUPS:
        runs.append((begin, size, first_group))
        counted += total
        end = namesakes * counted // _ALL_NAMESAKES
        first_group += -(-(end - begin) // size)
        begin = end
    return [*runs, (begin, 0, first_group)]


def own_word(seed: int, number: int) -> str:
    """Return the unique word of an asset's ticker and name; real coins do not have it."""
    own = word(seed, number)
    return f"{own}{REAL_WORD_MARK}" if own in _REAL_WORDS else own


def as_paprika_writes(seed: int, number: int, symbol: str) -> str:
    """Return CoinPaprika's spelling: 37 of its 2,892 symbols have lower-case letters (`renBTC`)."""
    return symbol[0].lower() + symbol[1:] if happens(draw(seed, number, _CASE), 1) else symbol
