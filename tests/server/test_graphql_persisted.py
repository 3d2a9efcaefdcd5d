"""Documents by id: persisted by clients or trusted by the operator, on every transport."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from common.settings import Settings, SettingsError
from server.documents import MAX_PERSISTED_BYTES, Documents, hash_of, open_documents
from tests.conftest import StartProgram
from tests.server.conftest import AddCoin, Service, running_service
from tests.server.graphql_live import connected
from tests.server.graphql_rows import Json

QUERY = "query ($first: Int) { coins(first: $first) { nodes { ticker } } }"
LONG = QUERY + " " * 10_000
SUBSCRIPTION = 'subscription { coinUpdates(after: "WzAsbnVsbF0") { cursor } }'
MUTATION = "mutation { triggerEtl { request { id } } }"
DATA = {"data": {"coins": {"nodes": [{"ticker": "BTC"}]}}}
TIMEOUT_SECONDS = 20

Transport = Callable[[Service, dict[str, Any]], Awaitable[Json]]


def persisted(text: str, digest: str | None = None) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest or hash_of(text)}}}


async def by_post(service: Service, body: dict[str, Any]) -> Json:
    async with service.client.post("/graphql", json=body) as response:
        return await response.json()


async def by_get(service: Service, body: dict[str, Any]) -> Json:
    given = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()
    }
    async with service.client.get(f"/graphql?{urlencode(given)}") as response:
        return await response.json()


async def by_event_stream(service: Service, body: dict[str, Any]) -> Json:
    async with service.client.post(
        "/graphql", json=body, headers={"Accept": "text/event-stream"}
    ) as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))
    raise AssertionError("nothing came")


async def by_multipart(service: Service, body: dict[str, Any]) -> Json:
    accept = {"Accept": "multipart/mixed;subscriptionSpec=1.0"}
    async with service.client.post("/graphql", json=body, headers=accept) as response:
        async for line in response.content:
            if line.startswith(b'{"payload":'):
                return json.loads(line)["payload"]
    raise AssertionError("nothing came")


async def by_websocket(service: Service, body: dict[str, Any]) -> Json:
    async with connected(service) as socket:
        await socket.send(id="1", type="subscribe", payload=body)
        message = await socket.receive()
        return message["payload"] if message["type"] == "next" else {"errors": message["payload"]}


TRANSPORTS: list[Transport] = [by_post, by_get, by_event_stream, by_multipart, by_websocket]
LIVE: list[Transport] = [by_event_stream, by_multipart, by_websocket]


def code_of(answer: Json) -> str:
    assert "data" not in answer, answer
    (error,) = answer["errors"]
    code: str = error["extensions"]["code"]
    return code


@pytest.fixture
async def _coin(add_coin: AddCoin) -> None:
    await add_coin("BTC")


@pytest.mark.usefixtures("_coin")
@pytest.mark.parametrize(
    "text", [QUERY, LONG, '{ coins { nodes { ticker } } __type(name: "x") { name } }']
)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_hash_stands_for_the_text_that_came_with_it(
    service: Service, transport: Transport, text: str
) -> None:
    alone = {**persisted(text), "variables": {"first": 1}}
    for _ in range(2):
        answer = await transport(service, alone)
        assert code_of(answer) == "PERSISTED_QUERY_NOT_FOUND"
        assert answer["errors"][0]["message"] == "PersistedQueryNotFound"
    expected = DATA["data"] if "__type" not in text else {**DATA["data"], "__type": None}
    assert (await transport(service, {**alone, "query": text}))["data"] == expected
    for _ in range(2):
        for other in TRANSPORTS:
            assert (await other(service, alone))["data"] == expected


@pytest.mark.usefixtures("_coin")
async def test_who_does_not_know_a_hash_is_told_with_the_status_of_its_media_type(
    service: Service,
) -> None:
    for accept, status in (("application/json", 200), ("application/graphql-response+json", 400)):
        async with service.client.post(
            "/graphql", json=persisted(QUERY), headers={"Accept": accept}
        ) as response:
            assert response.status == status
        query = urlencode({"extensions": json.dumps(persisted(QUERY)["extensions"])})
        async with service.client.get(f"/graphql?{query}", headers={"Accept": accept}) as response:
            assert (response.status, response.headers["Cache-Control"]) == (status, "no-store")
    assert await by_post(service, {**persisted(QUERY), "query": QUERY}) == DATA
    async with service.client.get(f"/graphql?{query}") as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")
        etag = {"If-None-Match": response.headers["ETag"]}
    async with service.client.get(f"/graphql?{query}", headers=etag) as response:
        assert response.status == 304


@pytest.mark.usefixtures("_coin")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_hash_of_another_text_is_an_error_and_is_not_kept(
    service: Service, transport: Transport
) -> None:
    answer = await transport(service, {**persisted(QUERY), "query": "{ sources { name } }"})
    assert code_of(answer) == "BAD_REQUEST"
    assert code_of(await by_post(service, persisted(QUERY))) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.usefixtures("_coin")
async def test_a_document_may_be_named_by_its_id(service: Service) -> None:
    named = {"documentId": f"sha256:{hash_of(QUERY)}"}
    assert code_of(await by_post(service, named)) == "PERSISTED_QUERY_NOT_FOUND"
    assert await by_post(service, {**named, "query": QUERY}) == DATA
    for body in (named, {"doc_id": hash_of(QUERY)}, persisted(QUERY)):
        for transport in TRANSPORTS:
            assert await transport(service, body) == DATA


async def test_a_persisted_mutation_cannot_be_asked_for_by_get(service: Service) -> None:
    assert (await by_post(service, {**persisted(MUTATION), "query": MUTATION}))[
        "data"
    ] is None  # without a token
    query = urlencode({"extensions": json.dumps(persisted(MUTATION)["extensions"])})
    async with service.client.get(f"/graphql?{query}") as response:
        assert response.status == 405


async def test_a_subscription_may_be_persisted(service: Service) -> None:
    for transport in LIVE:
        assert (
            code_of(await transport(service, persisted(SUBSCRIPTION)))
            == "PERSISTED_QUERY_NOT_FOUND"
        )
    refused = SUBSCRIPTION.replace("WzAsbnVsbF0", "x")
    for transport in LIVE:
        answer = await transport(service, {**persisted(refused), "query": refused})
        assert code_of(answer) == "BAD_USER_INPUT"
        assert await transport(service, persisted(refused)) == answer


def test_what_clients_persist_is_bounded() -> None:
    documents = Documents()
    texts = [f"{{ a{number} }}" + " " * 50_000 for number in range(400)]
    for text in texts:
        documents.persist(hash_of(text), text)
        documents.get(hash_of(texts[0]))
    assert MAX_PERSISTED_BYTES - 60_000 < documents.size_bytes <= MAX_PERSISTED_BYTES
    found = [documents.get(hash_of(text)) is not None for text in texts]
    assert found[0], "it was used all the time"
    assert not any(found[1:200])
    assert all(found[300:])
    before = documents.size_bytes
    documents.persist(hash_of(texts[-1]), texts[-1])
    documents.persist("x", "x" * (MAX_PERSISTED_BYTES + 1))
    assert documents.size_bytes == before
    assert documents.get("x") is None


TRUSTED = {"a": QUERY, "b": SUBSCRIPTION, "c": LONG}


def relay_manifest(folder: Path) -> Path:
    file = folder / "persisted.json"
    file.write_text(json.dumps(TRUSTED), encoding="utf-8")
    return file


def apollo_manifest(folder: Path) -> Path:
    operations = [
        {"id": name, "body": text, "name": "Q", "type": "query"} for name, text in TRUSTED.items()
    ]
    file = folder / "manifest.json"
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}
    file.write_text(json.dumps(manifest), encoding="utf-8")
    return file


def folder_of_files(folder: Path) -> Path:
    (folder / "deep").mkdir()
    for name, text in TRUSTED.items():
        (folder / "deep" / f"{name}.graphql").write_text(text + "\n", encoding="utf-8")
    return folder


@pytest.fixture(params=[relay_manifest, apollo_manifest, folder_of_files])
async def trusting(
    request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    path = request.param(tmp_path_factory.mktemp("documents"))
    async with running_service(
        msgspec.structs.replace(settings, trusted_documents=path)
    ) as service:
        yield service


@pytest.mark.usefixtures("_coin")
async def test_only_trusted_documents_run(
    trusting: Service, request: pytest.FixtureRequest
) -> None:
    by_name = "folder_of_files" not in request.node.name
    for transport in TRANSPORTS:
        bodies = [{"query": QUERY}, persisted(QUERY), {"documentId": f"sha256:{hash_of(QUERY)}"}]
        bodies += [{"doc_id": "a"}, {"documentId": "c"}, persisted("", "a")] if by_name else []
        for body in bodies:
            assert await transport(trusting, body) == DATA, body
        foreign = QUERY.replace("ticker", "name")
        for body in (
            {"query": foreign},
            {"query": "{ __typename }"},
            {"query": "{ __schema { queryType { name } } }"},
            {"query": QUERY + " query B { sources { name } }"},
            {"query": MUTATION},
            {"query": "subscription { runUpdates { cursor } }"},
            {"query": foreign, **persisted(foreign)},
            {"query": foreign, **persisted(QUERY)},
        ):
            assert code_of(await transport(trusting, body)) == "UNTRUSTED_DOCUMENT", body
        for body in (persisted(foreign), {"documentId": "nope"}):
            assert code_of(await transport(trusting, body)) == "PERSISTED_QUERY_NOT_FOUND", body


async def test_a_trusted_subscription_is_followed(trusting: Service) -> None:
    for body in ({"query": SUBSCRIPTION}, persisted(SUBSCRIPTION)):
        async with asyncio.timeout(TIMEOUT_SECONDS), connected(trusting) as socket:
            await socket.send(id="1", type="subscribe", payload=body)
            while not trusting.state.hub.subscriber_count:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"a": 5}', '{"format": "apollo-persisted-query-manifest"}']
)
def test_trusted_documents_that_cannot_be_read_are_told(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"TRUSTED_DOCUMENTS must .*manifest\.json"):
        open_documents(path)
    with pytest.raises(SettingsError, match="at least one"):
        open_documents(tmp_path)


async def test_a_server_whose_trusted_documents_cannot_be_read_does_not_start(
    start_program: StartProgram, database: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    program = start_program(
        "-m",
        "server",
        DATABASE_URL=database,
        KASPARRO_HOME=str(tmp_path),
        PORT=str(unused_tcp_port),
        TRUSTED_DOCUMENTS=str(tmp_path / "nowhere"),
    )
    await program.wait_for("TRUSTED_DOCUMENTS must be a folder")
    assert await asyncio.to_thread(program.process.wait, 20) == 2
