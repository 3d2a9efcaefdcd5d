"""Made-up contract addresses of the assets, and how each provider writes them.

Every asset has its own addresses, so assets that share a ticker differ by them. In CoinGecko's list
of October 2022, 87 % of the coins have an address and 16 % of these are on several platforms.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from kasparro.simulator.market.chance import draw, happens
from kasparro.simulator.market.universe import Provider, Universe


class Platform(Struct, frozen=True):
    """A platform: its ids at both providers, and the form of its addresses."""

    gecko_id: str
    paprika_id: str
    form: str
    type: str
    """As CoinPaprika writes it."""


class Contract(Struct, frozen=True):
    """An address as a provider writes it; `is_active` is CoinPaprika's word."""

    platform: str
    address: str
    type: str
    is_active: bool


PLATFORMS: Final = (
    Platform("ethereum", "eth-ethereum", "evm", "ERC20"),
    Platform("binance-smart-chain", "bnb-binance-coin", "evm", "BEP20"),
    Platform("solana", "sol-solana", "base58", "SPL"),
    Platform("polygon-pos", "matic-polygon", "evm", "ERC20"),
    Platform("tron", "trx-tron", "tron", "TRC20"),
    Platform("simulated-chain", "simc-simulated-chain", "evm", "Other"),
)
"""The last one is a platform that no program knows yet."""
_WEIGHTS: Final = (40, 36, 14, 6, 3, 1)
_TOKENS: Final = frozenset({"USDT", "USDC", "USDS", "USDE", "DAI", "STETH", "WBTC", "WETH", "LINK"})
"""Known coins with an address; a made-up asset has one by chance."""
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_HAS, _WHICH, _DIGITS, _PAPRIKA, _SPELLING = range(91, 96)


def contracts(universe: Universe, provider: Provider, asset: int) -> Iterator[Contract]:
    """Yield the contracts of a listed asset as a provider gives them, one for each platform."""
    places = _places(universe, asset)
    seed = universe.seed
    if provider == "coinpaprika" and happens(draw(seed, asset, _PAPRIKA), 25):
        places = places[: len(places) // 2]  # it lacks many addresses
    for place in places:
        platform = PLATFORMS[place]
        chance = draw(seed, asset, _SPELLING, place, provider == "coingecko")
        yield Contract(
            platform=platform.gecko_id if provider == "coingecko" else platform.paprika_id,
            address=_spelled(address_of(universe, asset, place), chance, provider),
            type=platform.type,
            is_active=not happens(chance >> 20, 1),
        )


def _places(universe: Universe, asset: int) -> list[int]:
    """Return the platforms of an asset, none for a coin with a chain of its own."""
    known, chance = universe.known(asset), draw(universe.seed, asset, _HAS)
    if known is not None:
        return [0, 1, 4] if known.symbol in _TOKENS else []
    if not happens(chance, 87):
        return []
    count = 1 if not happens(chance >> 10, 16) else 2 + happens(chance >> 20, 25)
    drawn = (_place(draw(universe.seed, asset, _WHICH, turn)) for turn in range(count))
    return sorted(set(drawn))


def _place(chance: int) -> int:
    left = chance % sum(_WEIGHTS)
    for place, weight in enumerate(_WEIGHTS):
        left -= weight
        if left < 0:
            return place
    return 0


def address_of(universe: Universe, asset: int, place: int) -> str:
    """Return the address of an asset on a platform, in the usual spelling of its chain."""
    digits = hashlib.sha256(f"{universe.seed} {asset} {place} {_DIGITS}".encode()).digest()
    form = PLATFORMS[place].form
    if form == "evm":
        return f"0x{digits[:20].hex()}"
    if form == "tron":
        body = b"\x41" + digits[:20]
        return _base58(body + hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4])
    return _base58(b"\xff" + digits[1:])


def _base58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(_BASE58))
        text = _BASE58[digit] + text
    return text


def _spelled(address: str, chance: int, provider: Provider) -> str:
    """Return an address as it is written in the recordings: letters of either case, and slips."""
    if not address.startswith("0x"):
        return address
    if happens(chance, 20):
        address = "0x" + "".join(
            letter.upper() if happens(chance >> place, 1, 2) else letter
            for place, letter in enumerate(address[2:])
        )
    is_slip = provider == "coingecko" and happens(chance >> 8, 1, 300)
    return f"{address}#code" if is_slip else address
