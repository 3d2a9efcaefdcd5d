"""A small market on a real port, and a client that shows what an ingestor would see."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest

from kasparro.simulator.app import Address, create_app, serving
from kasparro.simulator.market.market import SimulatedMarket

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def market() -> SimulatedMarket:
    return SimulatedMarket(600, seed=7, start=START, step_seconds=60)


@pytest.fixture
async def simulator(market: SimulatedMarket) -> AsyncIterator[Address]:
    async with serving(create_app(market)) as address:
        yield address


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session
