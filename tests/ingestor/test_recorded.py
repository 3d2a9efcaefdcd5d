"""The real recorded bodies, replayed by the simulator and ingested, become right records."""

import csv
import gzip
import unicodedata
from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec

from db.connect.pool import Pool
from ingestor.http.fetch import Fetch
from ingestor.run.identity import read_identities, save_identities
from ingestor.run.run import run
from ingestor.run.startup import save_source_settings
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.normalize import name_key
from ingestor.sources.records import Source
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.replay import read_recording
from tests.conftest import ROOT
from tests.ingestor.conftest import QUICK, provider
from tests.ingestor.test_run import TABLES

TICKERS_2021 = "coinpaprika-tickers-2021-08-12T1906.json.gz"
MARKETS_2022 = ("coingecko-markets-2022-08-02T0109.json", "coingecko-markets-2022-08-30T0006.json")
OWNERS = {
    "BTC": "Bitcoin", "ETH": "Ethereum", "DAI": "Dai", "VET": "VeChain", "LUNA": "Terra",
    "DASH": "Dash",
    "SOL": "Solana", "GTC": "Gitcoin",
}  # fmt: skip


async def read(pool: Pool, *sources: Source) -> None:
    """Run each source once, as `kasparro ingest --once` does, one after another."""
    await save_source_settings(pool, sources)
    await save_identities(pool, read_identities(ROOT / "data" / "identity.csv"))
    for source in sources:
        outcome = await run(pool, source, timeout_seconds=120)
        assert outcome is not None
        assert outcome.status == "success"


async def replay(pool: Pool, recordings: Path) -> None:
    """Feed CoinPaprika's and CoinGecko's recorded bodies, and our own sample."""
    recording = read_recording(recordings)
    async with serving(create_app(SimulatedMarket(10), recording=recording)) as address:
        sources: tuple[Source, ...] = (
            CoinPaprika(Fetch(provider("CoinPaprika", address.coinpaprika_url), QUICK)),
            CoinGecko(Fetch(provider("CoinGecko", address.coingecko_url), QUICK)),
        )
        await read(pool, *sources)
        for source in sources:
            await source.close()


async def names_of(pool: Pool, tickers: dict[str, str]) -> dict[str, str]:
    rows = await pool.fetch(
        "SELECT ticker, name FROM normalized_records WHERE ticker = ANY ($1)", list(tickers)
    )
    return {row["ticker"]: row["name"] for row in rows}


async def test_every_recorded_record_is_stored_or_rejected(
    pool: Pool, shared_recordings: Path
) -> None:
    await replay(pool, shared_recordings)
    sent = {
        ("coinpaprika", row["id"])
        for row in msgspec.json.decode(
            gzip.decompress((shared_recordings / TICKERS_2021).read_bytes())
        )
    }
    for path in sorted(shared_recordings.glob("coingecko-markets-*.json")):
        sent |= {("coingecko", row["id"]) for row in msgspec.json.decode(path.read_bytes())}
    kept = await pool.fetch(
        "SELECT source, external_id FROM listings"
        " UNION SELECT source, external_id FROM rejected_records"
    )
    assert {(row["source"], row["external_id"]) for row in kept} == sent


async def test_shared_tickers_belong_to_the_coins_that_people_mean(
    pool: Pool, shared_recordings: Path
) -> None:
    await replay(pool, shared_recordings)
    # Gitcoin is not among the rows of the recorded copy: it was cut with 902 other small ones.
    wanted = {ticker: name for ticker, name in OWNERS.items() if ticker != "GTC"}
    assert await names_of(pool, wanted) == wanted
    daimler = await pool.fetchrow(
        "SELECT ticker, contributes FROM listings WHERE external_id = 'dai-daimler-ag'"
    )
    assert daimler is None or not daimler["contributes"]
    tiny = await pool.fetch(
        "SELECT price_usd_exact FROM normalized_records WHERE price_usd_exact < 1e-8"
    )
    assert len(tiny) > 50
    assert min(row["price_usd_exact"] for row in tiny) == Decimal("3.84e-18")


async def test_gitcoin_owns_gtc_without_a_known_market_cap(
    pool: Pool, shared_recordings: Path, tmp_path: Path
) -> None:
    """The recorded copy lacks Gitcoin's row; this is it as ranked: no cap, a large volume."""
    rows = msgspec.json.decode(
        gzip.decompress((shared_recordings / TICKERS_2021).read_bytes()), type=list[msgspec.Raw]
    )
    gitcoin = next(bytes(row) for row in rows if b'"gtc-gamecom"' in bytes(row))
    row = msgspec.json.decode(gitcoin)
    row |= {"id": "gtc-gitcoin", "name": "Gitcoin", "rank": 1864}
    row["quotes"]["USD"] |= {"market_cap": 0, "volume_24h": 13_000_000}
    (tmp_path / "coinpaprika-tickers-1.json").write_bytes(msgspec.json.encode([*rows, row]))
    for name in MARKETS_2022:
        (tmp_path / name).write_bytes((shared_recordings / name).read_bytes())
    await replay(pool, tmp_path)
    assert await names_of(pool, OWNERS) == OWNERS


async def test_a_second_replay_writes_nothing(pool: Pool, shared_recordings: Path) -> None:
    await replay(pool, shared_recordings)
    versions = " UNION ALL ".join(
        f"SELECT tableoid, ctid::text, xmin::text FROM {table}" for table in TABLES
    )
    before = sorted(tuple(row) for row in await pool.fetch(versions))
    await replay(pool, shared_recordings)
    assert sorted(tuple(row) for row in await pool.fetch(versions)) == before


GECKO, CMC = "csv-coingecko-tokens-2023-01-10.csv", "csv-coinmarketcap-tokens-2023-01-10.csv.gz"


def single_rows(path: Path) -> dict[str, tuple[str, Decimal]]:
    """Name and price of the tickers that one row of the file has, if the price is above 0."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(content.decode().splitlines()))
    tickers = [unicodedata.normalize("NFKC", row["symbol"]).strip().upper() for row in rows]
    counts = Counter(tickers)
    return {
        ticker: (row["name"], Decimal(row["price_usd"]))
        for ticker, row in zip(tickers, rows, strict=True)
        if counts[ticker] == 1 and row["price_usd"] and Decimal(row["price_usd"]) > 0
    }


def share_nothing(name_a: str, name_b: str) -> bool:
    """No word in common but generic ones, and no name within the other (DOGE APE, DOGEAPE)."""
    for words_a, words_b in zip(name_key(name_a), name_key(name_b), strict=True):
        joined_a, joined_b = words_a.replace(" ", ""), words_b.replace(" ", "")
        start = min(len(joined_a), len(joined_b))
        run_together = start >= 4 and joined_a[:start] == joined_b[:start]
        if set(words_a.split()) & set(words_b.split()) or joined_a == joined_b or run_together:
            return False
    return True


async def test_two_vendors_of_one_day_agree_on_what_is_one_asset(
    pool: Pool, shared_recordings: Path
) -> None:
    await read(
        pool,
        CsvFiles(str(shared_recordings / GECKO), name="coingecko"),
        CsvFiles(str(shared_recordings / CMC), name="coinmarketcap"),
    )
    joined = {
        row["ticker"]
        for row in await pool.fetch(
            "SELECT ticker FROM listings WHERE contributes"
            " GROUP BY ticker HAVING count(DISTINCT source) = 2"
        )
    }
    gecko, cmc = single_rows(shared_recordings / GECKO), single_rows(shared_recordings / CMC)
    both = gecko.keys() & cmc.keys()
    ratios = {t: max(gecko[t][1], cmc[t][1]) / min(gecko[t][1], cmc[t][1]) for t in both}
    close = {ticker for ticker in both if ratios[ticker] <= Decimal("1.03")}
    assert (len(both), len(close)) == (4093, 2857)
    assert len(close & joined) >= 0.98 * len(close)
    apart = {t for t in both if ratios[t] > 2 and share_nothing(gecko[t][0], cmc[t][0])}
    assert len(apart) >= 80
    assert len(apart & joined) <= 3
