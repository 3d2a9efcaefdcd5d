"""`make screenshots`: the pictures of the README, taken of a demo that has run for a while."""

import asyncio
import os
import sys
import tempfile

from bench.cleanup import cleaned_up
from tests.browser.visiting import DESK, PHONE, Demo, missing, running_browser, running_demo
from tests.conftest import ROOT

SAMPLE = ROOT / "data" / "sample.csv"
FOLDER = ROOT / "docs" / "pictures"
POLL_SECONDS = 10
"""The demo's own pace."""

PAST_DAYS = 1
SHOWN = [
    "BTC",
    "ETH",
    "USDT",
    "XRP",
    "BNB",
    "USDC",
    "SOL",
    "TRX",
    "STETH",
    "DOGE",
    "BCH",
    "USDS",
    "ADA",
    "WBTC",
    "LEO",
    "HYPE",
    "LINK",
    "XLM",
    "LTC",
    "AVAX",
    "SUI",
    "SHIB",
]
"""Coins whose past is asked for, since a chart wants candles."""

PICTURES = {
    "coins-dark": ("/dashboard", "dark", DESK, ".rows .row .c-price"),
    "coins-light": ("/dashboard", "light", DESK, ".rows .row .c-price"),
    "coin-dark": ("/dashboard/coins/BTC", "dark", DESK, ".chart canvas"),
    "coin-light": ("/dashboard/coins/BTC", "light", DESK, ".chart canvas"),
    "runs-dark": ("/dashboard/runs", "dark", DESK, "table"),
    "coins-phone": ("/dashboard", "dark", PHONE, ".rows .row .c-price"),
    "coin-phone": ("/dashboard/coins/BTC", "dark", PHONE, ".chart canvas"),
}
"""By name: what is shown, in which theme and size, and what must be there."""


async def main() -> int:
    """Take them all; return the exit code."""
    problem = missing()
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", prefix="kasparro-", suffix=".csv") as file:
        # The sample's Bitcoin is of another day and another price than the made-up market's, which squeezes the chart.
        file.writelines(line for line in SAMPLE.open(encoding="utf-8") if "btc" not in line.lower())
        file.flush()
        await _take(file.name)
    return 0


async def _take(csv_path: str) -> None:
    async with running_demo(POLL_SECONDS, CSV_PATH=csv_path) as demo, running_browser() as browser:
        await _backfill(demo)
        for name, (path, theme, (width, height), there) in PICTURES.items():
            page = await browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if theme == "dark" else "light",
                reduced_motion="reduce",
            )
            await page.goto(demo.url + path)
            await page.wait_for_selector(there)
            if "/coins/" in path:
                await page.get_by_text("15m", exact=True).click()
            await page.wait_for_function("() => document.querySelector('.sign')?.innerText === 'Live'")
            await page.wait_for_load_state("networkidle")
            # Headless, the gutter of the scroll bar is drawn without the bar.
            await page.evaluate("document.querySelector('.scroller')?.style.setProperty('scrollbar-gutter', 'auto')")
            await page.screenshot(path=FOLDER / f"{name}.png")
            await page.close()


async def _backfill(demo: Demo) -> None:
    tickers = [word for ticker in SHOWN for word in ("--ticker", ticker)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kasparro", "backfill", "--demo", "--source", "coingecko", "--days", str(PAST_DAYS)),
        *tickers,
        env={**os.environ, **demo.environ},
    )
    await process.wait()


if __name__ == "__main__":
    with cleaned_up():
        code = asyncio.run(main())
    sys.exit(code)
