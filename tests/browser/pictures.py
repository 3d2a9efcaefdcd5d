"""`make screenshots`: takes the pictures of the README from a running demo."""

import asyncio
import sys

from bench.cleanup import cleanup
from tests.browser.visiting import DESK, PHONE, missing, running_browser, running_demo
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "pictures"
POLL_SECONDS = 10
"""The demo's own pace."""
HAS_PAST = r"backfill\.finished .*days=1 "
PAST_SECONDS = 120.0

PICTURES = {
    "coins-dark": ("/dashboard", "dark", DESK, ".rows .row .c-price"),
    "coins-light": ("/dashboard", "light", DESK, ".rows .row .c-price"),
    "coin-dark": ("/dashboard/coins/BTC", "dark", DESK, ".chart canvas"),
    "coin-light": ("/dashboard/coins/BTC", "light", DESK, ".chart canvas"),
    "runs-dark": ("/dashboard/runs", "dark", DESK, "table"),
    "coins-phone": ("/dashboard", "dark", PHONE, ".rows .row .c-price"),
    "coin-phone": ("/dashboard/coins/BTC", "dark", PHONE, ".chart canvas"),
}
"""The pictures by name: path, theme, size, and an element that must be present."""


async def main() -> int:
    """Take all pictures; return the exit code."""
    problem = missing()
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    async with running_demo(POLL_SECONDS) as demo, running_browser() as browser:
        await demo.program.wait_for(HAS_PAST, PAST_SECONDS)
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
                # The day that has a price for every 5 minutes; before it there is one an hour.
                await page.get_by_label("Zoom in").click()
                await page.mouse.move(0, 0)
            await page.wait_for_function(
                "() => document.querySelector('.sign')?.innerText === 'Live'"
            )
            await page.wait_for_load_state("networkidle")
            # A headless browser draws the gutter of the scroll bar without the bar.
            await page.evaluate(
                "document.querySelector('.scroller')?.style.setProperty('scrollbar-gutter', 'auto')"
            )
            await page.screenshot(path=FOLDER / f"{name}.png")
            await page.close()
    return 0


if __name__ == "__main__":
    with cleanup():
        code = asyncio.run(main())
    sys.exit(code)
