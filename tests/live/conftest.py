"""The servers and rows of tests/server, for whole programs."""

from tests.server.conftest import add_coin, add_run, add_source, service, settings

__all__ = ["add_coin", "add_run", "add_source", "service", "settings"]
