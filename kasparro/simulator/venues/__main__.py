"""The program: `python -m kasparro.simulator.venues`."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kasparro.simulator.venues.app import VenueAddress, serving_venues
from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.prices import TickingMarket, make_pairs
from kasparro.simulator.venues.protocols import PROTOCOLS
from kasparro.simulator.venues.replay import replay
from kasparro.simulator.venues.sessions import read_session

STEPS_A_SECOND = 20


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9100, help="0 for any free one.")
@click.option("--coins", type=click.IntRange(2, 5_000), default=500, help="Coins of each venue.")
@click.option("--ticks", type=click.IntRange(1), default=200, help="Ticks a second and venue.")
@click.option(
    "--venue",
    "venues",
    multiple=True,
    type=click.Choice(list(PROTOCOLS)),
    help="A venue to serve; repeatable.  [default: all]",
)
@click.option("--seed", type=int, default=1, help="Equal seeds give equal prices.")
@click.option(
    "--replay",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Replay the recorded sessions of this folder instead (BINANCE.ws.*, KRAKEN.ws.*, ...).",
)
@click.option("--speed", type=click.FloatRange(0.01), default=1.0, help="Of a replay.")
def main(
    *,
    host: str,
    port: int,
    coins: int,
    ticks: int,
    venues: tuple[str, ...],
    seed: int,
    folder: Path | None,
    speed: float,
) -> None:
    """Serve exchanges with websockets, over a market that ticks or recorded sessions."""
    pairs = make_pairs(coins)
    exchanges = {
        name: SimulatedExchange(PROTOCOLS[name], pairs) for name in venues or tuple(PROTOCOLS)
    }
    if folder is None:
        work = _tick(exchanges, ticks, seed)
    else:
        work = _replay(exchanges, sorted(folder.glob("*.ws.*")), speed)
    asyncio.run(_serve(exchanges, host, port, work))


async def _serve(
    exchanges: Mapping[str, SimulatedExchange],
    host: str,
    port: int,
    work: Coroutine[Any, Any, None],
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving_venues(exchanges, host, port) as addresses:
        _greet(addresses)
        tasks = [asyncio.create_task(work), asyncio.create_task(_beat(exchanges))]
        await asyncio.wait(
            [asyncio.create_task(stop.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED
        )
        for task in tasks:
            task.cancel()


def _greet(addresses: Mapping[str, VenueAddress]) -> None:
    for name, address in addresses.items():
        click.echo(f"simulator: {name} at {address.stream_url}, markets at {address.api_url}")
    sys.stdout.flush()


async def _tick(exchanges: Mapping[str, SimulatedExchange], ticks: int, seed: int) -> None:
    markets = {name: TickingMarket(exchange.pairs, seed) for name, exchange in exchanges.items()}
    while True:
        for name, exchange in exchanges.items():
            markets[name].move()
            count = max(1, ticks // STEPS_A_SECOND) * exchange.burst
            exchange.publish_ticks(markets[name].ticks(count, exchange.factor))
        await asyncio.sleep(1 / STEPS_A_SECOND)


async def _replay(
    exchanges: Mapping[str, SimulatedExchange], paths: Sequence[Path], speed: float
) -> None:
    """Replay every session again and again, each at its venue."""
    async with asyncio.TaskGroup() as group:
        for path in paths:
            exchange = exchanges.get(path.name.partition(".")[0].lower())
            if exchange is not None:
                group.create_task(_repeat(exchange, path, speed))


async def _repeat(exchange: SimulatedExchange, path: Path, speed: float) -> None:
    session = read_session(path)
    while True:
        await replay(exchange, session, speed=speed)
        await asyncio.sleep(1.0)


async def _beat(exchanges: Mapping[str, SimulatedExchange]) -> None:
    while True:
        for exchange in exchanges.values():
            exchange.heartbeat()
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    main()
