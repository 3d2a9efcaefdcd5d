"""`kasparro check`: what files say, before the service reads them."""

import click

from common.settings import Settings
from kasparro.check import CheckResult, check_paths
from kasparro.check.text import lines_of
from kasparro.cli.common.errors import FAILED
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.terminal import say, say_json
from kasparro.cli.common.which import demo_option, settings_for


@click.command("check")
@click.argument("paths", nargs=-1, metavar="[FILE]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@demo_option
def command(*, paths: tuple[str, ...], as_json: bool, demo: bool | None) -> None:
    """Show how files would be read, before they are. Nothing is written.

    FILE is what CSV_PATH may be: a file, a folder or a glob; `-` is standard input. Without FILE,
    the files of CSV_PATH are checked.

    It shows how each file is written, which columns are read as what, the first rows as they become
    listings, notes, and rejected rows. Where a database runs, it counts the coins that would
    change.

    \b
    Exit codes: 0 every row is read, 1 rows or files are not, 2 a file does not exist.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    settings = settings_for(demo)
    result = run_to_end(lambda: _check(paths, settings))
    if as_json:
        say_json(result)
    else:
        for line in lines_of(result):
            say(line)
    if not result.is_clean:
        raise click.exceptions.Exit(FAILED)


async def _check(paths: tuple[str, ...], settings: Settings) -> CheckResult:
    return await check_paths(paths or (settings.csv_path or str(settings.csv_folder),), settings)
