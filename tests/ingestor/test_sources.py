"""Which sources there are: ours, and those that other packages bring."""

from pathlib import Path

import pytest

from common.settings import Settings, SettingsError
from ingestor.sources import api, create_sources, known_sources
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles
from kasparro.demo.state import market_environment


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a source `more`, one that is missing, and one without its function."""
    (tmp_path / "more_source.py").write_text(
        "from ingestor.sources.files.source import CsvFiles\n"
        "def create(settings, *, name):\n"
        "    return CsvFiles('more.csv', name=name)\n"
    )
    info = tmp_path / "more-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[kasparro.sources]\nmore = more_source:create\n"
        "gone = no_such_module:create\nempty = more_source:nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


async def test_our_sources_come_in_the_order_of_the_setting() -> None:
    sources = create_sources(Settings(home=Path(), sources=("csv", "coinpaprika", "coingecko")))
    assert [type(source) for source in sources] == [CsvFiles, CoinPaprika, CoinGecko]
    assert [source.name for source in sources] == ["csv", "coinpaprika", "coingecko"]
    assert len({source.priority for source in sources}) == 3


@pytest.mark.usefixtures("plugin")
async def test_another_package_brings_a_source_by_its_entry_point() -> None:
    assert {"coinpaprika", "coingecko", "csv", "more"} <= known_sources().keys()
    (source,) = create_sources(Settings(home=Path(), sources=("more",)))
    assert (type(source), source.name) == (CsvFiles, "more")


async def test_a_source_that_there_is_not_is_a_bad_setting() -> None:
    with pytest.raises(
        SettingsError,
        match=r"SOURCES must be some of .*coinpaprika, csv.*; 'coincap' is none of them",
    ):
        create_sources(Settings(home=Path(), sources=("csv", "coincap")))


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", ["gone", "empty"])
async def test_a_source_that_cannot_be_loaded_is_a_bad_setting(name: str) -> None:
    with pytest.raises(SettingsError, match=f"SOURCES names '{name}', which cannot be loaded"):
        create_sources(Settings(home=Path(), sources=(name,)))


WRONG = {
    "number": ("number = 5", "its entry point names neither a SourceSpec nor a function"),
    "other": (
        'other = api.SourceSpec(name="another", kind="api", create=print)',
        "its spec has the name 'another'",
    ),
    "kind": (
        'kind = api.SourceSpec(name="kind", kind="pigeon", create=print)',
        'kind must be "api", "file" or "stream"; it is \'pigeon\'',
    ),
    "stream": (
        'stream = api.SourceSpec(name="stream", kind="stream", create=print)',
        'stream_url is needed for the kind "stream", and for it alone',
    ),
    "url": (
        'url = api.SourceSpec(name="url", kind="api", create=print, url="no_url")',
        "url must name a field of EnvironmentSettings; 'no_url' is none",
    ),
    "taken": (
        (
            "class Own(api.EnvironmentSettings, frozen=True):\n"
            "    port: Annotated[int, api.Setting(parse=int)] = 1\n"
            'taken = api.SourceSpec(name="taken", kind="api", create=print, settings=Own)'
        ),
        "Own.port: PORT is a setting of Kasparro",
    ),
    "bare": (
        (
            "class Bare(api.EnvironmentSettings, frozen=True):\n"
            "    bare_url: str = ''\n"
            'bare = api.SourceSpec(name="bare", kind="api", create=print, settings=Bare)'
        ),
        "Bare.bare_url must be Annotated with one Setting",
    ),
    "required": (
        (
            "class Needs(api.EnvironmentSettings, frozen=True):\n"
            "    needs_key: Annotated[str, api.Setting(parse=str)]\n"
            "required = api.SourceSpec(name='required', kind='api', settings=Needs,\n"
            "    create=lambda settings, name: Needs.load(settings))"
        ),
        "NEEDS_KEY is not set, and its source needs it",
    ),
    "nothing": ("def nothing(settings, *, name): pass", "NoneType has no method pages"),
    "odd": ("def odd(settings): pass", "unexpected keyword argument 'name'"),
    "crash": ("1 / 0", "division by zero"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_source_fails_when_it_is_loaded_with_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, expected = WRONG[name]
    (tmp_path / f"wrong_{name}.py").write_text(
        f"from typing import Annotated\nfrom ingestor.sources import api\n{text}\n"
    )
    info = tmp_path / "wrong-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[kasparro.sources]\n{name} = wrong_{name}:{name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SettingsError) as caught:
        create_sources(Settings(home=Path(), sources=(name,)))
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message


VENUES = ("BINANCE", "COINBASE", "KRAKEN", "OKX", "BYBIT", "BITSTAMP")


def test_a_demo_gets_no_keys_and_its_own_market() -> None:
    environment = market_environment("http://127.0.0.1:1", ("coinpaprika", "coingecko", "csv"))
    assert environment == {
        "READ_DATABASE_URL": "",
        "COINPAPRIKA_URL": "http://127.0.0.1:1/coinpaprika/v1",
        "API_SOURCE_KEY": "",
        "COINGECKO_URL": "http://127.0.0.1:1/coingecko/api/v3",
        "COINGECKO_API_KEY": "",
        "COINGECKO_MONTHLY_CALLS": "1000000000",
        **{f"{name}_URL": f"http://127.0.0.1:1/venues/{name.lower()}/api" for name in VENUES},
        **{f"{name}_STREAM_URL": f"ws://127.0.0.1:1/venues/{name.lower()}/ws" for name in VENUES},
    }


def test_the_public_interface_exports_what_it_names() -> None:
    assert sorted(api.__all__, key=str) == sorted(set(api.__all__))
    assert all(hasattr(api, name) for name in api.__all__)
