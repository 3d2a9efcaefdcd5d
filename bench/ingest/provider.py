"""The provider: the simulator as a process of its own, whose prices move on request only."""

import contextlib
import sys
from collections.abc import AsyncIterator

import aiohttp

from bench.programs import answers, running
from kasparro.simulator.simulation import PREFIXES
from kasparro.supervise.ports import free_port


class MarketUrl:
    """A running simulator."""

    def __init__(self, root: str, client: aiohttp.ClientSession) -> None:
        self.coinpaprika_url = root + PREFIXES["coinpaprika"]
        self.tickers_url = f"{self.coinpaprika_url}/tickers?quotes=USD"
        self._root = root
        self._client = client

    async def move(self) -> int:
        """Move every price, let the body be written, and return its bytes."""
        async with self._client.post(f"{self._root}/_control/tick", json={}) as response:
            response.raise_for_status()
        async with self._client.get(self.tickers_url) as response:
            response.raise_for_status()
            return len(await response.read())


@contextlib.asynccontextmanager
async def provider(coins: int) -> AsyncIterator[MarketUrl]:
    """Run a market of that many coins."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    command = (
        sys.executable,
        "-m",
        "kasparro.simulator",
        "--port",
        str(port),
        "--coins",
        str(coins),
        "--moving",
        "1",
    )
    async with (
        running(command, {}, answers(f"{root}/_control/state")),
        aiohttp.ClientSession() as client,
    ):
        yield MarketUrl(root, client)
