"""A running demo and a browser, for the tests and the pictures in the README."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import psutil

from kasparro.demo.plan import new_market, simulator_command
from kasparro.demo.state import market_environment
from kasparro.supervise.ports import free_port
from server.pages import DASHBOARD
from tests.conftest import ROOT, Program

try:
    from playwright.async_api import Browser, async_playwright
except ImportError:  # without it, the tests of this folder are skipped
    async_playwright = None  # type: ignore[assignment]  # a function if installed

AXE = ROOT / "tests" / "clients" / "node_modules" / "axe-core" / "axe.min.js"
START_SECONDS = 90.0
POLL_SECONDS = 3
MOVING = 0.7
"""The share of coins that change: higher than in a demo, because few rows are visible."""
DESK, PHONE = (1360, 850), (390, 800)
CHROMIUM_FLAGS = [
    "--no-sandbox",  # the sandbox does not work as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def missing() -> str | None:
    """Return which program is missing, as a sentence; None if none is."""
    if async_playwright is None:
        return "Playwright is missing: `make test` installs it"
    if not _chromium():
        return "Chromium is missing: install your system's package"
    if not (DASHBOARD / "index.html").is_file():
        return "the dashboard is not built: `make web`"
    return (
        None if AXE.is_file() else "axe-core is missing: `make test` installs it where there is npm"
    )


def _chromium() -> str | None:
    return (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


class Demo:
    """A running `kasparro up --demo`, and the token that starts runs there."""

    def __init__(self, program: Program, url: str, token: str, environ: dict[str, str]) -> None:
        self.program = program
        self.environ = environ
        self.url = url
        self.token = token

    def server(self) -> psutil.Process:
        """The process of the server."""
        children = psutil.Process(self.program.process.pid).children(recursive=True)
        return next(child for child in children if "server" in child.cmdline())

    async def spoil_a_record(self) -> None:
        """Make the next response of CoinPaprika contain a record that cannot be read."""
        children = psutil.Process(self.program.process.pid).children(recursive=True)
        words = next(
            words for child in children if "kasparro.simulator" in (words := child.cmdline())
        )
        market = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
        fault = {"kind": "bad_record", "provider": "coinpaprika", "route": "/tickers"}
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{market}/_control/faults", json=[fault]) as answer,
        ):
            answer.raise_for_status()

    async def wait_for_coins(self) -> None:
        """Wait until there are coins of every source, with history."""
        query = """{
          runs(filter: {status: [SUCCESS, PARTIAL]}) { totalCount }
          coin(ticker: "BTC") { history { nodes { at } } }
        }"""
        async with aiohttp.ClientSession() as client, asyncio.timeout(START_SECONDS):
            while True:
                try:
                    async with client.post(
                        f"{self.url}/graphql", json={"query": query}
                    ) as response:
                        data = (await response.json()).get("data")
                except (aiohttp.ClientError, ValueError):
                    data = None
                if (
                    data
                    and data["runs"]["totalCount"] >= 5
                    and len(data["coin"]["history"]["nodes"]) > 2
                ):
                    return
                await asyncio.sleep(0.2)


@asynccontextmanager
async def running_demo(
    poll_seconds: int = POLL_SECONDS, coins: int | None = None, **settings: str
) -> AsyncIterator[Demo]:
    """Run a demo until the context ends; it starts with coins, runs and some history.

    With `coins` its market has so many on each provider's list, instead of the demo's own number.
    """
    port, token = free_port(), secrets.token_urlsafe()
    home = Path(tempfile.mkdtemp(prefix="kasparro-"))
    home.chmod(0o711)
    environ = {
        "KASPARRO_HOME": str(home),
        "PORT": str(port),
        "SCHEDULER_TOKEN": token,
        "POLL_SECONDS": str(poll_seconds),
        "DATABASE_URL": "",
        **settings,
    }
    with ExitStack() as programs:
        programs.callback(shutil.rmtree, home, ignore_errors=True)
        if coins is not None:
            market = new_market()
            simulator = Program(
                ("-m", *simulator_command(market, coins, MOVING)), {}, home / "market.log"
            )
            programs.callback(simulator.reap)
            environ |= market_environment(market, ())
        up = ("up", "--demo") if coins is None else ("up",)
        program = Program(("-m", "kasparro", *up), environ, home / "demo.log")
        programs.callback(program.reap)
        demo = Demo(program, f"http://127.0.0.1:{port}", token, environ)
        await demo.wait_for_coins()
        yield demo


@asynccontextmanager
async def running_browser() -> "AsyncIterator[Browser]":
    """Run the system's Chromium without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()
