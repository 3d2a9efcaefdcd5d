"""docs/ADD_A_SOURCE.md: the source that it builds is installed and run as it stands there."""

import json
import os
import re
import tomllib
from pathlib import Path

from aiohttp import web
from aiohttp.pytest_plugin import AiohttpServer

from db.connect.types import Connection
from tests.conftest import ROOT, StartProgram

DOCUMENT = (ROOT / "docs/ADD_A_SOURCE.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)


def install(folder: Path) -> None:
    (module,), (project,) = blocks("python"), blocks("toml")
    (folder / "acme_source.py").write_text(module, encoding="utf-8")
    declared = tomllib.loads(project)["project"]
    info = folder / "acme_source-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n"
    )
    for group, entries in declared["entry-points"].items():
        lines = [f"{name} = {value}\n" for name, value in entries.items()]
        (info / "entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}")


async def test_the_source_of_the_document_is_ingested(
    start_program: StartProgram,
    aiohttp_server: AiohttpServer,
    database: str,
    connection: Connection,
    tmp_path: Path,
) -> None:
    install(tmp_path)
    keys: list[str | None] = []

    async def coins(request: web.Request) -> web.Response:
        keys.append(request.headers.get("X-Acme-Key"))
        return web.Response(body=blocks("json")[0], content_type="application/json")

    app = web.Application()
    app.router.add_get("/v1/coins", coins)
    server = await aiohttp_server(app)
    program = start_program(
        *("-m", "kasparro", "ingest", "--once", "--source", "acme", "--json"),
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
        DATABASE_URL=database,
        KASPARRO_HOME=str(tmp_path / "home"),
        SOURCES="acme",
        ACME_URL=str(server.make_url("/v1")),
        ACME_API_KEY="our-key",
    )
    assert await program.wait(120) == 0, program.text()
    assert keys == ["our-key"]
    coin = await connection.fetchrow(
        "SELECT ticker, name, price_usd::float FROM normalized_records"
    )
    assert coin is not None
    assert tuple(coin) == ("ACM", "Acme Coin", 1.25)
    (sent,) = json.loads(blocks("json")[0])
    listing = await connection.fetchrow(
        "SELECT source, external_id, extract(epoch FROM observed_at)::int FROM listings"
    )
    assert listing is not None
    assert tuple(listing) == ("acme", sent["id"], sent["at"])


async def test_a_wrong_setting_of_the_source_is_one_line(
    start_program: StartProgram, tmp_path: Path
) -> None:
    install(tmp_path)
    program = start_program(
        *("-m", "kasparro", "ingest", "--once"),
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
        KASPARRO_HOME=str(tmp_path / "home"),
        SOURCES="acme",
        ACME_URL="acme.example",
    )
    assert await program.wait(60) == 2
    (line,) = program.text().strip().splitlines()
    assert "ACME_URL must be an http or https URL" in line
    assert line.endswith("it is 'acme.example'")
