"""The specs and settings of the sources that come with Kasparro, without their code."""

from typing import Annotated

from common.network_settings import http_url
from common.setting_values import integer, secret
from ingestor.sources.spec import EnvironmentSettings, Setting, SourceSpec


class CoinPaprikaSettings(EnvironmentSettings, frozen=True):
    """CoinPaprika: an address, and the key of a paid plan."""

    coinpaprika_url: Annotated[str, Setting(parse=http_url)] = "https://api.coinpaprika.com/v1"
    api_source_key: Annotated[str | None, Setting(parse=secret, is_secret=True)] = None


class CoinGeckoSettings(EnvironmentSettings, frozen=True):
    """CoinGecko: an address, a key, and the plan's calls."""

    coingecko_url: Annotated[str, Setting(parse=http_url)] = "https://api.coingecko.com/api/v3"
    coingecko_api_key: Annotated[str | None, Setting(parse=secret, is_secret=True)] = None
    coingecko_pages: Annotated[
        int,
        Setting(
            parse=integer(1, 4000),
            comment="Pages of 250 coins in one poll, and the calls a month for polls.",
        ),
    ] = 4
    coingecko_monthly_calls: Annotated[
        int, Setting(parse=integer(1, 1_000_000_000), demo="1000000000")
    ] = 10_000


COINPAPRIKA = SourceSpec(
    name="coinpaprika",
    kind="api",
    settings=CoinPaprikaSettings,
    create="ingestor.sources.coinpaprika:create",
    url="coinpaprika_url",
    demo_path="/coinpaprika/v1",
)
COINGECKO = SourceSpec(
    name="coingecko",
    kind="api",
    settings=CoinGeckoSettings,
    create="ingestor.sources.coingecko.source:create",
    url="coingecko_url",
    demo_path="/coingecko/api/v3",
)
CSV = SourceSpec(name="csv", kind="file", create="ingestor.sources.files.source:create")
"""CSV_PATH is a setting of Kasparro itself: the demo and `kasparro check` read it too."""
