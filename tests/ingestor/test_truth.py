"""The owners of shared tickers in the recorded bodies, against what people mean by them.

`truth/owners.csv` holds the owner by name or by external id, judged by hand. `truth/doubtful.csv`
holds tickers about which people would argue, with the reason; nothing compares it.
"""

import csv
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from db.connect.pool import Pool
from ingestor.http.fetch import Fetch
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Source
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.replay import read_recording
from tests.conftest import ROOT
from tests.ingestor.conftest import QUICK, provider
from tests.ingestor.test_recorded import CMC, GECKO, MARKETS_2022, TICKERS_2021, read

TRUTH = ROOT / "tests" / "ingestor" / "truth"
STABLECOINS = "coingecko-markets-stablecoins-2022-11-02T2135.json"
TOP_2022 = "csv-coingecko-top-2022-03-16.csv"
TOP_2026 = "csv-top100-prices-2026-02-03.csv"
DOLLARS_2026 = "csv-dollar-snapshots-2026-01-26-to-02-07.csv.gz"
APIS = (TICKERS_2021, *MARKETS_2022, STABLECOINS)
BODIES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "coinpaprika-2021-08": ((TICKERS_2021,), {}),
    "coinpaprika-2021-08+coingecko-2022": (APIS, {}),
    "coingecko-stablecoins-2022-11": ((STABLECOINS,), {}),
    "coingecko-top-2022-03": ((), {"csv": TOP_2022}),
    "top100-2025-08": ((), {"csv": "csv-top100-prices-2025-08-05.csv"}),
    "top100-2026-02": ((), {"csv": TOP_2026}),
    "dollar-snapshots-2026": ((), {"csv": DOLLARS_2026}),
    "coingecko-tokens-2022-10": ((), {"csv": "csv-coingecko-tokens-2022-10-26.csv.gz"}),
    "coingecko-tokens-2022-11": ((), {"csv": "csv-coingecko-tokens-2022-11-05.csv"}),
    "merged-tokens-2022-11": ((), {"csv": "csv-merged-tokens-2022-11-03.csv.gz"}),
    "coingecko-tokens-2023-01": ((), {"coingecko": GECKO}),
    "coinmarketcap-tokens-2023-01": ((), {"coinmarketcap": CMC}),
    "coingecko+coinmarketcap-2023-01": ((), {"coingecko": GECKO, "coinmarketcap": CMC}),
    "all": (APIS, {"a": TOP_2022, "b": GECKO, "c": CMC, "d": TOP_2026, "e": DOLLARS_2026}),
}
"""The bodies of APIs and the files, by source, that are read into one database."""
KNOWN_WRONG = {
    "coingecko-stablecoins-2022-11": {"USDS"},  # 4.0 against 3.6 million dollars, both tiny
    "coingecko-tokens-2022-10": {"USDS", "BLOCK"},  # the cap of the lesser-known one is larger
    "coinmarketcap-tokens-2023-01": {"RBT", "SHDW"},  # the right ones have no cap in that file
    "coingecko+coinmarketcap-2023-01": {
        "SAFE", "ASM", "FLX", "GST",  # two sources speak for a smaller coin, one for the right one
        "VAI", "STEP",  # two caps of the right one lie 3 and 60 times apart, and the smaller counts
        "DUST", "BLINK",  # no cap is known of the right one, a small one of the other
    },
}  # fmt: skip


def read_truth() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    with (TRUTH / "owners.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["body"]][row["ticker"]] = row["owner"]
    return found


async def read_bodies(pool: Pool, folder: Path, files: dict[str, Path]) -> None:
    """Read the API bodies of a folder, then the files, each as a source of its name."""
    if any(folder.iterdir()):
        recording = read_recording(folder)
        async with serving(create_app(SimulatedMarket(10), recording=recording)) as address:
            sources: list[Source] = []
            if recording.tickers:
                fetch = Fetch(provider("CoinPaprika", address.coinpaprika_url), QUICK)
                sources.append(CoinPaprika(fetch))
            if recording.market_pages:
                fetch = Fetch(provider("CoinGecko", address.coingecko_url), QUICK)
                sources.append(CoinGecko(fetch))
            await read(pool, *sources)
            for source in sources:
                await source.close()
    await read(pool, *[CsvFiles(str(path), name=name) for name, path in files.items()])


async def owners(pool: Pool) -> dict[str, set[str]]:
    """Return the names and external ids of the listings that own each ticker."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in await pool.fetch("SELECT ticker, name, external_id FROM listings WHERE contributes"):
        found[row["ticker"]] |= {(row["name"] or "").casefold(), row["external_id"]}
    return found


@pytest.mark.parametrize("body", BODIES)
async def test_shared_tickers_belong_to_the_coins_that_people_mean(
    pool: Pool, shared_recordings: Path, tmp_path: Path, body: str
) -> None:
    apis, files = BODIES[body]
    for name in apis:
        shutil.copy(shared_recordings / name, tmp_path)
    await read_bodies(pool, tmp_path, {name: shared_recordings / f for name, f in files.items()})
    found = await owners(pool)
    wrong = {
        ticker
        for ticker, owner in read_truth()[body].items()
        if owner.casefold() not in found[ticker]
    }
    assert wrong == KNOWN_WRONG.get(body, set())


def test_the_truth_names_known_bodies_and_enough_tickers() -> None:
    truth = read_truth()
    assert truth.keys() == BODIES.keys()
    assert sum(len(tickers) for tickers in truth.values()) >= 300
