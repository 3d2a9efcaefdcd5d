"""The chains of `data/chains.csv`: their names at each source, and tokens as `chain:address`."""

import csv
import functools
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from common.addresses import FORMS, MAX_LENGTH
from common.settings import DATA

FILE: Final = DATA / "chains.csv"
SOURCES: Final = ("coingecko", "coinpaprika")
"""The columns with the ids of a source's platforms."""

_NAMESPACES: Final = {
    "evm": "erc20",
    "tron": "trc20",
    "near": "nep141",
    "algorand": "asa",
    "move": "coin",
    "ton": "jetton",
    "stellar": "asset",
    "felt": "erc20",
}
"""By form the asset namespace of CAIP-19; `token` for the others."""
_CAIP_19 = re.compile(r"([-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32})/([-a-z0-9]{3,8}):(.+)")
_CAIP_19_REFERENCE = re.compile(r"[-.%a-zA-Z0-9]{1,128}")
_NUMBER = re.compile(r"([1-9][0-9]{0,19})(?:\.0)?")
"""A whole number, perhaps as a table of decimals has it."""
_IBC: Final = "ibc/"


class TokenAddress(NamedTuple):
    """A contract: its chain (our slug) and its address in the normal form of that chain."""

    chain: str
    address: str

    def __str__(self) -> str:
        return f"{self.chain}:{self.address}"


class ChainRow(msgspec.Struct, frozen=True):
    """A chain: `chain` is our slug, which is DefiLlama's key where there is one.

    `coingecko` and `coinpaprika` are the ids of its platforms there, `defillama` its names there.
    One platform may stand for two chains (BNB Smart Chain, Beacon Chain): the form of an address
    decides.
    """

    chain: str
    name: str
    caip2: str
    coingecko: tuple[str, ...]
    coinpaprika: tuple[str, ...]
    defillama: tuple[str, ...]
    aliases: tuple[str, ...]
    address_form: str

    def names(self) -> Iterator[str]:
        """Yield every name of the chain, ours first."""
        yield from (self.chain, self.caip2, *self.defillama)
        yield from (*self.coingecko, *self.coinpaprika, self.name, *self.aliases)

    def normalize(self, text: str) -> str | None:
        """Return the normal form of an address, None for a text that is not one."""
        text = text.strip()
        return FORMS[self.address_form](text) if 0 < len(text) <= MAX_LENGTH else None


@functools.cache
def chains() -> dict[str, ChainRow]:
    """Return the table by our slugs, in the order of the file."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = [_row(cells) for cells in csv.DictReader(file)]
    return {row.chain: row for row in rows}


def _row(cells: dict[str, str]) -> ChainRow:
    lists = {name: _parts(cells[name]) for name in (*SOURCES, "defillama", "aliases")}
    return ChainRow(
        chain=cells["chain"],
        name=cells["name"],
        caip2=cells["caip2"],
        address_form=cells["address_form"],
        **lists,
    )


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(part for part in cell.split(";") if part)


@functools.cache
def _by_name() -> dict[str, tuple[ChainRow, ...]]:
    """Return the chains of each name in lower case; the one whose slug it is comes first."""
    found: dict[str, tuple[ChainRow, ...]] = {row.chain: (row,) for row in chains().values()}
    for row in chains().values():
        for name in {name.casefold() for name in row.names() if name}:
            if row not in found.get(name, ()):
                found[name] = (*found.get(name, ()), row)
    return found


@functools.cache
def _by_platform(source: str) -> dict[str, tuple[ChainRow, ...]]:
    found: dict[str, tuple[ChainRow, ...]] = {}
    for row in chains().values():
        for platform in getattr(row, source):
            found[platform] = (*found.get(platform, ()), row)
    return found


def _platform(source: str, platform: str) -> tuple[ChainRow, ...]:
    """Return the chains of a source's platform; a source without a column uses any name."""
    if source in SOURCES:
        return _by_platform(source).get(platform, ())
    return _candidates(platform)


def is_known_platform(source: str, platform: str) -> bool:
    """Return whether the table has a platform of a source."""
    return bool(_platform(source, platform))


def is_known_chain(name: str) -> bool:
    """Return whether a text names a chain: our slug, a source's, a CAIP-2 id or its number."""
    return bool(_candidates(name))


def chains_named(name: str) -> tuple[str, ...]:
    """Return the chains (our slugs) of a name; an unknown name is a chain of its own."""
    return tuple(row.chain for row in _candidates(name)) or (name,)


def _candidates(name: str) -> tuple[ChainRow, ...]:
    name = name.strip().casefold()
    if match := _NUMBER.fullmatch(name):  # the chain id of an EVM chain
        name = f"eip155:{match[1]}"
    return _by_name().get(name, ())


def _first_fitting(rows: tuple[ChainRow, ...], text: str) -> TokenAddress | None:
    return next(
        (TokenAddress(row.chain, address) for row in rows if (address := row.normalize(text))),
        None,
    )


def platform_address(source: str, platform: str, text: str) -> TokenAddress | None:
    """Return the address that a source gives for one of its platforms; None if it is malformed.

    An unknown platform is a chain of its own, `source:platform`.
    """
    if rows := _platform(source, platform):
        return _first_fitting(rows, text)
    chain = f"{source}:{platform}"
    address = normalize_address(chain, text)
    return None if address is None else TokenAddress(chain, address)


def platform_chains(source: str, platform: str) -> tuple[str, ...]:
    """Return the chains that the addresses of a source's platform can be on."""
    if rows := _platform(source, platform):
        return tuple(row.chain for row in rows)
    return (f"{source}:{platform}",)


def named_address(name: str, text: str) -> TokenAddress | None:
    """Return an address on the chain of this name; None if either is not known."""
    return _first_fitting(_candidates(name), text)


def normalize_address(chain: str, text: str) -> str | None:
    """Return the normal form of an address on a chain (our slug), None for a malformed one.

    On a chain that the table lacks it is the text without white space around it.
    """
    row = chains().get(chain)
    if row is not None:
        return row.normalize(text)
    text = text.strip()
    return FORMS["text"](text) if 0 < len(text) <= MAX_LENGTH else None


def parse_token(text: str) -> TokenAddress | None:
    """Return the token of `chain:address` or of a CAIP-19 id, None if it is neither.

    The chain is our slug, the id of CoinGecko or CoinPaprika, DefiLlama's name, or a CAIP-2 id.
    """
    text = text.strip()
    if match := _CAIP_19.fullmatch(text):
        address = unquote(match[3])
        if token := named_address(match[1], _IBC + address if match[2] == "ibc" else address):
            return token
    for colon in re.finditer(":", text):
        if token := named_address(text[: colon.start()], text[colon.end() :]):
            return token
    source, _, rest = text.partition(":")
    platform, _, address = rest.partition(":")
    if source in SOURCES and platform and address:
        return platform_address(source, platform, address)
    return None


def caip19(chain: str, address: str) -> str | None:
    """Return the CAIP-19 id of a token, None if its chain has no CAIP-2 id or it is too long."""
    row = chains().get(chain)
    if row is None or not row.caip2:
        return None
    namespace = _NAMESPACES.get(row.address_form, "token")
    if row.address_form == "cosmos" and address.startswith(_IBC):
        namespace, address = "ibc", address.removeprefix(_IBC)
    reference = quote(address, safe="").replace("_", "%5F").replace("~", "%7E")
    if not _CAIP_19_REFERENCE.fullmatch(reference):
        return None
    return f"{row.caip2}/{namespace}:{reference}"
