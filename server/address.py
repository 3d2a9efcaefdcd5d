"""Where the server is found."""

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def browser_url(host: str, port: int) -> str:
    """Return the URL under which a browser on this machine finds a server that listens there."""
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
