"""The pages for a browser: all files are of the same origin, and no script is inline."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

import server.pages
from common.settings import Settings
from tests.server.conftest import Service, running_service

PAGES = ["/", "/docs", "/graphql"]
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Loaded(HTMLParser):
    """Collects what a page loads and links to, and what a strict policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.root: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.root = names.get("data-root", self.root)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.inline += [name for name in names if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.inline.append(tag)


async def page(service: Service, path: str) -> str:
    async with service.client.get(path, headers=HTML) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/html")
        return await response.text()


@pytest.fixture
def explorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the built explorer's."""
    folder = tmp_path / "explorer"
    folder.mkdir()
    monkeypatch.setattr(server.pages, "EXPLORER", folder)
    return folder


@pytest.fixture
def _no_dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.pages, "DASHBOARD", tmp_path / "dashboard")


@pytest.mark.usefixtures("_no_dashboard")
@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_only_our_own_files_and_holds_nothing_inline(
    service: Service, path: str, explorer: Path
) -> None:
    for name in server.pages.EXPLORER_SCRIPTS:
        (explorer / name).touch()
    loaded = Loaded()
    loaded.feed(await page(service, path))
    assert loaded.inline == []
    assert len(loaded.addresses) > 2
    for address in loaded.addresses:
        if address == "data:,":  # no icon
            continue
        assert re.match(r"/(?!/)", address)
        if address.startswith("/static/explorer/"):
            assert address.removeprefix("/static/explorer/") in server.pages.EXPLORER_SCRIPTS
            continue
        async with service.client.get(address, headers=HTML) as response:
            assert response.status == 200, address


@pytest.mark.usefixtures("_no_dashboard")
@pytest.mark.parametrize("path", PAGES)
async def test_below_a_path_prefix_every_address_of_a_page_begins_with_it(
    settings: Settings, path: str
) -> None:
    below = msgspec.structs.replace(settings, root_path="/tools/kasparro")
    async with running_service(settings) as plain, running_service(below) as service:
        loaded, expected = Loaded(), Loaded()
        loaded.feed(await page(service, path))
        expected.feed(await page(plain, path))
        assert loaded.addresses == [
            f"/tools/kasparro{address}" if address.startswith("/") else address
            for address in expected.addresses
        ]
        assert (loaded.root, expected.root) == ("/tools/kasparro/", "/")


async def test_an_explorer_that_was_never_built_says_how_to_build_it(
    service: Service, explorer: Path
) -> None:
    assert list(explorer.iterdir()) == []
    assert "make web" in await page(service, "/graphql")
    query = {"query": "{ __typename }"}
    async with service.client.post("/graphql", json=query) as response:
        assert (await response.json())["data"] == {"__typename": "Query"}


async def test_docs_that_were_never_built_say_how_to_build_them(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.pages, "SWAGGER", tmp_path)
    text = await page(service, "/docs")
    assert "make web" in text
    assert "/openapi.json" in text


async def test_a_browser_may_still_send_a_query_in_the_address(service: Service) -> None:
    async with service.client.get(
        "/graphql", params={"query": "{ __typename }"}, headers=HTML
    ) as response:
        assert (await response.json())["data"] == {"__typename": "Query"}


async def test_programs_get_json_where_browsers_get_a_page(service: Service) -> None:
    async with service.client.get("/", headers=HTML) as response:
        assert response.headers["Content-Type"].startswith("text/html")
        assert response.headers["Vary"] == "Accept, Accept-Encoding"
    async with service.client.get("/", headers={"Accept": "*/*"}) as response:
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Vary"] == "Accept, Accept-Encoding"


async def test_files_are_revalidated_and_no_other_file_can_be_reached(service: Service) -> None:
    async with service.client.get("/static/swagger/swagger-ui-bundle.js") as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-cache"
        etag = response.headers["ETag"]
    async with service.client.get(
        "/static/swagger/swagger-ui-bundle.js", headers={"If-None-Match": etag}
    ) as response:
        assert response.status == 304
    for path in (
        "/static/swagger/index.html",
        "/static/nothing/pages.css",
        "/static/pages/dashboard_missing.html",
        "/static/pages/..%2f__init__.py",
        "/static/pages/../../state.py",
    ):
        async with service.client.get(path) as response:
            assert response.status == 404, path
