"""Every page of a demo states that its prices are made up."""

from tests.browser.conftest import Visitor
from tests.browser.visiting import PHONE


async def test_the_dashboard_says_that_the_prices_are_made_up(visitor: Visitor) -> None:
    async with visitor.visit("/dashboard") as page:
        await page.locator("header").get_by_text("Demo: made-up prices").wait_for()
        await page.wait_for_function("() => document.title === 'Demo - Coins - Kasparro'")
        await page.get_by_role("link", name="Runs").first.click()
        await page.wait_for_function("() => document.title === 'Demo - Runs - Kasparro'")
    async with visitor.visit("/dashboard/coins/BTC", size=PHONE) as page:
        await page.wait_for_function("() => document.title === 'Demo - BTC - Kasparro'")
        assert await page.locator("header .demo").inner_text() == "Demo"


async def test_the_explorer_and_the_rest_page_say_it_too(visitor: Visitor) -> None:
    async with visitor.visit("/graphql") as page:
        await page.get_by_text("Demo: the prices are made up.").wait_for()
        assert (await page.title()).startswith("Demo - ")
    async with visitor.visit("/docs") as page:
        await page.get_by_text("(demo: prices are made up)").wait_for()
