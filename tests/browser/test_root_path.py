"""Every page below a path prefix, through a proxy that strips it, with one build."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kasparro.supervise.ports import free_port
from tests.browser.conftest import Visitor, rows_of
from tests.browser.proxy import running_proxy
from tests.browser.test_dashboard import IS_LIVE
from tests.browser.test_explorer import RESULT
from tests.browser.visiting import Demo
from tests.conftest import StartProgram

PREFIX = "/tools/kasparro"


@pytest.fixture
async def url(demo: Demo, start_program: StartProgram) -> AsyncIterator[str]:
    """The URL of a server below PREFIX with the database of the demo."""
    home = Path(demo.environ["KASPARRO_HOME"]) / "demo"
    environ = {
        **demo.environ,
        "KASPARRO_HOME": str(home),
        "PORT": str(free_port()),
        "ROOT_PATH": PREFIX,
    }
    program = start_program("-m", "server", **environ)
    listening = await program.wait_for(r"Listening at (\S+)")
    # If the server's routes have the prefix, the address that it reports ends with it.
    address = urlsplit(listening[1])
    async with running_proxy(f"{address.scheme}://{address.netloc}", PREFIX) as proxy:
        yield proxy.url


@pytest.mark.parametrize("path", ["/", "/dashboard"])
async def test_the_dashboard_works_below_a_prefix(visitor: Visitor, url: str, path: str) -> None:
    async with visitor.visit(path, url=url) as page:
        await page.wait_for_function(IS_LIVE)
        assert "BTC" in await rows_of(page)
        for name, shown in (("Runs", "Table of runs"), ("Sources", "coinpaprika")):
            await page.get_by_role("link", name=name, exact=True).first.click()
            await page.get_by_role("region", name=shown).wait_for()
            assert page.url == f"{url}/dashboard/{name.lower()}"
            await page.reload()
            await page.get_by_role("region", name=shown).wait_for()
        await page.goto(f"{url}/dashboard/coins/BTC")
        await page.locator(".chart canvas").first.wait_for()
        for name, place in (("GraphQL", "/graphql"), ("REST", "/docs")):
            assert (
                await page.get_by_role("link", name=name, exact=True).get_attribute("href")
                == PREFIX + place
            )


async def test_the_explorer_works_below_a_prefix(visitor: Visitor, url: str) -> None:
    async with visitor.visit("/graphql", url=url) as page:
        await page.get_by_role("button", name="Execute query").click()
        await page.wait_for_function(RESULT % "Bitcoin")
        await page.locator(".graphiql-tab-button", has_text="CoinUpdates").click()
        while not await page.evaluate(RESULT % "coinUpdates"):
            await page.get_by_role("button", name="Execute query").click()
            await page.wait_for_function(RESULT % "coinUpdates|no operation named")
        await page.get_by_role("button", name="Stop query").click()


async def test_the_rest_page_works_below_a_prefix(visitor: Visitor, url: str) -> None:
    async with visitor.visit("/docs", url=url) as page:
        await page.locator(".opblock", has_text="/stats").wait_for()
