"""`kasparro doctor`: problems, and what to do about them."""

import click
import msgspec
from rich.console import Console
from rich.text import Text

from common.logs import configure_logging
from common.settings import Settings
from ingestor.sources import all_specs
from kasparro.cli.common.errors import FAILED
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.terminal import cell, say_json
from kasparro.cli.common.which import demo_option, settings_for
from kasparro.doctor import Finding, examine

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@demo_option
def command(*, as_json: bool, demo: bool | None) -> None:
    """Check the machine, the settings, the database and the sources.

    Reads the first page of each provider, and files; names what it does not read of them.

    \b
    Exit codes: 0 no errors, 1 a check failed, 2 a setting is invalid.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    settings = settings_for(demo, market=True)
    for spec in all_specs():
        if spec.name in settings.sources:
            spec.settings.load(settings)
    # The findings include what a retry would log.
    configure_logging(msgspec.structs.replace(settings, log_level="ERROR"))
    findings = run_to_end(lambda: _examine(settings, quiet=as_json))
    if as_json:
        say_json(findings)
    if any(finding.level == "fail" for finding in findings):
        raise click.exceptions.Exit(FAILED)


async def _examine(settings: Settings, *, quiet: bool) -> list[Finding]:
    screen = Console(quiet=quiet, highlight=False, soft_wrap=True)
    findings = []
    async for finding in examine(settings):
        findings.append(finding)
        mark = (f"{finding.level:5}", _STYLES[finding.level])
        screen.print(Text.assemble(mark, cell(f"{finding.subject:13} {finding.text}")))
        if finding.remedy:
            screen.print(cell(f"        {finding.remedy}"))
    return findings
