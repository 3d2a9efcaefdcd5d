"""Which sources there are: ours, and those that other packages bring."""

from pathlib import Path

import pytest

from common.settings import Settings, SettingsError
from ingestor.sources import create_sources, known_sources
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings a source `more`, one that is not there, and one without its function."""
    (tmp_path / "more_source.py").write_text(
        "from ingestor.sources.files.source import CsvFiles\n"
        "def create(settings, *, name):\n"
        "    return CsvFiles('more.csv', name=name)\n"
    )
    info = tmp_path / "more-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[kasparro.sources]\nmore = more_source:create\ngone = no_such_module:create\nempty = more_source:nothing\n"
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
        match=r"SOURCES must be some of .*coinpaprika, csv.*; 'binance' is none of them",
    ):
        create_sources(Settings(home=Path(), sources=("csv", "binance")))


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", ["gone", "empty"])
async def test_a_source_that_cannot_be_loaded_is_a_bad_setting(name: str) -> None:
    with pytest.raises(SettingsError, match=f"SOURCES names '{name}', which cannot be loaded"):
        create_sources(Settings(home=Path(), sources=(name,)))
