"""The program: `python -m kasparro.simulator`."""

import asyncio
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from kasparro.simulator.app import Address, create_app, serving
from kasparro.simulator.faults import Fault, read_faults
from kasparro.simulator.limits import RateLimits, parse_rate
from kasparro.simulator.market.market import (
    DEFAULT_COINS,
    LARGEST_MARKET,
    SMALLEST_MARKET,
    SimulatedMarket,
    utc,
)
from kasparro.simulator.market.universe import Provider
from kasparro.simulator.replay import DEFAULT_COINGECKO, DEFAULT_COINPAPRIKA, read_recording
from kasparro.simulator.venues.beside import ExchangesBeside

DEFAULT_PORT = 9000
EXIT_BAD_ARGUMENT = 2


class Options(Struct, frozen=True):
    """The command line: one option for each field, with its name."""

    host: str
    port: int
    coins: int
    seed: int
    tick_seconds: int | None
    moving: float
    start: datetime | None
    plan: str
    rate_limit: str | None
    coinpaprika_rate_limit: str | None
    coingecko_rate_limit: str | None
    coinpaprika_monthly_limit: int | None
    coingecko_monthly_limit: int | None
    coinpaprika_key: str | None
    coingecko_key: str | None
    faults: str | None
    replay: Path | None
    replay_coinpaprika: str
    replay_coingecko: str
    venues: bool


def main() -> int:
    """Run the command line; return 0 after a stop, 2 for a bad argument or a used port."""
    try:
        command.main(prog_name="simulator", standalone_mode=False)
    except (click.ClickException, ValueError, OSError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"simulator: {' '.join(message.split())}", err=True)
        return EXIT_BAD_ARGUMENT
    return 0


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    help="Port to listen on; 0 for any free one.",
)
@click.option(
    "--coins",
    type=click.IntRange(SMALLEST_MARKET, LARGEST_MARKET),
    default=DEFAULT_COINS,
    help="Coins on each provider's list.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, help="Equal seeds and ticks give equal bytes."
)
@click.option(
    "--tick-seconds",
    type=click.IntRange(1),
    help="Move prices at this interval; by default only POST /_control/tick does.",
)
@click.option(
    "--moving",
    type=click.FloatRange(0, 1),
    default=0.4,
    help="Share of the listings that move at each tick.",
)
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    help="Start of the market's clock, UTC.  [default: now]",
)
@click.option(
    "--plan",
    type=click.Choice(["full", "free"]),
    default="full",
    help="CoinPaprika's plan; free sends 2,000 coins.",
)
@click.option("--rate-limit", help="Requests allowed to each provider: 10/s, 30/m or 500/h.")
@click.option("--coinpaprika-rate-limit", help="The rate of CoinPaprika alone.")
@click.option("--coingecko-rate-limit", help="The rate of CoinGecko alone.")
@click.option(
    "--coinpaprika-monthly-limit",
    type=click.IntRange(1),
    help="Requests until CoinPaprika answers 402.",
)
@click.option(
    "--coingecko-monthly-limit",
    type=click.IntRange(1),
    help="Requests until CoinGecko answers only 429.",
)
@click.option("--coinpaprika-key", help="Key that CoinPaprika requires.")
@click.option("--coingecko-key", help="Key that CoinGecko requires.")
@click.option("--faults", help="Faults at the start: JSON, or the name of a JSON file.")
@click.option(
    "--replay",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Serve recorded bodies from this folder instead.",
)
@click.option(
    "--replay-coinpaprika",
    default=DEFAULT_COINPAPRIKA,
    help="Pattern of the body of /tickers; the largest match is served.",
)
@click.option(
    "--replay-coingecko",
    default=DEFAULT_COINGECKO,
    help="Pattern of the pages of /coins/markets.",
)
@click.option(
    "--venues",
    is_flag=True,
    help="Also serve six exchanges with websockets, which trade the best-known coins.",
)
def command(**arguments: Any) -> None:  # noqa: ANN401 - Options has their types
    """Simulate a crypto market with CoinPaprika's and CoinGecko's APIs."""
    options = Options(**arguments)
    asyncio.run(_serve(options))


async def _serve(options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    market = SimulatedMarket(
        options.coins,
        options.seed,
        start=utc(options.start) if options.start else None,
        step_seconds=options.tick_seconds or 1,
        moving=options.moving,
        free_plan=options.plan == "free",
    )
    recording = None
    if options.replay:
        recording = read_recording(
            options.replay, options.replay_coinpaprika, options.replay_coingecko
        )
    app = create_app(
        market,
        recording=recording,
        faults=_faults(options),
        limits=_limits(options),
        keys=_keys(options),
    )
    if options.venues:
        ExchangesBeside(market, options.seed).add_to(app)
    async with serving(app, options.host, options.port) as address:
        click.echo(_greeting(options, address))
        sys.stdout.flush()
        while not stop.is_set():
            await _next_tick(stop, None if recording else options.tick_seconds, market)


async def _next_tick(
    stop: asyncio.Event, tick_seconds: int | None, market: SimulatedMarket
) -> None:
    try:
        await asyncio.wait_for(stop.wait(), tick_seconds)
    except TimeoutError:
        market.advance()


def _greeting(options: Options, address: Address) -> str:
    subject = (
        f"replaying {options.replay}"
        if options.replay
        else f"{options.coins:,} coins, seed {options.seed}"
    )
    urls = f"COINPAPRIKA_URL={address.coinpaprika_url} COINGECKO_URL={address.coingecko_url}"
    return f"simulator: {subject}, {address.root} ({urls})"


def _faults(options: Options) -> list[Fault]:
    try:
        return read_faults(options.faults) if options.faults else []
    except (msgspec.DecodeError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--faults") from error


def _limits(options: Options) -> dict[Provider, RateLimits]:
    rates: dict[Provider, str | None] = {
        "coinpaprika": options.coinpaprika_rate_limit or options.rate_limit,
        "coingecko": options.coingecko_rate_limit or options.rate_limit,
    }
    monthly: dict[Provider, int | None] = {
        "coinpaprika": options.coinpaprika_monthly_limit,
        "coingecko": options.coingecko_monthly_limit,
    }
    return {
        name: RateLimits(parse_rate(rate) if rate else None, monthly[name])
        for name, rate in rates.items()
    }


def _keys(options: Options) -> dict[Provider, str]:
    keys: dict[Provider, str | None] = {
        "coinpaprika": options.coinpaprika_key,
        "coingecko": options.coingecko_key,
    }
    return {name: key for name, key in keys.items() if key}


if __name__ == "__main__":
    sys.exit(main())
