"""`python -m bench`: run the measurements and print what came of them."""

import asyncio
import importlib
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from bench.figures import Figure
from bench.machine import this_machine
from bench.screen import print_table, say
from db.logs import configure_logging
from db.settings import Settings

MEASUREMENTS: Final = ("history", "recording", "export", "reprocess", "live")
"""Modules of this package, each with `async def measure(*, quick: bool) -> list[Figure]`."""


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes, under two minutes: it shows that all of it runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--only", "names", multiple=True, metavar="NAME", type=click.Choice(MEASUREMENTS), help="May be repeated."
)
def main(*, quick: bool, as_json: bool, names: Sequence[str]) -> None:
    """Measure what Kasparro promises; see docs/PERFORMANCE.md.

    A figure that is missed is shown so and is no error: the exit code is 1 only where a measurement could not be taken.
    """
    configure_logging(Settings(home=Path(), log_level="WARNING"))
    machine = this_machine()
    figures, failed = asyncio.run(_run(names or MEASUREMENTS, quick=quick))
    commands = {name: f"python -m bench --only {name}{' --quick' if quick else ''}" for name in figures}
    if as_json:
        rows = [{"measurement": name, **f.row(commands[name])} for name, measured in figures.items() for f in measured]
        report = {"machine": machine, "quick": quick, "figures": rows, "failed": failed}
        click.echo(msgspec.json.format(msgspec.json.encode(report)))
    else:
        print_table(machine, figures, commands)
    raise click.exceptions.Exit(1 if failed else 0)


async def _run(names: Sequence[str], *, quick: bool) -> tuple[dict[str, list[Figure]], list[str]]:
    figures: dict[str, list[Figure]] = {}
    failed = []
    for name in names:
        say(f"{name} ...")
        started = time.perf_counter()
        try:
            figures[name] = await importlib.import_module(f"bench.{name}").measure(quick=quick)
        except Exception:  # noqa: BLE001 - the other measurements are worth taking all the same
            say(traceback.format_exc())
            failed.append(name)
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    return figures, failed


if __name__ == "__main__":
    main()
