"""The commands, one module each, imported on demand: `kasparro --help` is fast."""

import importlib

import click

COMMANDS = {
    "up": "Start everything: database, ingestor and server.",
    "demo": "Start everything on a made-up market, or remove the demo.",
    "serve": "Start the server alone.",
    "ingest": "Start the ingestor alone, or run sources once.",
    "trigger": "Request a run of the running ingestor.",
    "status": "Show each source's health and last run, and the worst coins.",
    "backfill": "Fill the history of coins from a source's past prices.",
    "export": "Write records, or their history, to a file.",
    "reprocess": "Rebuild everything from the stored bodies after a fix.",
    "verify": "Compare everything in the database with what it is derived from.",
    "migrate": "Migrate the database to the schema of this version.",
    "token": "Print the token that is needed to trigger runs.",
    "identity": "Show which asset owns a ticker, and why.",
    "check": "Show how files would be read, before they are.",
    "doctor": "Check the machine, the settings, the database and the sources.",
}
"""Each command and the first line of its help."""


class LazyGroup(click.Group):
    """A group whose commands are `kasparro.cli.<name>.command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    # Click's signature.
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"kasparro.cli.{cmd_name}").command
        return command

    # Click's signature.
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list for --help without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an expected error becomes one line and an exit code.

        Any other error keeps its traceback. Raises click's Exit.
        """
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            # Too slow for --help.
            from kasparro.cli.common.errors import explain  # noqa: PLC0415
            from kasparro.cli.common.terminal import say  # noqa: PLC0415 - the same

            explanation = explain(error)
            if explanation is None:
                raise
            sentence, code = explanation
            say(f"Error: {sentence}", err=True)
            raise click.exceptions.Exit(code) from error


# Click's signature.
def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        from kasparro import __version__  # noqa: PLC0415 - looked up only here

        click.echo(f"kasparro {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def cli() -> None:
    """Keep one trustworthy, live record for every crypto ticker.

    Settings come from the environment and from .env in the working folder.
    """
