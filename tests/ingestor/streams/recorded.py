"""The recorded sessions and markets, where the folder exists."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from kasparro.simulator.venues.sessions import RecordedSession, read_session
from tests.conftest import RECORDED

STREAMS = RECORDED.parent / "streams"
SESSIONS = {
    "binance": "BINANCE.ws.1.0.gz",
    "coinbase": "COINBASE.ws.28.0.no-level2.gz",
    "kraken": "KRAKEN.ws.49.0.gz",
    "bitstamp": "BITSTAMP.ws.1.0.gz",
    "okx": "OKX.ws.1.0.gz",
}
needs_recordings = pytest.mark.skipif(not STREAMS.exists(), reason=f"{STREAMS} does not exist")


def session_of(venue: str) -> RecordedSession:
    return read_session(STREAMS / "cryptofeed" / SESSIONS[venue])


def markets_body(name: str) -> Path:
    return STREAMS / "cryptofeed" / name


def read_gzip_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads(gzip.decompress(path.read_bytes()))
