"""The server's port: whether it is free, and which process uses it."""

import errno
import socket

import psutil

from common.settings import Settings
from kasparro.cli.common.errors import CommandRefusedError
from server.address import browser_url


def service_url(settings: Settings) -> str:
    """Return the URL of the server for a browser on this machine."""
    return browser_url(settings.host, settings.port)


def check_port(host: str, port: int) -> None:
    """Raise CommandRefusedError, with the setting to change, if the server cannot listen there."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CommandRefusedError(
            f"HOST {host!r} cannot be resolved ({error}): set HOST to an address of this machine"
        ) from None
    for family, kind, protocol, _, address in places:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise CommandRefusedError(_sentence(host, port, error)) from None


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by {_holder(port)}: stop it, or set PORT to another one"
    if error.errno == errno.EACCES:
        return f"port {port} is for privileged users only: set PORT to one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"HOST {host!r} is not an address of this machine: set HOST to one, such as "
            "127.0.0.1 or 0.0.0.0"
        )
    return f"cannot listen on {host}:{port} ({error.strerror}): set HOST and PORT"


def _holder(port: int) -> str:
    """Return a name of the process that listens on `port`, as far as this user may see it."""
    try:
        listeners = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
        pid = next((c.pid for c in listeners if c.laddr and c.laddr.port == port), None)
        process = psutil.Process(pid) if pid else None
        if process is None:
            return "another program"
        name = (
            "another Kasparro"
            if "kasparro.supervise.parent_watch" in process.cmdline()
            else process.name()
        )
    except psutil.Error:
        return "another program"
    return f"{name} (process {process.pid})"
