"""Proxies and certificates of the settings: sources and the doctor use a real proxy on loopback."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from common.settings import Settings, SettingsError, load_settings
from db.connect.pool import Connection
from ingestor.http.egress import Egress, egress_of
from ingestor.http.fetch import Fetch
from ingestor.sources.coinpaprika import CoinPaprika, create
from ingestor.sources.errors import SourceError, SourceRefusedError, SourceUnavailableError
from kasparro.doctor.sources import check_sources
from tests.ingestor.conftest import QUICK
from tests.ingestor.forward_proxy import forward_proxy
from tests.kasparro.command_line import run_in

NAME = "coins.example"
"""A name that no resolver knows: what reaches the provider under it went through the proxy."""
TICKER = {
    "id": "btc-bitcoin",
    "symbol": "BTC",
    "name": "Bitcoin",
    "quotes": {"USD": {"price": 1.5}},
}
PASSWORD = "p@ss"  # noqa: S105 - of the test's own proxy


@contextlib.asynccontextmanager
async def provider(trusted: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve one ticker; yield the port."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response([TICKER])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app, scheme="https" if trusted else "http")
    await server.start_server(ssl=trusted)
    try:
        yield server.port or 0
    finally:
        await server.close()


class Certificate(msgspec.Struct):
    """A certificate for NAME that is its own authority."""

    file: Path
    folder: Path
    served: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificates")
    file, key = folder / "ca.pem", folder.with_name("key.pem")
    subject = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run(
        [openssl, "req", "-x509", *made, *subject, "-keyout", key, "-out", file],
        check=True,
        timeout=60,
    )
    subprocess.run([openssl, "rehash", folder], check=True, timeout=60)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(file, key)
    return Certificate(file, folder, served)


async def tickers(environ: dict[str, str], dotenv: Path | None = None) -> list[str]:
    """Read CoinPaprika with these settings; return the ids of its records. Raises SourceError."""
    settings = load_settings(environ, dotenv_path=dotenv)
    source = CoinPaprika(Fetch(create(settings)._fetch.provider, QUICK, egress_of(settings)))
    try:
        return [
            record.external_id
            async for page in source.pages(None, full=True)
            for record in page.records
        ]
    finally:
        await source.close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_a_provider_is_read_through_the_proxy(variable: str, scheme: str) -> None:
    async with provider() as port, forward_proxy(port) as proxy:
        environ = {
            variable: f"{scheme}127.0.0.1:{proxy.port}",
            "COINPAPRIKA_URL": f"http://{NAME}/v1",
        }
        assert await tickers(environ) == ["btc-bitcoin"]
    assert proxy.asked == [f"GET http://{NAME}/v1/tickers?quotes=USD"]


@pytest.mark.parametrize("by", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
async def test_a_provider_over_https_is_read_through_a_tunnel_with_the_certificates_named(
    certificate: Certificate, variable: str, by: str
) -> None:
    async with provider(certificate.served) as port, forward_proxy(port) as proxy:
        environ = {
            variable: f"http://127.0.0.1:{proxy.port}",
            by: str(certificate.file if by == "SSL_CERT_FILE" else certificate.folder),
            "COINPAPRIKA_URL": f"https://{NAME}/v1",
        }
        assert await tickers(environ) == ["btc-bitcoin"]
    assert proxy.asked == [f"CONNECT {NAME}:443"]


async def test_a_certificate_that_is_not_trusted_is_told_with_the_setting(
    certificate: Certificate,
) -> None:
    async with provider(certificate.served) as port, forward_proxy(port) as proxy:
        environ = {
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
            "COINPAPRIKA_URL": f"https://{NAME}/v1",
        }
        with pytest.raises(
            SourceUnavailableError, match="SSL_CERT_FILE names the certificates that are trusted"
        ):
            await tickers(environ)


async def test_proxies_named_in_the_env_file_are_used_and_the_environment_wins(
    tmp_path: Path,
) -> None:
    async with provider() as port, forward_proxy(port) as proxy, forward_proxy(port) as other:
        dotenv = tmp_path / ".env"
        dotenv.write_text(f"http_proxy=127.0.0.1:{proxy.port}\nCOINPAPRIKA_URL=http://{NAME}/v1\n")
        assert await tickers({}, dotenv) == ["btc-bitcoin"]
        assert await tickers({"HTTP_PROXY": f"127.0.0.1:{other.port}"}, dotenv) == ["btc-bitcoin"]
        assert (len(proxy.asked), len(other.asked)) == (1, 1)
        # Left empty in the environment, it is none.
        assert load_settings({"HTTP_PROXY": ""}, dotenv_path=dotenv).http_proxy is None


async def test_the_command_uses_the_proxy_and_the_certificates_that_the_env_file_names(
    certificate: Certificate, database: str, connection: Connection, tmp_path: Path
) -> None:
    async with provider(certificate.served) as port, forward_proxy(port) as proxy:
        named = {
            "HTTPS_PROXY": f"127.0.0.1:{proxy.port}",
            "SSL_CERT_FILE": certificate.file,
            "COINPAPRIKA_URL": f"https://{NAME}/v1",
            "DATABASE_URL": database,
            "KASPARRO_HOME": tmp_path,
            "SOURCES": "coinpaprika",
        }
        (tmp_path / ".env").write_text(
            "".join(f"{variable}={value}\n" for variable, value in named.items())
        )
        done = await asyncio.to_thread(run_in, tmp_path, "ingest", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(proxy.asked) == {f"CONNECT {NAME}:443"}, "for prices and for addresses"
    assert (
        await connection.fetchval(
            "SELECT price_usd_exact::text FROM normalized_records WHERE ticker = 'BTC'"
        )
        == "1.5"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_asked_directly(host: str) -> None:
    async with provider() as port, forward_proxy(port) as proxy:
        environ = {
            "HTTP_PROXY": f"127.0.0.1:{proxy.port}",
            "COINPAPRIKA_URL": f"http://{host}:{port}/v1",
        }
        assert await tickers(environ) == ["btc-bitcoin"]
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("", "https://api.coingecko.com/", False),
        ("*", "https://api.coingecko.com/", True),
        ("coingecko.com", "https://api.coingecko.com/", True),
        (".coingecko.com", "https://api.coingecko.com/", True),
        ("API.CoinGecko.com", "https://api.coingecko.com/", True),
        ("gecko.com", "https://api.coingecko.com/", False),
        ("other.example, api.coingecko.com", "https://api.coingecko.com/", True),
        ("api.coingecko.com:443", "https://api.coingecko.com/", True),
        ("api.coingecko.com:8443", "https://api.coingecko.com/", False),
        ("", "http://api.coingecko.com/", True),
        ("", "https://[::1]:8000/", True),
        ("", "https://127.8.9.1/", True),
    ],
)
def test_no_proxy_names_what_is_asked_directly(no_proxy: str, url: str, *, is_direct: bool) -> None:
    egress = egress_of(load_settings({"HTTPS_PROXY": "proxy.example:3128", "no_proxy": no_proxy}))
    assert egress.proxy_for(URL(url)) == (None if is_direct else URL("http://proxy.example:3128"))


async def test_a_proxy_gets_its_user_and_password() -> None:
    async with provider() as port, forward_proxy(port, f"user:{PASSWORD}") as proxy:
        environ = {
            "HTTP_PROXY": f"http://user:p%40ss@127.0.0.1:{proxy.port}",
            "COINPAPRIKA_URL": f"http://{NAME}/v1",
        }
        assert await tickers(environ) == ["btc-bitcoin"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_refuses_is_named_with_its_setting_and_without_its_password(
    scheme: str,
) -> None:
    async with provider() as port, forward_proxy(port, f"user:{PASSWORD}") as proxy:
        environ = {
            f"{scheme.upper()}_PROXY": f"http://user:wrong-word@127.0.0.1:{proxy.port}",
            "COINPAPRIKA_URL": f"{scheme}://{NAME}/v1",
        }
        with pytest.raises(SourceRefusedError) as caught:
            await tickers(environ)
    assert len(proxy.asked) == 1
    assert f"CoinPaprika cannot be reached: the proxy http://***@127.0.0.1:{proxy.port}" in str(
        caught.value
    )
    assert f"check {scheme.upper()}_PROXY" in str(caught.value)
    assert "407" in str(caught.value)
    assert "wrong-word" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_does_not_answer_is_named_with_its_setting(scheme: str) -> None:
    environ = {
        f"{scheme.upper()}_PROXY": "http://user:wrong-word@127.0.0.1:1",
        "COINPAPRIKA_URL": f"{scheme}://{NAME}/v1",
    }
    with pytest.raises(SourceUnavailableError) as caught:
        await tickers(environ)
    said = str(caught.value)
    assert "the proxy http://***@127.0.0.1:1 could not be reached (" in said
    assert f"check {scheme.upper()}_PROXY" in said
    assert "wrong-word" not in said


async def test_the_doctor_asks_for_coins_and_for_the_time_through_the_proxy(
    certificate: Certificate, tmp_path: Path
) -> None:
    async with provider(certificate.served) as port, forward_proxy(port) as proxy:
        settings = load_settings(
            {
                "KASPARRO_HOME": str(tmp_path),
                "SOURCES": "coinpaprika",
                "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
                "SSL_CERT_FILE": str(certificate.file),
                "COINPAPRIKA_URL": f"https://{NAME}/v1",
            }
        )
        found = {finding.subject: finding for finding in await check_sources(settings)}
    assert (found["coinpaprika"].level, found["Clock"].level) == ("ok", "ok"), found
    assert found["Clock"].text == f"agrees with https://{NAME}/v1"
    assert proxy.asked == [f"CONNECT {NAME}:443"] * 2


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        (
            "HTTP_PROXY",
            "socks5://proxy.example:1080",
            "a proxy's http URL such as http://proxy.example.com:3128",
        ),
        ("HTTPS_PROXY", "http://", "a proxy's http URL such as http://proxy.example.com:3128"),
        (
            "HTTPS_PROXY",
            "http://us%3Aer:hunter2@proxy.example:3128",
            "its value is secret and not shown",
        ),
        ("HTTPS_PROXY", "user:hunter2@proxy example", "its value is secret and not shown"),
        (
            "SSL_CERT_FILE",
            "/nowhere/ca.pem",
            "a PEM file of certificates (No such file or directory)",
        ),
        ("SSL_CERT_FILE", __file__, "a PEM file of certificates ("),
        ("SSL_CERT_DIR", __file__, "a folder of certificates"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_at_the_start(
    variable: str, value: str, wanted: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value})
    assert str(caught.value).startswith(f"{variable} must be ")
    assert wanted in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_certificates_that_went_away_are_told(tmp_path: Path) -> None:
    file = tmp_path / "gone.pem"
    with pytest.raises(SourceError, match=r"SSL_CERT_FILE .*gone\.pem cannot be read: "):
        Egress(cert_file=file).open_session()


def test_no_password_of_a_proxy_is_shown(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, https_proxy="http://user:hunter2@proxy.example:3128")
    assert "hunter2" not in repr(settings) + repr(egress_of(settings))
    assert "***@proxy.example:3128" in repr(settings)
