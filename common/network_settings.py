"""Values of the settings about connections: URLs, proxies and trusted certificates."""

import ssl
from pathlib import Path
from urllib.parse import unquote, urlsplit


def http_url(text: str) -> str:
    """Return an http or https URL without a slash at its end. Raises ValueError."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or any(char.isspace() for char in text):
        raise ValueError("an http or https URL such as https://api.example.com/v1")
    return text.rstrip("/")


def proxy_url(text: str) -> str:
    """Return a proxy's URL; a host and a port alone are those of an http proxy.

    Raises ValueError.
    """
    try:
        url = http_url(text if "://" in text else f"http://{text}")
        user = unquote(urlsplit(url).username or "")
    except ValueError:
        user = ":"
    if ":" in user:  # which no proxy could tell from the password (RFC 7617, section 2)
        raise ValueError("a proxy's http URL such as http://proxy.example.com:3128")
    return url


def cert_file(text: str) -> Path:
    """Return the path of a file of certificates that can be read. Raises ValueError."""
    path = Path(text).expanduser().absolute()
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(
            f"a PEM file of certificates ({error.strerror or error.args[0]})"
        ) from None
    return path


def cert_dir(text: str) -> Path:
    """Return the path of a folder of certificates. Raises ValueError."""
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise ValueError(
            "a folder of certificates, each under the name that `openssl rehash` gives it"
        )
    return path
