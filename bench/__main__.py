"""`python -m bench`: run the measurements and print their figures."""

import importlib
import signal
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
import click
import msgspec
import uvloop

from bench.cleanup import cleanup
from bench.figures import Figure
from bench.lines import LinesFailedError
from bench.machine import this_machine
from bench.screen import print_table, say
from common.logs import configure_logging
from common.settings import Settings

MEASUREMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "history": (),
    "recording": (),
    "export": (),
    "reprocess": (),
    "verify": (),
    "startup": (),
    "queries": ("coins", "coin", "nested", "deep", "data"),
    "ingest": ("cycle", "known", "csv"),
    "live": (),
    "dashboard": (),
    "streams": (),
}
"""The modules of this package and their lines.

Each has `async def measure(*, quick: bool) -> list[Figure]`. A module with lines has one more
parameter, `lines`; a line can be measured alone, as `queries.coins`.
"""

NAMES: Final = tuple(
    name
    for module, lines in MEASUREMENTS.items()
    for name in (module, *(f"{module}.{line}" for line in lines))
)


@click.command()
@click.option(
    "--quick", is_flag=True, help="Small sizes, under two minutes: shows only that everything runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--only",
    "names",
    multiple=True,
    metavar="NAME",
    type=click.Choice(NAMES),
    help=f"One of {', '.join(NAMES)}; repeatable.",
)
def main(*, quick: bool, as_json: bool, names: Sequence[str]) -> None:
    """Measure the promises of docs/PERFORMANCE.md; peers are installed at first use.

    A figure out of its bounds is not an error: the exit code is 1 only if a measurement failed.
    """
    configure_logging(Settings(home=Path(), log_level="WARNING"))
    machine = this_machine()
    # SIGTERM ends what the run started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with cleanup():
        # The event loop of the ingestor and the server.
        figures, failed = uvloop.run(_run(select_lines(names or tuple(MEASUREMENTS)), quick=quick))
    rows = [
        (name, figure, command(name, figure, quick=quick))
        for name, found in figures.items()
        for figure in found
    ]
    if as_json:
        shown = [{"measurement": name, **figure.row(again)} for name, figure, again in rows]
        report = {"machine": machine, "quick": quick, "figures": shown, "failed": failed}
        click.echo(msgspec.json.format(msgspec.json.encode(report)))
    else:
        print_table(machine, [(figure, again) for _, figure, again in rows])
    raise click.exceptions.Exit(1 if failed else 0)


def select_lines(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the selected lines of each module; the name of a module selects all its lines."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        module, _, line = name.partition(".")
        lines = (line,) if line else MEASUREMENTS[module]
        found[module] = tuple(dict.fromkeys((*found.get(module, ()), *lines)))
    return found


def command(name: str, figure: Figure, *, quick: bool) -> str:
    """Return the shortest command that measures this figure."""
    line = f".{figure.line}" if figure.line else ""
    return f"python -m bench --only {name}{line}{' --quick' if quick else ''}"


async def _run(
    names: Mapping[str, tuple[str, ...]], *, quick: bool
) -> tuple[dict[str, list[Figure]], list[str]]:
    figures: dict[str, list[Figure]] = {}
    failed: list[str] = []
    # Two at a time are less accurate, which does not matter for the quick sizes.
    turns = anyio.CapacityLimiter(2 if quick else 1)

    async def take(name: str, lines: tuple[str, ...]) -> None:
        async with turns:
            say(f"{name} ...")
            started = time.perf_counter()
            try:
                measure = importlib.import_module(f"bench.{name}").measure
                figures[name] = await (
                    measure(quick=quick, lines=lines) if lines else measure(quick=quick)
                )
            except LinesFailedError as error:
                figures[name] = error.figures
                failed.extend(f"{name}.{line}" for line in error.lines)
            except Exception:  # noqa: BLE001 - the other measurements still run
                say(traceback.format_exc())
                failed.append(name)
            say(f"{name}: {time.perf_counter() - started:.0f} s")

    async with anyio.create_task_group() as group:
        for name, lines in names.items():
            group.start_soon(take, name, lines)
    return {name: figures[name] for name in names if name in figures}, failed


if __name__ == "__main__":
    main()
