"""The dashboard: one page at many paths, immutable files, and a page if it is not built."""

from pathlib import Path

import pytest

import server.pages
from server.pages import FOLDERS, Folder
from tests.server.conftest import Service
from tests.server.test_app_pages import HTML, Loaded, page

SCRIPT = b"console.log('the dashboard');" * 100
NAME = "index-B_x-91aZ.js"


@pytest.fixture
def dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the built dashboard's."""
    folder = tmp_path / "dashboard"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>built</title>")
    (folder / "theme.js").write_bytes(SCRIPT)
    (folder / NAME).write_bytes(SCRIPT)
    (folder / "LICENSES.md").touch()
    monkeypatch.setattr(server.pages, "DASHBOARD", folder)
    monkeypatch.setitem(FOLDERS, "dashboard", Folder(folder, frozenset({"theme.js"}), hashed=True))
    return folder


@pytest.mark.usefixtures("dashboard")
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/dashboard",
        "/dashboard/",
        "/dashboard/coins/BTC",
        "/dashboard/coins/A%2FB",
        "/dashboard/runs/run_1",
    ],
)
async def test_every_address_of_the_dashboard_answers_its_page_anew_each_time(
    service: Service, path: str
) -> None:
    async with service.client.get(path, headers=HTML) as response:
        assert response.status == 200
        assert "built" in await response.text()
        assert response.headers["Cache-Control"] == "no-cache"
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.usefixtures("dashboard")
@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip", "identity"])
async def test_a_file_with_a_hash_is_immutable_and_compressed_if_accepted(
    service: Service, encoding: str
) -> None:
    async with service.client.get(
        f"/static/dashboard/{NAME}", headers={"Accept-Encoding": encoding}
    ) as response:
        assert response.status == 200
        assert await response.read() == SCRIPT  # the client unpacks it
        assert response.headers["Content-Type"].startswith("text/javascript")
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.headers.get("Content-Encoding", "identity") == encoding


@pytest.mark.usefixtures("dashboard")
async def test_a_file_that_keeps_its_name_is_revalidated_and_no_other_can_be_reached(
    service: Service,
) -> None:
    async with service.client.get("/static/dashboard/theme.js") as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-cache"
    for name in ("index.html", "LICENSES.md", "index-B_x-91aZ.css", "..%2findex-B_x-91aZ.js"):
        async with service.client.get(f"/static/dashboard/{name}") as response:
            assert response.status == 404, name
            # Another version may have it.
            assert "%2f" in name or response.headers["Cache-Control"] == "no-store"


async def test_a_dashboard_that_was_never_built_says_how_to_build_it_and_what_there_is_without_it(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.pages, "DASHBOARD", tmp_path / "nothing")
    for path in ("/", "/dashboard/runs"):
        text = await page(service, path)
        assert "make web" in text
        assert "/graphql" in text
    assert (await service.get("/"))["status"] == "running"


async def test_the_built_dashboard_loads_only_our_own_files_and_holds_nothing_inline(
    service: Service,
) -> None:
    if not (server.pages.DASHBOARD / "index.html").is_file():
        pytest.skip("the dashboard is not built here: make web")
    loaded = Loaded()
    loaded.feed(await page(service, "/dashboard"))
    assert loaded.inline == []
    assert len(loaded.addresses) > 3
    for address in loaded.addresses:
        async with service.client.get(address) as response:
            assert response.status == 200, address
            cache_control = response.headers.get("Cache-Control", "")
            assert ("immutable" in cache_control) == ("-" in address.rpartition("/")[2]), address
