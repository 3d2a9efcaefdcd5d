"""The specs of the streams: the addresses of their websockets and of their lists of markets."""

from typing import Annotated
from urllib.parse import urlsplit

from common.network_settings import http_url
from common.settings import Settings
from ingestor.sources.spec import EnvironmentSettings, Setting, SourceSpec


def websocket_url(text: str) -> str:
    """Return a ws or wss URL. Raises ValueError."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.fragment or any(char.isspace() for char in text):
        raise ValueError("a ws or wss URL such as wss://stream.example.com/ws")
    return text


_Http = Setting(parse=http_url)
_Websocket = Setting(parse=websocket_url)


class BinanceStreamSettings(EnvironmentSettings, frozen=True):
    """The addresses of Binance."""

    binance_url: Annotated[str, _Http] = "https://data-api.binance.vision"
    binance_stream_url: Annotated[str, _Websocket] = "wss://data-stream.binance.vision/ws"


class CoinbaseStreamSettings(EnvironmentSettings, frozen=True):
    """The addresses of Coinbase Exchange."""

    coinbase_url: Annotated[str, _Http] = "https://api.exchange.coinbase.com"
    coinbase_stream_url: Annotated[str, _Websocket] = "wss://ws-feed.exchange.coinbase.com"


class KrakenStreamSettings(EnvironmentSettings, frozen=True):
    """The addresses of Kraken."""

    kraken_url: Annotated[str, _Http] = "https://api.kraken.com"
    kraken_stream_url: Annotated[str, _Websocket] = "wss://ws.kraken.com/v2"


class OkxStreamSettings(EnvironmentSettings, frozen=True):
    """The addresses of OKX."""

    okx_url: Annotated[str, _Http] = "https://www.okx.com"
    okx_stream_url: Annotated[str, _Websocket] = "wss://ws.okx.com:8443/ws/v5/public"


class BybitStreamSettings(EnvironmentSettings, frozen=True):
    """The addresses of Bybit."""

    bybit_url: Annotated[str, _Http] = "https://api.bybit.com"
    bybit_stream_url: Annotated[str, _Websocket] = "wss://stream.bybit.com/v5/public/spot"


class BitstampStreamSettings(EnvironmentSettings, frozen=True):
    """The addresses of Bitstamp."""

    bitstamp_url: Annotated[str, _Http] = "https://www.bitstamp.net"
    bitstamp_stream_url: Annotated[str, _Websocket] = "wss://ws.bitstamp.net"


def _spec(name: str, settings: type[EnvironmentSettings]) -> SourceSpec:
    return SourceSpec(
        name=name,
        kind="stream",
        settings=settings,
        create="ingestor.streams.venues:create",
        url=f"{name}_url",
        stream_url=f"{name}_stream_url",
        demo_path=f"/venues/{name}/api",
        demo_stream_path=f"/venues/{name}/ws",
    )


BINANCE = _spec("binance", BinanceStreamSettings)
COINBASE = _spec("coinbase", CoinbaseStreamSettings)
KRAKEN = _spec("kraken", KrakenStreamSettings)
OKX = _spec("okx", OkxStreamSettings)
BYBIT = _spec("bybit", BybitStreamSettings)
BITSTAMP = _spec("bitstamp", BitstampStreamSettings)
STREAMS = (BINANCE, COINBASE, KRAKEN, OKX, BYBIT, BITSTAMP)


def venue_urls(settings: Settings, spec: SourceSpec) -> tuple[str, str]:
    """Return the URLs of a stream's websocket and of its REST API. Raises SettingsError."""
    own = spec.settings.load(settings)
    return getattr(own, str(spec.stream_url)), getattr(own, str(spec.url))
