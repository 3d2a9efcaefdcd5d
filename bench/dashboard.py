"""The dashboard in Chromium over the demo: download size, time to first rows, cost of updates."""

import asyncio
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from bench.figures import Bounds, Figure
from tests.browser.visiting import DESK, Demo, missing, running_browser, running_demo

if TYPE_CHECKING:
    from playwright.async_api import Browser, CDPSession, Page, WebSocket

LOADS, QUICK_LOADS = 9, 1
UPDATES_SECONDS, QUICK_UPDATES_SECONDS = 60.0, 5.0
ROWS_OF_AN_UPDATE = 500
SCROLLED_COINS = 6_500
"""Coins of each provider, which give about 6,000 tickers."""
ROWS, ROW_PX = 5_000, 40
ROWS_PER_SECOND = 450
"""300 pixels a frame at 60 Hz, as for a dragged scroll bar; a wheel is slower."""
FRAME_MS = 33
"""Two frames at 60 Hz: one may be late on two cores without a GPU."""
TIMEOUT_MS = 30_000

_FIRST_ROW = """
new MutationObserver((_, observer) => {
  if (document.querySelector('.rows .row .c-price')) {
    window.firstRow = performance.now();
    observer.disconnect();
  }
}).observe(document, { childList: true, subtree: true });
"""
_SCRIPT_BYTES = """
performance.getEntriesByType('resource')
  .filter(entry => entry.initiatorType === 'script' || entry.name.endsWith('.js'))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)
"""
_LOAD = """
async ([rows, rowPx]) => {
  const scroller = document.querySelector('.scroller');
  while (document.querySelector('.rows').clientHeight < rows * rowPx) {
    scroller.scrollTo(0, scroller.scrollHeight);
    await new Promise(requestAnimationFrame);
  }
  scroller.scrollTo(0, 0);
}
"""
_IS_LIVE = """
() => document.querySelector('.table').ariaBusy === 'false'
  && document.querySelector('.sign')?.innerText === 'Live'
"""
# By the clock, not by the frame: a late page has more to draw, as for a user.
_SCROLL = """
async ([rows, rowPx, rowsPerSecond]) => {
  const scroller = document.querySelector('.scroller'), frames = [];
  const end = rows * rowPx - scroller.clientHeight;
  const start = performance.now();
  let last = start;
  for (let top = 0; top < end;) {
    top = Math.min(end, (last - start) / 1000 * rowsPerSecond * rowPx);
    scroller.scrollTop = top;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  return frames;
}
"""


async def measure(*, quick: bool) -> list[Figure]:
    """Return the figures of the overview with 1,900 coins, of which most move.

    The scrolling is measured with 6,000 coins. Raises RuntimeError.
    """
    problem = missing()
    if problem:
        raise RuntimeError(problem)
    async with running_demo() as demo, running_browser() as browser:
        loads = [await _load(browser, demo) for _ in range(QUICK_LOADS if quick else LOADS)]
        scripting = await _updates(
            browser, demo, QUICK_UPDATES_SECONDS if quick else UPDATES_SECONDS
        )
    async with running_demo(coins=SCROLLED_COINS) as demo, running_browser() as browser:
        frames = await _scroll(browser, demo)
    return [
        Figure(
            what="dashboard: JavaScript before the first chart, compressed",
            unit="KB",
            ours=loads[0][1] / 1000,
            bounds=Bounds(at_most=150),
        ),
        Figure(
            what="dashboard: from the address to the first rows",
            unit="ms",
            ours=statistics.median(milliseconds for milliseconds, _ in loads),
            bounds=Bounds(at_most=1_000),
        ),
        Figure(
            what=f"dashboard: scripting for an update of {ROWS_OF_AN_UPDATE} coins",
            unit="ms",
            ours=scripting,
            bounds=Bounds(at_most=16),
        ),
        Figure(
            what=f"dashboard: 95 of 100 frames while {ROWS:,} loaded rows scroll by, without a GPU",
            unit="ms",
            ours=statistics.quantiles(frames, n=20)[-1],
            bounds=Bounds(at_most=FRAME_MS),
        ),
    ]


async def _open(browser: "Browser", demo: Demo) -> "Page":
    page = await browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    page.set_default_timeout(TIMEOUT_MS)
    await page.add_init_script(_FIRST_ROW)
    await page.goto(demo.url + "/dashboard")
    await page.wait_for_function("() => window.firstRow")
    return page


async def _load(browser: "Browser", demo: Demo) -> tuple[float, float]:
    """Return the milliseconds to the first rows with an empty cache, and the bytes of scripts."""
    page = await _open(browser, demo)
    try:
        return await page.evaluate("window.firstRow"), await page.evaluate(_SCRIPT_BYTES)
    finally:
        await page.close()


async def _updates(browser: "Browser", demo: Demo, seconds: float) -> float:
    """Return the milliseconds of scripting for an update of many coins."""
    page = await _open(browser, demo)
    counted = 0

    def on_frame(payload: str | bytes) -> None:
        nonlocal counted
        counted += _coins_in(payload)

    def on_socket(socket: "WebSocket") -> None:
        socket.on("framereceived", on_frame)

    page.on("websocket", on_socket)
    await page.reload()
    await page.wait_for_function("() => document.querySelector('.sign')?.innerText === 'Live'")
    client = await page.context.new_cdp_session(page)
    await client.send("Performance.enable")
    before, counted = await _script_seconds(client), 0
    await asyncio.sleep(seconds)
    script_seconds = await _script_seconds(client) - before
    await page.close()
    if not counted:
        raise RuntimeError("no update arrived")
    return 1000 * script_seconds / counted * ROWS_OF_AN_UPDATE


def _coins_in(payload: str | bytes) -> int:
    message = msgspec.json.decode(payload)
    updates = (
        ((message.get("payload") or {}).get("data") or {}) if message.get("type") == "next" else {}
    )
    return sum(len(update.get("coins", ())) for update in updates.values())


async def _script_seconds(client: "CDPSession") -> float:
    metrics = (await client.send("Performance.getMetrics"))["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "ScriptDuration")


async def _scroll(browser: "Browser", demo: Demo) -> Sequence[float]:
    """Return the milliseconds of each frame while loaded rows scroll by during live updates."""
    page = await _open(browser, demo)
    async with asyncio.timeout(TIMEOUT_MS / 1000):
        await page.evaluate(_LOAD, [ROWS, ROW_PX])
        await page.wait_for_function(_IS_LIVE)
    frames: list[float] = await page.evaluate(_SCROLL, [ROWS, ROW_PX, ROWS_PER_SECOND])
    await page.close()
    return frames
