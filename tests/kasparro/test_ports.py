"""The server's port: free, or used by which process."""

import os
import socket
from collections.abc import Iterator

import pytest

from common.settings import load_settings
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.supervise.ports import check_port, free_port, service_url


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_free_port_is_free_and_stays_so() -> None:
    port = free_port()
    check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_taken_port_names_its_holder(taken_port: int, host: str) -> None:
    with pytest.raises(
        CommandRefusedError,
        match=rf"^port {taken_port} is taken by \S+ \(process {os.getpid()}\): .*set PORT",
    ):
        check_port(host, taken_port)


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("192.0.2.1", "HOST '192.0.2.1' is not an address of this machine: set HOST"),
        ("no-such-host.invalid", "HOST 'no-such-host.invalid' cannot be resolved"),
    ],
)
def test_a_host_that_is_not_ours_is_named(host: str, sentence: str) -> None:
    with pytest.raises(CommandRefusedError, match=f"^{sentence}"):
        check_port(host, free_port())


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 - not bound
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("dash.example", "http://dash.example:8000"),
    ],
)
def test_the_url_is_one_that_a_browser_here_can_open(host: str, url: str) -> None:
    assert service_url(load_settings({"HOST": host})) == url
