"""`python -m kasparro`, and the program `kasparro`."""

from kasparro.cli import cli


def main() -> None:
    """Run the command line; end the process with its exit code."""
    cli(prog_name="kasparro")


if __name__ == "__main__":
    main()
