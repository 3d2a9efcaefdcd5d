"""The environment and `.env`: a bad value gives one line that names it."""

import re
from pathlib import Path

import pytest

from common.settings import RESERVED, SECRETS, Settings, SettingsError, load_settings
from ingestor.sources import check_settings
from ingestor.sources.built_in import (
    COINGECKO,
    COINPAPRIKA,
    CSV,
    CoinGeckoSettings,
    CoinPaprikaSettings,
)
from ingestor.sources.spec import EnvironmentSettings, SourceSpec, declared_settings
from ingestor.streams.settings import STREAMS

SPECS = (COINPAPRIKA, COINGECKO, CSV, *STREAMS)
ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2"  # noqa: S105 - what must not be shown


def load(**environ: str) -> Settings:
    return load_settings(environ)


def test_without_any_variable_the_defaults_hold() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8000, None)
    assert settings.sources == ("coinpaprika", "coingecko", "csv")
    assert settings.csv_path is None
    assert settings.csv_folder == settings.home / "csv"
    assert settings.identity_path.is_file()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PORT", "eighty", "a whole number from 1 to 65535"),
        ("PORT", "0", "a whole number from 1 to 65535"),
        ("PORT", "65536", "a whole number from 1 to 65535"),
        ("PORT", "8000.5", "a whole number from 1 to 65535"),
        ("HOST", "not a host", "an IP address or a host name"),
        ("HOST", "http://127.0.0.1", "an IP address or a host name"),
        ("POLL_SECONDS", "0", "a whole number from 1 to 86400"),
        ("COINGECKO_PAGES", "-4", "a whole number from 1 to 4000"),
        ("COINPAPRIKA_URL", "api.coinpaprika.com", "an http or https URL"),
        ("COINPAPRIKA_URL", "ftp://api.coinpaprika.com", "an http or https URL"),
        ("COINGECKO_URL", "https://", "an http or https URL"),
        ("COINGECKO_URL", "https://ho st/", "an http or https URL"),
        ("COINGECKO_URL", "https://host:port/", "an http or https URL"),
        ("COINGECKO_URL", "https://host/?key=1", "an http or https URL"),
        ("SOURCES", ",", "source names such as"),
        ("SOURCES", "CoinGecko", "source names such as"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR"),
        ("LOG_FORMAT", "xml", "one of console, json"),
        ("CORS_ORIGINS", "https://a.example/path", "origins such as"),
        ("ROOT_PATH", "kasparro", "a path such as /kasparro"),
        ("ROOT_PATH", "//evil.example", "a path such as /kasparro"),
        ("ROOT_PATH", "/a/../b", "a path such as /kasparro"),
        ("ROOT_PATH", '/a"b', "a path such as /kasparro"),
        ("ALLOWED_HOSTS", "https://kasparro.example.com", "host names or IP addresses"),
        ("ALLOWED_HOSTS", "kasparro.example.com:8000", "host names or IP addresses"),
        ("FORWARDED_ALLOW_IPS", "proxy", "addresses or networks such as"),
        ("FORWARDED_ALLOW_IPS", "*", "addresses or networks such as"),
        ("KEEP_ALIVE_SECONDS", "0", "a whole number from 1 to 3600"),
        ("RAW_RETENTION_DAYS", "", None),
        ("RAW_RETENTION_DAYS", "0", "a whole number from 1 to 3650"),
        ("INTROSPECTION", "perhaps", "one of true, false, 1, 0"),
    ],
)
def test_a_bad_value_gives_one_line_that_names_it(
    variable: str, value: str, expected: str | None
) -> None:
    if expected is None:
        assert load(**{variable: value}) == load()
        return
    with pytest.raises(SettingsError) as caught:
        check_settings(load(**{variable: value}))
    message = str(caught.value)
    assert message.startswith(f"{variable} must be {expected}")
    assert repr(value) in message
    assert "\n" not in message


@pytest.mark.parametrize("variable", ["DATABASE_URL", "READ_DATABASE_URL"])
def test_a_bad_database_url_is_named_but_not_shown(variable: str) -> None:
    with pytest.raises(
        SettingsError, match=f"^{variable} must be a PostgreSQL URL such as"
    ) as caught:
        load(**{variable: f"mysql://user:{SECRET}@host/db"})
    assert SECRET not in str(caught.value)


def test_a_token_that_holds_none_is_named_but_not_shown() -> None:
    with pytest.raises(
        SettingsError, match=r"^SCHEDULER_TOKEN must be a token, or several .* not shown$"
    ):
        load(**dict.fromkeys(["SCHEDULER_TOKEN"], " , ,"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_a_postgres_url_is_taken(scheme: str) -> None:
    assert load(DATABASE_URL=f"{scheme}://user@host/db").database_url == "postgresql://user@host/db"


def test_the_placeholder_and_blank_values_count_as_left_out() -> None:
    left_out = {
        "SCHEDULER_TOKEN": "REPLACE_ME",
        "API_SOURCE_KEY": " REPLACE_ME ",
        "PORT": "  ",
        "DATABASE_URL": "",
    }
    assert load(**left_out) == load()


def test_values_are_read_as_what_they_are(tmp_path: Path) -> None:
    settings = load(
        KASPARRO_HOME=str(tmp_path),
        HOST="::1",
        PORT=" 9000 ",
        SOURCES="csv, coingecko,csv",
        LOG_LEVEL="debug",
        LOG_FORMAT="JSON",
        CORS_ORIGINS="https://a.example, *",
        COINGECKO_URL="https://pro-api.coingecko.com/api/v3/",
        INTROSPECTION="0",
        ROOT_PATH="/tools/kasparro/",
        ALLOWED_HOSTS="Kasparro.Example.com, *.internal, ::1, [FE80::1], 10.0.0.7",
        FORWARDED_ALLOW_IPS="10.0.0.7, 172.16.0.9/12",
        CSV_PATH="~/prices/*.csv",
    )
    assert (settings.home, settings.host, settings.port) == (tmp_path, "::1", 9000)
    assert settings.sources == ("csv", "coingecko")
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")
    assert settings.cors_origins == ("https://a.example", "*")
    assert CoinGeckoSettings.load(settings).coingecko_url == "https://pro-api.coingecko.com/api/v3"
    assert settings.introspection is False
    assert settings.root_path == "/tools/kasparro"
    assert settings.allowed_hosts == (
        "kasparro.example.com",
        "*.internal",
        "[::1]",
        "[fe80::1]",
        "10.0.0.7",
    )
    assert settings.forwarded_allow_ips == ("10.0.0.7/32", "172.16.0.0/12")
    assert settings.csv_path == f"{Path.home()}/prices/*.csv"


def test_no_secret_is_ever_shown() -> None:
    secrets = {
        "SCHEDULER_TOKEN": SECRET,
        "DATABASE_URL": f"postgresql://user:{SECRET}@host/db",
        "READ_DATABASE_URL": f"postgresql://user:{SECRET}@replica/db",
    }
    assert {name.lower() for name in secrets} == SECRETS
    settings = load(**secrets)
    assert SECRET in str(settings.database_url)
    assert SECRET not in repr(settings)
    assert SECRET not in f"{settings}"
    assert repr(settings).count("***") == len(secrets)


@pytest.mark.parametrize(
    ("own", "variable"),
    [(CoinPaprikaSettings, "API_SOURCE_KEY"), (CoinGeckoSettings, "COINGECKO_API_KEY")],
)
def test_no_secret_of_a_source_is_ever_shown(own: type[EnvironmentSettings], variable: str) -> None:
    settings = load(**{variable: SECRET})
    assert SECRET not in repr(settings)
    loaded = own.load(settings)
    assert getattr(loaded, variable.lower()) == SECRET
    assert f"{variable.lower()}='***'" in repr(loaded)
    with pytest.raises(SettingsError, match=f"^{variable} must be .*secret and not shown$"):
        own.load(load(**{variable: "hunter2\thunter2"}))


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        'PORT=9001\nHOST="10.0.0.1"  # ours\nexport POLL_SECONDS=60\nEMPTY\n', encoding="utf-8"
    )
    settings = load_settings({"PORT": "9002"}, dotenv_path=file)
    assert (settings.port, settings.host, settings.poll_seconds) == (9002, "10.0.0.1", 60)


def test_an_empty_variable_hides_the_one_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("API_SOURCE_KEY=from-the-file\n", encoding="utf-8")
    assert "API_SOURCE_KEY" in load_settings({}, dotenv_path=file).variables
    assert load_settings({"API_SOURCE_KEY": ""}, dotenv_path=file).variables == {}


def test_the_file_of_the_working_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=9003\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PORT", raising=False)
    assert load_settings().port == 9003


def test_a_binary_file_gives_one_line(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"PORT=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^.*\.env cannot be read: "):
        load_settings({}, dotenv_path=file)


def test_the_example_file_names_every_setting_and_changes_none() -> None:
    example = ROOT / ".env.example"
    assert load_settings({}, dotenv_path=example) == load()
    named = set(
        re.findall(r"^(?:# )?([A-Z_]+)=", example.read_text(encoding="utf-8"), re.MULTILINE)
    )
    declared = {field.upper() for spec in SPECS for field in declared_settings(spec.settings)}
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert named == RESERVED | declared | set(re.findall(r"\$\{([A-Z_]+)", compose))


def test_the_example_file_shows_the_defaults(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    text = re.sub(
        r"^# SSL_CERT_.*\n", "", text, flags=re.MULTILINE
    )  # this machine need not have them
    shown = re.sub(r"^# ([A-Z_]+=)", r"\1", text, flags=re.MULTILINE)
    file = tmp_path / ".env"
    file.write_text(shown, encoding="utf-8")
    settings, defaults = load_settings({}, dotenv_path=file), load()
    differing = {
        name
        for name in Settings.__struct_fields__
        if getattr(settings, name) != getattr(defaults, name)
    }
    for spec in SPECS:
        assert spec.settings.load(settings) == spec.settings.load(defaults)
    # A setting without a default shows an example; paths are relative there.
    examples = {
        "database_url",
        "read_database_url",
        "cors_origins",
        "root_path",
        "allowed_hosts",
        "forwarded_allow_ips",
        "raw_retention_hours",
        "trusted_documents",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }
    assert differing <= examples | {"csv_path", "identity_path", "home", "variables"}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_example_file_has_the_lines_of_every_source(spec: SourceSpec) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert "\n".join(spec.example_lines()) in text
