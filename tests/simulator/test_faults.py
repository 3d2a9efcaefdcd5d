"""Every fault as a real client meets it."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kasparro.simulator.app import Address
from kasparro.simulator.faults import Fault, decode_faults, read_faults

TICKERS = "/coinpaprika/v1/tickers"
MARKETS = "/coingecko/api/v3/coins/markets?vs_currency=usd&page="


async def get(
    client: aiohttp.ClientSession, simulator: Address, path: str = TICKERS
) -> tuple[int, bytes, dict[str, str]]:
    async with client.get(simulator.root + path, allow_redirects=False) as response:
        return (
            response.status,
            await response.read(),
            {name.lower(): value for name, value in response.headers.items()},
        )


def queue(simulator: Address, *faults: Fault) -> None:
    simulator.simulation.faults.add(list(faults))


async def test_a_status_comes_as_often_as_asked_and_then_all_is_well(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    queue(simulator, Fault("status", status=502, times=2), Fault("status", status=599))
    assert [(await get(client, simulator))[0] for _ in range(4)] == [502, 502, 599, 200]
    assert [received.fault for received in simulator.simulation.received] == [
        "status",
        "status",
        "status",
        None,
    ]


async def test_retry_after_comes_in_both_forms(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    queue(
        simulator,
        Fault("status", status=429, retry_after=7),
        Fault("status", status=503, retry_after=90, retry_after_form="date"),
    )
    assert (await get(client, simulator))[2]["retry-after"] == "7"
    date = parsedate_to_datetime((await get(client, simulator))[2]["retry-after"])
    assert 80 < (date - datetime.now(UTC)).total_seconds() < 91


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("error", ["error"]),
        ("status", ["status", "error_message"]),
        ("error_status", ["error", "status", "error_message"]),
        ("timestamp", ["status", "error_message"]),
    ],
)
async def test_coingecko_has_four_error_shapes(
    simulator: Address, client: aiohttp.ClientSession, shape: str, path: list[str]
) -> None:
    simulator.simulation.faults.add(
        decode_faults(json.dumps({"kind": "status", "status": 500, "shape": shape}))
    )
    status, body, _ = await get(client, simulator, f"{MARKETS}1")
    message: Any = json.loads(body)
    for key in path:
        message = message[key]
    assert (status, message) == (500, "Internal Server Error")


@pytest.mark.parametrize("status", [200, 503])
async def test_the_network_before_the_provider_answers_in_html(
    simulator: Address, client: aiohttp.ClientSession, status: int
) -> None:
    queue(simulator, Fault("html", status=status), Fault("status", status=status, shape="empty"))
    got, body, headers = await get(client, simulator)
    assert (got, headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert body.startswith(b"<!DOCTYPE html>")
    assert (await get(client, simulator))[:2] == (status, b"")


async def test_a_redirect_leads_on(simulator: Address, client: aiohttp.ClientSession) -> None:
    queue(simulator, Fault("redirect", times=2), Fault("redirect", location="/elsewhere"))
    async with client.get(simulator.root + TICKERS) as response:
        assert [passed.status for passed in response.history] == [302, 302, 302]
        assert response.url.path == "/elsewhere"
    queue(simulator, Fault("redirect", location="/elsewhere"))
    assert (await get(client, simulator))[2]["location"] == "/elsewhere"


async def test_a_time_out_never_answers(simulator: Address, client: aiohttp.ClientSession) -> None:
    queue(simulator, Fault("timeout"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await get(client, simulator)
    assert (await get(client, simulator))[0] == 200


async def test_a_connection_is_reset(simulator: Address, client: aiohttp.ClientSession) -> None:
    queue(simulator, Fault("reset", times=None))
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(client, simulator)
    simulator.simulation.faults.clear()
    assert (await get(client, simulator))[0] == 200


async def test_a_body_is_cut(simulator: Address, client: aiohttp.ClientSession) -> None:
    queue(simulator, Fault("cut"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await get(client, simulator)
    assert (await get(client, simulator))[0] == 200


async def test_a_body_drips(simulator: Address, client: aiohttp.ClientSession) -> None:
    _, whole, _ = await get(client, simulator, f"{MARKETS}1&per_page=1")
    queue(simulator, Fault("drip", bytes_per_second=len(whole) * 4))
    clock = asyncio.get_running_loop()
    begun = clock.time()
    assert (await get(client, simulator, f"{MARKETS}1&per_page=1"))[1] == whole
    assert clock.time() - begun > 0.2


async def test_a_client_that_gives_up_on_a_drip_harms_no_other(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    queue(simulator, Fault("drip", bytes_per_second=10))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await get(client, simulator)
    assert (await get(client, simulator))[0] == 200


async def test_json_is_truncated_or_of_the_wrong_type(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    _, whole, _ = await get(client, simulator)
    queue(simulator, Fault("truncated"), Fault("wrong_type"))
    status, half, _ = await get(client, simulator)
    assert status == 200
    assert half == whole[: len(whole) // 2]
    _, wrapped, _ = await get(client, simulator)
    assert json.loads(wrapped) == {"data": json.loads(whole)}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("bad_record", lambda record: record["quotes"]["USD"]["price"] == "high"),
        ("nul_record", lambda record: record["name"].startswith("\u0000")),
        ("out_of_range", lambda record: record["quotes"]["USD"]["price"] == Decimal("1e400")),
    ],
)
async def test_one_record_is_wrong_and_the_others_are_as_they_were(
    simulator: Address,
    client: aiohttp.ClientSession,
    kind: str,
    wrong: Callable[[dict[str, Any]], bool],
) -> None:
    good = json.loads((await get(client, simulator))[1], parse_float=Decimal)
    simulator.simulation.faults.add(decode_faults(json.dumps({"kind": kind, "record": 3})))
    _, body, _ = await get(client, simulator)
    bad = json.loads(body, parse_float=Decimal)
    assert wrong(bad[3])
    assert bad[:3] + bad[4:] == good[:3] + good[4:]


async def test_a_spoiled_body_is_not_spared_to_who_has_a_good_one(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    _, whole, headers = await get(client, simulator)
    queue(simulator, Fault("truncated"))
    async with client.get(
        simulator.root + TICKERS, headers={"If-None-Match": headers["etag"]}
    ) as response:
        assert (response.status, "ETag" in response.headers) == (200, False)
        assert len(await response.read()) < len(whole)


async def test_a_fault_waits_for_its_provider_route_page_and_turn(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    queue(
        simulator,
        Fault("status", status=500, provider="coingecko", route="/coins/*", page=2),
        Fault("status", status=501, provider="coinpaprika", after=1),
    )
    paths = [
        f"{MARKETS}1",
        TICKERS,
        "/coingecko/api/v3/ping?page=2",
        f"{MARKETS}2",
        TICKERS,
        f"{MARKETS}2",
        TICKERS,
    ]
    assert [(await get(client, simulator, path))[0] for path in paths] == [
        200,
        200,
        200,
        500,
        501,
        200,
        200,
    ]


def test_faults_are_read_from_text_or_a_file(tmp_path: Path) -> None:
    text = '[{"kind":"reset"},{"kind":"cut","times":null}]'
    (tmp_path / "faults.json").write_text(text)
    assert (
        read_faults(text)
        == read_faults(str(tmp_path / "faults.json"))
        == [Fault("reset"), Fault("cut", times=None)]
    )
    assert read_faults('{"kind":"drip"}') == [Fault("drip")]


def test_the_queue_is_bounded(simulator: Address) -> None:
    with pytest.raises(ValueError, match="10,000"):
        simulator.simulation.faults.add([Fault("reset")] * 10_001)
