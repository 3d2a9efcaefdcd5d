"""The dashboard of a server that allows only trusted documents."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from common.settings import Settings
from server.documents import DASHBOARD_DOCUMENTS
from tests.server.conftest import AddCoin, add_coin, running_service, settings

if TYPE_CHECKING:
    from playwright.async_api import Browser

__all__ = ["add_coin", "settings"]


async def test_the_dashboard_needs_only_its_own_documents(
    browser: "Browser", settings: Settings, add_coin: AddCoin, tmp_path: Path
) -> None:
    await add_coin("BTC")
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"a": "{ __typename }"}', encoding="utf-8")
    trusting = msgspec.structs.replace(settings, trusted_documents=manifest)
    async with running_service(trusting) as service:
        for text in json.loads(DASHBOARD_DOCUMENTS.read_bytes()).values():
            async with service.client.post("/graphql", json={"query": text}) as response:
                assert "UNTRUSTED_DOCUMENT" not in await response.text()
        context = await browser.new_context()
        page = await context.new_page()
        refused: list[str] = []
        frames: list[str] = []
        # With GraphQL's media type, which the page accepts, a refused document gives 400.
        page.on(
            "response",
            lambda response: refused.append(response.url) if response.status >= 400 else None,
        )
        page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))),
        )
        try:
            for path in ("", "/coins/BTC", "/runs", "/sources"):
                await page.goto(f"{service.url}/dashboard{path}", wait_until="networkidle")
                await page.wait_for_function(
                    "() => document.querySelector('.sign')?.innerText === 'Live'"
                )
        finally:
            await context.close()
        assert refused == []
        assert frames
        assert not [frame for frame in frames if '"error"' in frame]
