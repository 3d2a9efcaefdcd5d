"""GraphQL over HTTP with urql, Apollo Client, Relay's compiler and graphql-http."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.settings import Settings
from tests.conftest import ROOT
from tests.live.test_npm_clients import FOLDER, node
from tests.server.conftest import AddCoin, AddSource, Service, running_service

TIMEOUT_SECONDS = 120
AUDITS = 61
QUERY = "query Coins($first: Int) { coins(first: $first) { nodes { ticker } } }"
RELAY_CONFIG = {
    "src": "./src",
    "schema": "./schema.graphql",
    "language": "javascript",
    "artifactDirectory": "./artifacts",
    "persistConfig": {"file": "./persisted.json", "algorithm": "SHA256"},
}


async def run(*arguments: object, cwd: Path = FOLDER) -> str:
    """Run a script with Node.js and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(node(), *map(str, arguments)),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode() + errors.decode()
    return output.decode()


async def test_graphql_http_finds_every_audit_passed(service: Service) -> None:
    found: list[dict[str, str]] = json.loads(await run("audit.js", f"{service.url}/graphql"))
    assert [audit for audit in found if audit["status"] != "ok"] == []
    assert len(found) == AUDITS


async def run_queries(kind: str, service: Service, times: int) -> list[dict[str, Any]]:
    """Send a query so many times, by POST and GET in turn; return the requests."""
    request = json.dumps({"query": QUERY, "variables": {"first": 5}})
    report = json.loads(await run("ask.js", kind, f"{service.url}/graphql", times, request))
    for result in report["results"]:
        assert "error" not in result, result
        assert [coin["ticker"] for coin in result["data"]["coins"]["nodes"]] == ["BTC"]
    assert len(report["results"]) == times
    requests: list[dict[str, Any]] = report["requests"]
    return requests


async def test_every_query_of_urql_is_answered_in_one_piece(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    requests = await run_queries("urql", service, 100)
    assert [request["method"] for request in requests] == 50 * ["POST", "GET"]
    assert {request["type"] for request in requests} == {
        "application/graphql-response+json; charset=utf-8"
    }
    assert "text/event-stream" in requests[0]["accept"], (
        "it no longer names streams: the test tests nothing"
    )


async def test_apollo_persists_a_query_once_and_then_sends_its_hash(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    requests = await run_queries("apollo", service, 6)
    summary = [(request["method"], request["hasQuery"]) for request in requests]
    # One client uses POST, another GET; both use the document that the first persisted.
    assert summary == [
        ("POST", False),
        ("POST", True),
        *([("GET", False), ("POST", False)] * 3)[:5],
    ]


async def test_what_relay_s_compiler_makes_of_the_schema_runs_as_trusted_documents(
    settings: Settings, add_coin: AddCoin, add_source: AddSource, tmp_path: Path
) -> None:
    await add_coin("BTC")
    await add_source("csv")
    shutil.copytree(FOLDER / "relay" / "src", tmp_path / "src")
    shutil.copy(ROOT / "schema.graphql", tmp_path)
    (tmp_path / "artifacts").mkdir()
    manifest = tmp_path / "persisted.json"
    manifest.write_text("{}", encoding="utf-8")
    (tmp_path / "relay.config.json").write_text(json.dumps(RELAY_CONFIG), encoding="utf-8")
    compiler = FOLDER / "node_modules" / "relay-compiler" / "cli.js"
    await run(compiler, "./relay.config.json", cwd=tmp_path)
    ids = {
        text.split("(")[0].split("{")[0].split()[1]: key
        for key, text in json.loads(manifest.read_bytes()).items()
    }
    assert ids.keys() == {
        "CoinsQuery",
        "CoinsPageQuery",
        "CoinsCoinQuery",
        "CoinsTriggerMutation",
        "CoinsUpdatesSubscription",
    }
    trusting = msgspec.structs.replace(settings, trusted_documents=manifest)
    async with running_service(trusting) as service:
        body: dict[str, Any] = {"doc_id": ids["CoinsQuery"], "variables": {"count": 1}}
        async with service.client.post("/graphql", json=body) as response:
            answer = await response.json()
        assert answer["data"]["sources"] == [{"name": "csv"}]
        (edge,) = answer["data"]["coins"]["edges"]
        body = {"doc_id": ids["CoinsCoinQuery"], "variables": {"id": edge["node"]["id"]}}
        async with service.client.post("/graphql", json=body) as response:
            assert (await response.json())["data"]["node"]["ticker"] == "BTC"
        async with service.client.post(
            "/graphql", json={"query": "{ sources { name } }"}
        ) as response:
            assert (await response.json())["errors"][0]["extensions"][
                "code"
            ] == "UNTRUSTED_DOCUMENT"


@pytest.mark.parametrize(
    "package", ["@apollo/client", "@urql/core", "graphql-http", "relay-compiler"]
)
def test_the_clients_are_pinned_and_their_lock_names_no_host(package: str) -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_bytes())
    version = json.loads((FOLDER / "package.json").read_bytes())["devDependencies"][package]
    assert version[0].isdigit()
    assert lock["packages"][f"node_modules/{package}"]["version"] == version
    assert not [name for name, found in lock["packages"].items() if "resolved" in found]
