"""GraphiQL and /docs in a real browser."""

import re

from tests.browser.conftest import Visitor

SECRET = "must-not-be-kept"  # noqa: S105 - the test searches for it
WRITTEN = "() => localStorage.getItem('graphiql:%s')?.includes('typed-later')"
RESULT = "() => /%s/.test(document.querySelector('.graphiql-response')?.innerText ?? '')"


async def test_the_explorer_runs_a_query_and_a_subscription(visitor: Visitor) -> None:
    async with visitor.visit("/graphql") as page:
        run = page.get_by_role("button", name="Execute query")
        for tab, pattern in (("Coins", "Bitcoin"), ("CoinUpdates", "coinUpdates")):
            await page.locator(".graphiql-tab-button", has_text=re.compile(f"^{tab}$")).click()
            await run.click()
            # GraphiQL shows a tab's operation shortly before it runs it, and until then runs the
            # previous one.
            while True:
                await page.wait_for_function(RESULT % f"{pattern}|no operation named")
                if await page.evaluate(RESULT % pattern):
                    break
                await run.click()
        await page.get_by_role("button", name="Stop query").click()


async def test_the_explorer_does_not_store_headers(visitor: Visitor) -> None:
    async with visitor.visit("/graphql") as page:
        await page.get_by_role("button", name="Headers", exact=True).click()
        await page.locator('[aria-label="Headers"] .CodeMirror:visible').click()
        await page.keyboard.insert_text(f'{{"X-Scheduler-Token": "{SECRET}"}}')
        # GraphiQL stores its input after a delay. The query is typed last, so once it is stored,
        # the headers would be, too.
        await page.locator(".graphiql-query-editor .CodeMirror").click()
        await page.keyboard.insert_text("#typed-later ")
        await page.wait_for_function(WRITTEN % "tabState")
        async with page.expect_request(
            lambda request: request.headers.get("x-scheduler-token") == SECRET
        ):
            await page.get_by_role("button", name="Execute query").click()
        await page.wait_for_function(WRITTEN % "queries")
        assert SECRET not in await page.evaluate("() => JSON.stringify({...localStorage})")


async def test_the_explorer_shows_its_examples(visitor: Visitor) -> None:
    async with visitor.visit("/graphql") as page:
        await page.locator(".graphiql-query-editor .CodeMirror").first.wait_for()
        assert await page.locator(".graphiql-tab").count() > 2


async def test_the_rest_page_describes_and_runs_a_request(visitor: Visitor) -> None:
    async with visitor.visit("/docs") as page:
        operation = page.locator(".opblock", has_text="/stats")
        await operation.locator(".opblock-summary-control").click()
        await operation.get_by_role("button", name="Execute").click()
        await operation.locator(
            ".live-responses-table .response-col_status", has_text="200"
        ).wait_for()
