"""The command line and the supervisor: the one package that sees both the ingestor and the server."""


def __getattr__(name: str) -> str:
    """Look `__version__` up only where it is asked for: reading the metadata takes longer than `--help` may."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Costs what --help may not.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("kasparro")
    except PackageNotFoundError:  # a checkout that is not installed
        import tomllib  # noqa: PLC0415 - only a checkout needs it
        from pathlib import Path  # noqa: PLC0415 - only a checkout needs it

        with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
