"""The command line and the supervisor: the only package that imports both ingestor and server."""


def __getattr__(name: str) -> str:
    """Return `__version__`, looked up on demand: reading the metadata is slower than `--help`.

    Raises AttributeError for any other name.
    """
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Too slow for --help.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("kasparro")
    except PackageNotFoundError:  # a checkout that is not installed
        import tomllib  # noqa: PLC0415 - only a checkout needs it
        from pathlib import Path  # noqa: PLC0415 - only a checkout needs it

        with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
