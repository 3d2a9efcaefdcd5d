"""The dashboard in Chromium, over the demo: what it loads, how soon it shows coins, what an update costs."""

import asyncio
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from bench.figures import Figure, Wanted
from tests.browser.visiting import DESK, Demo, missing, running_browser, running_demo

if TYPE_CHECKING:
    from playwright.async_api import Browser, CDPSession, Page, WebSocket

LOADS, QUICK_LOADS = 9, 3
UPDATES_SECONDS, QUICK_UPDATES_SECONDS = 60.0, 10.0
ROWS_OF_AN_UPDATE = 500
STEPS = 150
STEP_PX = 300
"""What a wheel moves in one step."""
TIMEOUT_MS = 30_000

_FIRST_ROW = """
new MutationObserver((_, observer) => {
  if (document.querySelector('.rows .row .c-price')) { window.firstRow = performance.now(); observer.disconnect(); }
}).observe(document, { childList: true, subtree: true });
"""
_SCRIPT_BYTES = """
performance.getEntriesByType('resource').filter(entry => entry.initiatorType === 'script' || entry.name.endsWith('.js'))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)
"""
_SCROLL = """
async ([steps, px]) => {
  const scroller = document.querySelector('.scroller'), frames = [];
  let last = performance.now();
  for (let step = 0; step < steps; step++) {
    scroller.scrollBy(0, px);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  return frames;
}
"""


async def measure(*, quick: bool) -> list[Figure]:
    """Return the figures of the overview; the market has 1,900 coins, of which most move every few seconds."""
    problem = missing()
    if problem:
        raise RuntimeError(problem)
    async with running_demo() as demo, running_browser() as browser:
        loads = [await _load(browser, demo) for _ in range(QUICK_LOADS if quick else LOADS)]
        scripting = await _updates(browser, demo, QUICK_UPDATES_SECONDS if quick else UPDATES_SECONDS)
        frames = await _scrolled(browser, demo)
    return [
        Figure(
            what="dashboard: JavaScript before a chart is wanted, compressed",
            unit="KB",
            ours=loads[0][1] / 1000,
            wanted=Wanted(at_most=150),
        ),
        Figure(
            what="dashboard: from the address to the first rows",
            unit="ms",
            ours=statistics.median(milliseconds for milliseconds, _ in loads),
            wanted=Wanted(at_most=1_000),
        ),
        Figure(
            what=f"dashboard: scripting for an update of {ROWS_OF_AN_UPDATE} coins",
            unit="ms",
            ours=scripting,
            wanted=Wanted(at_most=16),
        ),
        Figure(
            what=f"dashboard: 95 of 100 frames while {STEPS * STEP_PX // 40:,} rows scroll by, without a GPU",
            unit="ms",
            ours=statistics.quantiles(frames, n=20)[-1],
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
    """Return the milliseconds until the first rows, in a profile that has nothing kept, and the bytes of scripts."""
    page = await _open(browser, demo)
    try:
        return await page.evaluate("window.firstRow"), await page.evaluate(_SCRIPT_BYTES)
    finally:
        await page.close()


async def _updates(browser: "Browser", demo: Demo, seconds: float) -> float:
    """Return the milliseconds of scripting that so many coins' updates take."""
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
    spent = await _script_seconds(client) - before
    await page.close()
    if not counted:
        raise RuntimeError("no update arrived")
    return 1000 * spent / counted * ROWS_OF_AN_UPDATE


def _coins_in(payload: str | bytes) -> int:
    message = msgspec.json.decode(payload)
    updates = ((message.get("payload") or {}).get("data") or {}) if message.get("type") == "next" else {}
    return sum(len(update.get("coins", ())) for update in updates.values())


async def _script_seconds(client: "CDPSession") -> float:
    metrics = (await client.send("Performance.getMetrics"))["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "ScriptDuration")


async def _scrolled(browser: "Browser", demo: Demo) -> Sequence[float]:
    page = await _open(browser, demo)
    frames: list[float] = await page.evaluate(_SCROLL, [STEPS, STEP_PX])
    await page.close()
    return frames
