"""Replay mode: recorded bytes come out as they were recorded."""

import gzip
import json
from pathlib import Path

import aiohttp
import pytest

from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.replay import read_recording

MARKETS = "/coins/markets?vs_currency=usd&page="


async def read(client: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    async with client.get(url) as response:
        return response.status, await response.read()


async def test_bodies_come_out_byte_for_byte(tmp_path: Path, client: aiohttp.ClientSession) -> None:
    tickers = b'[ {"id": "btc-bitcoin",  "price": 1.10e-9} ]\n'
    (tmp_path / "coinpaprika-tickers-b.json.gz").write_bytes(gzip.compress(tickers))
    (tmp_path / "coinpaprika-tickers-a.json").write_bytes(b"[]")
    for page in (b"[1]", b"[2,  3]"):
        (tmp_path / f"coingecko-markets-{len(page)}.json").write_bytes(page)
    async with serving(
        create_app(SimulatedMarket(), recording=read_recording(tmp_path))
    ) as simulator:
        assert await read(client, f"{simulator.coinpaprika_url}/tickers?quotes=USD") == (
            200,
            tickers,
        )
        pages = [
            await read(client, f"{simulator.coingecko_url}{MARKETS}{page}") for page in (1, 2, 3)
        ]
        assert pages == [(200, b"[1]"), (200, b"[2,  3]"), (200, b"[]")]
        assert (await read(client, f"{simulator.coinpaprika_url}/coins"))[0] == 404
        assert (await read(client, f"{simulator.coingecko_url}/coins/list"))[0] == 404
        assert (await read(client, f"{simulator.coingecko_url}/coins/markets"))[0] == 422
        assert (await read(client, f"{simulator.control_url}/expected"))[0] == 404
        state = json.loads((await read(client, f"{simulator.control_url}/state"))[1])
        assert (state["mode"], len(state["files"])) == ("replay", 3)


def recorded_pages(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("coingecko-markets-*.json"))]


async def test_the_recordings_come_out_byte_for_byte(
    shared_recordings: Path, client: aiohttp.ClientSession
) -> None:
    tickers = gzip.decompress(
        (shared_recordings / "coinpaprika-tickers-2021-08-12T1906.json.gz").read_bytes()
    )
    pages = recorded_pages(shared_recordings)
    async with serving(
        create_app(SimulatedMarket(), recording=read_recording(shared_recordings))
    ) as simulator:
        assert await read(client, f"{simulator.coinpaprika_url}/tickers?quotes=USD") == (
            200,
            tickers,
        )
        for number, page in enumerate([*pages, b"[]"], 1):
            assert await read(client, f"{simulator.coingecko_url}{MARKETS}{number}") == (200, page)
    one = read_recording(
        shared_recordings, "coinpaprika-tickers-sample-2024*", "coingecko-markets-stable*"
    )
    assert one.tickers
    assert one.tickers.name == "coinpaprika-tickers-sample-2024-06-29T1327.json"
    assert len(one.market_pages) == 1


def test_a_folder_with_nothing_to_replay_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="coinpaprika-tickers"):
        read_recording(tmp_path)
