"""The way of a price: from five simulated exchanges through ingestor and server to subscribers."""

import asyncio
import contextlib
import datetime
import os
import re
import statistics
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec
import psutil

from bench.crowd import p99
from bench.figures import Bounds, Figure
from bench.postgres import temporary_server
from bench.served import serving
from db.connect.pool import connect
from db.connect.types import Connection
from kasparro.simulator.venues.prices import TickingMarket, make_pairs

VENUES = ("binance", "coinbase", "kraken", "okx", "bybit")
COINS, QUICK_COINS = 1_000, 50
TICKS, QUICK_TICKS = 1_000, 200
"""A second, of each exchange."""
SUBSCRIBERS, QUICK_SUBSCRIBERS = 200, 10
TICKERS = 10
SECONDS, QUICK_SECONDS = 60.0, 5.0
START_SECONDS = 90.0
MEGABYTE = 1_000_000
_UPDATES = """
subscription ($tickers: [String!]) {
  coinUpdates(tickers: $tickers) { coins { ticker priceUsd source createdAt } }
}
"""
_SPEAKING = "SELECT count(*) FROM normalized_records WHERE source = 'markets'"
_CHANGED = """
SELECT sum(cardinality(tickers)) / $2::float8 FROM events WHERE kind = 'coins_changed' AND at > $1
"""


class _Coin(msgspec.Struct, rename="camel"):
    ticker: str
    source: str
    created_at: datetime.datetime


class _Update(msgspec.Struct):
    coins: list[_Coin]


class _Data(msgspec.Struct, rename="camel"):
    coin_updates: _Update


class _Payload(msgspec.Struct):
    data: _Data


class _Message(msgspec.Struct):
    type: str
    payload: _Payload | None = None


_MESSAGE = msgspec.json.Decoder(_Message)


async def measure_live(*, quick: bool) -> list[Figure]:
    """Measure delays, changed coins a second, and what the ingestor takes for it."""
    coins = QUICK_COINS if quick else COINS
    seconds = QUICK_SECONDS if quick else SECONDS
    async with temporary_server() as postgres:
        dsn = await postgres.database("streams")
        connection = await connect(dsn)
        try:
            async with (
                _exchanges(coins, QUICK_TICKS if quick else TICKS) as urls,
                serving(dsn) as server,
                _ingestor(dsn, coins, urls) as ingestor,
            ):
                await _until_speaking(connection, coins)
                before, cpu = datetime.datetime.now(datetime.UTC), ingestor.cpu_times()
                subscribers = QUICK_SUBSCRIBERS if quick else SUBSCRIBERS
                waits = await _follow(server.port, coins, subscribers, seconds)
                spent, memory = ingestor.cpu_times(), ingestor.memory_info().rss
                changed = await connection.fetchval(_CHANGED, before, seconds)
        finally:
            await connection.close()
    used = spent.user + spent.system - cpu.user - cpu.system
    what = f"price of an exchange to {subscribers} subscribers of {TICKERS} coins each"
    return [
        Figure(
            what=f"{what}, p50",
            unit="ms",
            ours=1000 * statistics.median(waits),
            bounds=Bounds(at_most=1_200),
        ),
        Figure(
            what=f"{what}, p99", unit="ms", ours=1000 * p99(waits), bounds=Bounds(at_most=3_000)
        ),
        Figure(what="changed coins meanwhile", unit="/s", ours=float(changed)),
        Figure(
            what="memory of the ingestor",
            unit="MB",
            ours=memory / MEGABYTE,
            bounds=Bounds(at_most=250),
        ),
        Figure(what="a core of the ingestor", unit="%", ours=100 * used / seconds),
    ]


@contextlib.asynccontextmanager
async def _exchanges(coins: int, ticks: int) -> AsyncIterator[dict[str, str]]:
    """Start exchanges; yield the settings with their addresses."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kasparro.simulator.venues", "--port", "0"),
        *("--coins", str(coins), "--ticks", str(ticks)),
        *(word for venue in VENUES for word in ("--venue", venue)),
        stdout=PIPE,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        urls: dict[str, str] = {}
        while len(urls) < 2 * len(VENUES):
            line = (await process.stdout.readline()).decode()
            if found := re.match(r"simulator: (\w+) at (\S+), markets at (\S+)", line):
                urls[f"{found[1].upper()}_STREAM_URL"] = found[2]
                urls[f"{found[1].upper()}_URL"] = found[3]
        yield urls
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def _ingestor(dsn: str, coins: int, urls: Mapping[str, str]) -> AsyncIterator[psutil.Process]:
    """Start an ingestor of a file with the coins, at the first prices of the exchanges."""
    prices = TickingMarket(make_pairs(coins)).usd
    rows = [f"{code},Coin {code},{price:.12f}" for code, price in prices.items() if code != "USD"]
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "coins.csv"
        file.write_text("\n".join(["symbol,name,price", *rows, ""]), encoding="utf-8")
        own = {
            "DATABASE_URL": dsn,
            "KASPARRO_HOME": home,
            "CSV_PATH": str(file),
            "SOURCES": ",".join(("csv", *VENUES)),
            "LOG_LEVEL": "WARNING",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingestor"), env={**os.environ, **own, **urls}, stdout=DEVNULL
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()


async def _until_speaking(connection: Connection, coins: int) -> None:
    """Wait until nine of ten coins have the price of their markets."""
    async with asyncio.timeout(START_SECONDS):
        while await connection.fetchval(_SPEAKING) < 0.9 * coins:
            await asyncio.sleep(0.5)


async def _follow(port: int, coins: int, subscribers: int, seconds: float) -> list[float]:
    """Subscribe; return the seconds from each new price at its venue to its arrival here."""
    codes = [f"C{number:04d}" for number in range(coins - 2)]
    waits: list[float] = []
    async with aiohttp.ClientSession() as session:
        tasks = [
            asyncio.create_task(
                _subscribe(
                    session,
                    port,
                    [codes[(number * TICKERS + n) % len(codes)] for n in range(TICKERS)],
                    waits,
                )
            )
            for number in range(subscribers)
        ]
        done, _ = await asyncio.wait(tasks, timeout=seconds)
        for task in done:
            task.result()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if not waits:
        raise RuntimeError("no update arrived")
    return waits


async def _subscribe(
    session: aiohttp.ClientSession, port: int, tickers: Sequence[str], waits: list[float]
) -> None:
    url = f"ws://127.0.0.1:{port}/graphql"
    seen: dict[str, datetime.datetime] = {}
    async with session.ws_connect(url, protocols=["graphql-transport-ws"]) as websocket:
        await websocket.send_json({"type": "connection_init"})
        await websocket.receive()
        payload = {"query": _UPDATES, "variables": {"tickers": list(tickers)}}
        await websocket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        async for message in websocket:
            now = datetime.datetime.now(datetime.UTC)
            update = _MESSAGE.decode(message.data)
            for coin in update.payload.data.coin_updates.coins if update.payload else ():
                # The first update is the state at the start.
                if coin.ticker in seen and coin.created_at > seen[coin.ticker]:
                    waits.append((now - coin.created_at).total_seconds())
                seen[coin.ticker] = coin.created_at
