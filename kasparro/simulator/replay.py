"""Recorded bodies of a folder, served byte for byte; prices do not move."""

import gzip
from pathlib import Path
from typing import Final

from msgspec import Struct

DEFAULT_COINPAPRIKA: Final = "coinpaprika-tickers-*"
DEFAULT_COINGECKO: Final = "coingecko-markets-*"
_COINPAPRIKA_COINS: Final = "coinpaprika-coins-*"
_COINGECKO_LIST: Final = "coingecko-coins-list-*"


class RecordedBody(Struct, frozen=True):
    """A recorded body: the file's name, its JSON, and the file's time (Unix seconds)."""

    name: str
    plain: bytes
    changed_at: int


class Recording(Struct, frozen=True):
    """The bodies of a folder for each route; None or empty without one."""

    tickers: RecordedBody | None
    paprika_coins: RecordedBody | None
    market_pages: list[RecordedBody]
    gecko_list: RecordedBody | None

    @property
    def names(self) -> list[str]:
        """The served files."""
        bodies = [self.tickers, self.paprika_coins, *self.market_pages, self.gecko_list]
        return [body.name for body in bodies if body]


def read_recording(
    folder: Path, coinpaprika: str = DEFAULT_COINPAPRIKA, coingecko: str = DEFAULT_COINGECKO
) -> Recording:
    """Read a folder: CoinPaprika's largest body, and all of CoinGecko's as pages, by name.

    Of several lists of coins the last by name is used. Raises FileNotFoundError if neither pattern
    matches a file.
    """
    tickers, pages = _read_all(folder, coinpaprika), _read_all(folder, coingecko)
    if not tickers and not pages:
        raise FileNotFoundError(
            f"{folder} has no file {coinpaprika} or {coingecko} (.json or .json.gz)"
        )
    return Recording(
        tickers=max(tickers, key=lambda body: len(body.plain), default=None),
        paprika_coins=_last(folder, _COINPAPRIKA_COINS),
        market_pages=pages,
        gecko_list=_last(folder, _COINGECKO_LIST),
    )


def _last(folder: Path, pattern: str) -> RecordedBody | None:
    return next(reversed(_read_all(folder, pattern)), None)


def _read_all(folder: Path, pattern: str) -> list[RecordedBody]:
    return [
        _read(path)
        for path in sorted(folder.glob(pattern))
        if path.name.endswith((".json", ".json.gz"))
    ]


def _read(path: Path) -> RecordedBody:
    recorded = path.read_bytes()
    plain = gzip.decompress(recorded) if path.suffix == ".gz" else recorded
    return RecordedBody(name=path.name, plain=plain, changed_at=int(path.stat().st_mtime))
