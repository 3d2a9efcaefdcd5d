"""Outgoing connections: the proxies and trusted certificates of the settings."""

import functools
import ipaddress
import ssl
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from common.display import sanitize
from common.settings import Settings
from ingestor.sources.errors import SourceRefusedError


class Egress(msgspec.Struct, frozen=True):
    """The proxies by a URL's scheme, the hosts without one, and the trusted certificates."""

    proxies: dict[str, str] = {}
    no_proxy: str = ""
    cert_file: Path | None = None
    cert_dir: Path | None = None

    def __repr__(self) -> str:
        return sanitize(f"Egress(proxies={self.proxies!r}, no_proxy={self.no_proxy!r})")

    def proxy_for(self, url: URL) -> URL | None:
        """Return the proxy of a URL, None where it is asked directly.

        `no_proxy` is read as Python reads it, names and the names below them; this machine is
        always asked directly.
        """
        proxy = self.proxies.get(url.scheme)
        host = url.host or ""
        if proxy is None or _is_local(host):
            return None
        bypasses = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed
        is_direct = bypasses(f"{host}:{url.port}", {"no": self.no_proxy})
        return None if is_direct else URL(proxy)

    def open_session(self, **options: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - aiohttp's
        """Return a session that trusts the certificates named.

        Raises SourceRefusedError where they cannot be read.
        """
        if self.cert_file is None and self.cert_dir is None:
            return aiohttp.ClientSession(**options)
        try:
            trusted = _ssl_context(self.cert_file, self.cert_dir)
        except OSError as error:  # ssl.SSLError is one
            named = (
                f"SSL_CERT_FILE {self.cert_file}"
                if self.cert_file
                else f"SSL_CERT_DIR {self.cert_dir}"
            )
            raise SourceRefusedError(f"{named} cannot be read: {error}") from None
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted), **options)

    def request_options(self, url: URL, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the keyword arguments of a request to a URL, with its proxy and headers."""
        proxy, sent = self.proxy_for(url), dict(headers or {})
        if proxy is None:
            return {"headers": sent}
        options: dict[str, Any] = {"headers": sent, "proxy": proxy.with_user(None)}
        if proxy.user is not None:
            # aiohttp sends `proxy_headers` with a CONNECT alone.
            for_proxy = sent if url.scheme == "http" else options.setdefault("proxy_headers", {})
            for_proxy["Proxy-Authorization"] = aiohttp.encode_basic_auth(
                proxy.user, proxy.password or ""
            )
        return options

    def problem(self, url: URL, error: Exception) -> str | None:
        """Return the sentence about an error of the proxy of a URL, None for another error."""
        proxy = self.proxy_for(url)
        if proxy is None:
            return None
        variable = f"{url.scheme.upper()}_PROXY"
        named = f"the proxy {sanitize(str(proxy))}"
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return (
                f"{named} refused the connection ({error.status} {error.message}); check {variable}"
            )
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return f"{named} could not be reached ({error.os_error}); check {variable}"
        return None

    def refusal(self, url: URL, status: int) -> str | None:
        """Return the message for a 407, which the proxy itself sends; None for another status."""
        proxy = self.proxy_for(url)
        if proxy is None or status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return None
        variable = f"{url.scheme.upper()}_PROXY"
        shown = sanitize(str(proxy))
        return f"the proxy {shown} wants a user and a password (407); check {variable}"


def egress_of(settings: Settings) -> Egress:
    """Return the proxies and certificates that the settings name."""
    named = {"http": settings.http_proxy, "https": settings.https_proxy}
    proxies = {scheme: proxy for scheme, proxy in named.items() if proxy}
    return Egress(proxies, settings.no_proxy or "", settings.ssl_cert_file, settings.ssl_cert_dir)


@functools.lru_cache(maxsize=4)
def _ssl_context(cert_file: Path | None, cert_dir: Path | None) -> ssl.SSLContext:
    """Return a context that trusts a file and a folder; None means the system's."""
    system = ssl.get_default_verify_paths()
    return ssl.create_default_context(
        cafile=cert_file or system.cafile, capath=cert_dir or system.capath
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
