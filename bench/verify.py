"""Check a day of polls: the seconds and the memory of `kasparro verify`, and a writer's waits."""

import datetime
import sys
from collections.abc import AsyncGenerator

import msgspec

from bench.figures import Bounds, Figure
from bench.postgres import temporary_server
from bench.programs import ResourceUsage, run_to_end
from bench.screen import say
from bench.waits import writer_waits
from db.connect.pool import create_pool
from db.sources import SourceSettings, save_sources
from ingestor.http.fetch import Fetch, FetchLimits, Provider
from ingestor.run.run import run
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.decode import split
from ingestor.sources.records import Checkpoint, Page

COINS, POLLS = 10_000, 288
QUICK_COINS, QUICK_POLLS = 1_000, 6
POLL = datetime.timedelta(minutes=5)
_RUN_TIMEOUT_SECONDS = 60


async def measure(*, quick: bool) -> list[Figure]:
    """Fill a database with a day of polls in which every coin changes, and verify it."""
    coins, polls = (QUICK_COINS, QUICK_POLLS) if quick else (COINS, POLLS)
    async with temporary_server() as server:
        dsn = await server.database("verify")
        say(f"{polls} polls of {coins:,} coins ...")
        await fill(dsn, coins, polls)
        say("verifying ...")
        async with writer_waits(dsn) as waits:
            usage = await verify_command(dsn)
    return [
        Figure(
            what=f"`kasparro verify` of {coins:,} coins and {polls} polls, {coins * polls:,} "
            "payloads and points, start included",
            unit="s",
            ours=usage.seconds,
            bounds=Bounds(at_most=60),
        ),
        Figure(what="memory of `kasparro verify`", unit="MB", ours=usage.peak_mb),
        Figure(what="longest wait of a writer beside it", unit="s", ours=max(waits)),
    ]


async def verify_command(dsn: str) -> ResourceUsage:
    """Run the command as a user does."""
    return await run_to_end(
        (sys.executable, "-m", "kasparro", "verify"),
        {"DATABASE_URL": dsn, "SOURCES": "coinpaprika", "LOG_LEVEL": "WARNING"},
    )


async def fill(dsn: str, coins: int, polls: int) -> None:
    """Ingest the polls of a day, the last one now."""
    source = _MovingMarket(coins, polls)
    try:
        async with await create_pool(dsn, max_size=3) as pool:
            async with pool.acquire() as connection:
                await save_sources(connection, [SourceSettings(source.name, "api", 10, 300)])
            for _ in range(polls):
                await run(pool, source, timeout_seconds=_RUN_TIMEOUT_SECONDS)
            await pool.execute("VACUUM ANALYZE")
    finally:
        await source.close()


class _MovingMarket(CoinPaprika):
    """Bodies like CoinPaprika's, about 800 bytes a coin, in which every price moves."""

    def __init__(self, coins: int, polls: int) -> None:
        provider = Provider(
            name="CoinPaprika",
            url="http://127.0.0.1",
            url_variable="COINPAPRIKA_URL",
            key=None,
            key_header="Authorization",
            key_variable="API_SOURCE_KEY",
            calls=1,
            per_seconds=1,
        )
        super().__init__(Fetch(provider, FetchLimits()))
        self._coins = coins
        self._at = datetime.datetime.now(datetime.UTC) - polls * POLL

    async def pages(
        self,
        checkpoint: Checkpoint | None,  # noqa: ARG002 - a source's signature
        *,
        full: bool,  # noqa: ARG002 - the same
    ) -> AsyncGenerator[Page, None]:
        """Yield the body of the next poll."""
        self._at += POLL
        body = msgspec.json.encode([self._ticker(number) for number in range(self._coins)])
        records, rejections = split(body, self.name, self._at)
        yield Page("", 1, self._at, records, rejections, None, True, ("",))  # noqa: FBT003 - its end

    def _ticker(self, number: int) -> dict[str, object]:
        # Up and down by 2 % a day, another way for each coin.
        step = (int(self._at.timestamp()) // 300 * (number % 7 + 1)) % 2_000
        price = (number + 1) * (1 + abs(step - 1_000) / 50_000)
        usd = {
            "price": price, "volume_24h": price * 1234567, "volume_24h_change_24h": -1.23,
            "market_cap": price * 19000000, "market_cap_change_24h": 0.12,
            "percent_change_15m": 0.1, "percent_change_30m": 0.2, "percent_change_1h": 0.3,
            "percent_change_6h": 0.4, "percent_change_12h": 0.5, "percent_change_24h": 0.6,
            "percent_change_7d": 0.7, "percent_change_30d": 0.8, "percent_change_1y": 0.9,
            "ath_price": price * 3, "ath_date": "2024-03-14T07:07:00Z",
            "percent_from_price_ath": -66.66,
        }  # fmt: skip
        return {
            "id": f"coin-{number}", "name": f"Coin number {number}", "symbol": f"T{number}",
            "rank": number + 1, "total_supply": 21000000 + number, "max_supply": 21000000 + number,
            "circulating_supply": 19000000 + number, "beta_value": 1.2345,
            "first_data_at": "2010-07-17T00:00:00Z",
            "last_updated": f"{self._at:%Y-%m-%dT%H:%M:%SZ}", "quotes": {"USD": usd},
        }  # fmt: skip
