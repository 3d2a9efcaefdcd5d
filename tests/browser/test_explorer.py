"""GraphiQL and /docs in a real browser."""

import re

from tests.browser.conftest import Visitor

RESULT = "() => /%s/.test(document.querySelector('.graphiql-response')?.innerText ?? '')"


async def test_the_explorer_runs_a_query_and_a_subscription(visitor: Visitor) -> None:
    async with visitor.visit("/graphql") as page:
        run = page.get_by_role("button", name="Execute query")
        for tab, pattern in (("Coins", "Bitcoin"), ("CoinUpdates", "coinUpdates")):
            await page.locator(".graphiql-tab-button", has_text=re.compile(f"^{tab}$")).click()
            await run.click()
            # GraphiQL learns of a tab's operation a moment after it shows it, and asks for the old one until then.
            while True:
                await page.wait_for_function(RESULT % f"{pattern}|no operation named")
                if await page.evaluate(RESULT % pattern):
                    break
                await run.click()
        await page.get_by_role("button", name="Stop query").click()
        kept = await page.evaluate("Object.keys(localStorage).filter(key => /header/i.test(key))")
        values = await page.evaluate(
            "Object.entries(localStorage).filter(([key]) => /header/i.test(key)).map(e => e[1])"
        )
        assert all(value in ("", "false", "null") for value in values), (kept, values)


async def test_the_examples_of_the_explorer_are_there(visitor: Visitor) -> None:
    async with visitor.visit("/graphql") as page:
        await page.locator(".graphiql-query-editor .CodeMirror").first.wait_for()
        assert await page.locator(".graphiql-tab").count() > 2


async def test_the_rest_side_is_described(visitor: Visitor) -> None:
    async with visitor.visit("/docs") as page:
        await page.get_by_text("/trigger-etl").first.wait_for()
        assert "/data" in await page.inner_text("body")
