"""The program as an operator starts and stops it."""

import asyncio
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Program, StartProgram

GREETING = (
    r"^simulator: (?P<subject>.+), (?P<root>http://127\.0\.0\.1:\d+) "
    r"\(COINPAPRIKA_URL=(?P<paprika>\S+) COINGECKO_URL=(?P<gecko>\S+)\)\n$"
)
PATIENCE_SECONDS = 30


def start(start_program: StartProgram, *arguments: str) -> Program:
    return start_program("-m", "kasparro.simulator", "--port", "0", *arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_is_and_stops_when_told(
    start_program: StartProgram, client: aiohttp.ClientSession, number: signal.Signals
) -> None:
    program = start(start_program, "--coins", "1000", "--seed", "5")
    said = await program.wait_for(GREETING)
    assert said["subject"] == "1,000 coins, seed 5"
    for url in (f"{said['gecko']}/ping", f"{said['paprika']}/tickers/btc-bitcoin"):
        async with client.get(url) as response:
            assert response.status == 200
    assert await program.stop(number) == 0
    assert program.text() == said[0]


async def test_it_stops_although_a_client_waits_for_an_answer_that_never_comes(
    start_program: StartProgram, client: aiohttp.ClientSession
) -> None:
    program = start(start_program, "--coins", "100", "--faults", '{"kind":"timeout"}')
    said = await program.wait_for(GREETING)
    waiting = asyncio.create_task(status(client, f"{said['paprika']}/tickers"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await received(client, said["root"]):
            continue
    assert await program.stop() == 0
    assert await waiting in (503, None)


async def status(client: aiohttp.ClientSession, url: str) -> int | None:
    try:
        async with client.get(url) as response:
            return response.status
    except aiohttp.ClientConnectionError:
        return None


async def received(client: aiohttp.ClientSession, root: str) -> list[object]:
    async with client.get(f"{root}/_control/requests") as response:
        return list(await response.json())


async def test_it_ticks_by_itself(
    start_program: StartProgram, client: aiohttp.ClientSession
) -> None:
    said = await start(start_program, "--coins", "100", "--tick-seconds", "1").wait_for(GREETING)

    async def tick() -> int:
        async with client.get(f"{said['root']}/_control/state") as response:
            return int((await response.json())["tick"])

    async with asyncio.timeout(PATIENCE_SECONDS):
        while await tick() < 1:
            continue


async def test_it_replays_a_folder(
    start_program: StartProgram, tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    (tmp_path / "coinpaprika-tickers-now.json").write_text("[  ]")
    said = await start(start_program, "--replay", str(tmp_path)).wait_for(GREETING)
    assert said["subject"] == f"replaying {tmp_path}"
    async with client.get(f"{said['paprika']}/tickers") as response:
        assert await response.text() == "[  ]"


async def test_equal_settings_give_equal_bytes_in_another_process(
    start_program: StartProgram, client: aiohttp.ClientSession
) -> None:
    bodies = []
    for _ in range(2):
        said = await start(
            start_program, "--coins", "200", "--start", "2026-11-01T12:00:00Z"
        ).wait_for(GREETING)
        async with client.get(f"{said['paprika']}/tickers") as response:
            bodies.append(await response.read())
    assert bodies[0] == bodies[1]


async def test_its_limits_and_keys_are_those_of_the_command_line(
    start_program: StartProgram, client: aiohttp.ClientSession
) -> None:
    arguments = [
        "--rate-limit",
        "2/h",
        "--coinpaprika-monthly-limit",
        "1",
        "--coingecko-key",
        "secret",
    ]
    said = await start(start_program, "--coins", "100", *arguments).wait_for(GREETING)
    assert [await status(client, f"{said['paprika']}/tickers") for _ in range(2)] == [200, 402]
    assert await status(client, f"{said['gecko']}/ping") == 401
    keyed = f"{said['gecko']}/ping?x_cg_demo_api_key=secret"
    assert [await status(client, keyed) for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--coins", "3"], "'--coins': 3 is not in the range"),
        (["--no-such"], "No such option"),
        (["--rate-limit", "many"], "'many' is not a rate such as 10/s"),
        (["--faults", '{"kind":"flood"}'], "$.kind"),
        (["--faults", "missing.json"], "missing.json"),
        (["--replay", "no/such/folder"], "no/such/folder"),
        (["--replay", "kasparro/simulator"], "has no file coinpaprika-tickers-*"),
    ],
)
async def test_a_bad_argument_gets_one_line_and_2(
    start_program: StartProgram, arguments: list[str], reason: str
) -> None:
    program = start(start_program, *arguments)
    assert await program.wait() == 2
    assert program.text().startswith("simulator: ")
    assert reason in program.text()
    assert program.text().count("\n") == 1


async def test_a_taken_port_gets_one_line_and_2(start_program: StartProgram) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        program = start(start_program, "--port", port)
        assert await program.wait() == 2
    assert port in program.text()
    assert program.text().count("\n") == 1
