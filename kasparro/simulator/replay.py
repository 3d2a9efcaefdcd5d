"""Recorded bodies from a folder, to be served byte for byte; prices stand still."""

import gzip
from pathlib import Path
from typing import Final

from msgspec import Struct

DEFAULT_COINPAPRIKA: Final = "coinpaprika-tickers-*"
DEFAULT_COINGECKO: Final = "coingecko-markets-*"
_COINPAPRIKA_COINS: Final = "coinpaprika-coins-*"
_COINGECKO_LIST: Final = "coingecko-coins-list-*"


class RecordedBody(Struct, frozen=True):
    """One recorded body: the file's name, its JSON as recorded, and when the file was written (Unix seconds)."""

    name: str
    plain: bytes
    changed_at: int


class Recording(Struct, frozen=True):
    """What a folder has for each route; None or empty where it has nothing."""

    tickers: RecordedBody | None
    paprika_coins: RecordedBody | None
    market_pages: list[RecordedBody]
    gecko_list: RecordedBody | None

    @property
    def names(self) -> list[str]:
        """The files that are served."""
        bodies = [self.tickers, self.paprika_coins, *self.market_pages, self.gecko_list]
        return [body.name for body in bodies if body]


def read_recording(
    folder: Path, coinpaprika: str = DEFAULT_COINPAPRIKA, coingecko: str = DEFAULT_COINGECKO
) -> Recording:
    """Read a folder: of several CoinPaprika bodies the largest, of CoinGecko's all, as pages in the order of names.

    Of several lists of coins the last by name is taken. Raises FileNotFoundError when neither
    pattern finds a file.
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
