"""NaN and Infinity in a body cost their field alone; the payload holds the original text."""

import datetime
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings import Settings
from ingestor.sources.coingecko import source as coingecko
from ingestor.sources.decode import split
from ingestor.sources.nonfinite import null_constants, null_literals
from ingestor.sources.records import content_hash

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


def test_a_literal_that_is_not_json_costs_its_field_alone_and_the_payload_tells_it() -> None:
    sent = (
        b'{"id": "a", "symbol": "NaN", "current_price": 2, "max_supply": NaN, "roi": {"x": '
        b"[1, -Infinity]}, "
        b'"y": Infinity}'
    )
    [first, second], rejections = split(b'[{"id": "b", "symbol": "b"}, ' + sent + b"]", "Provider")
    assert rejections == []
    assert first.raw == b'{"id": "b", "symbol": "b"}'
    assert second.content_hash == content_hash(sent)
    assert second.raw == (
        b'{"id": "a", "symbol": "NaN", "current_price": 2, "max_supply": null, "roi": {"x": '
        b'[1, null]}, "y": null'
        b',"@replaced":{"$.max_supply":"NaN","$.roi.x[1]":"-Infinity","$.y":"Infinity"}}'
    )
    listing = coingecko.create(Settings(home=Path())).to_listing(second, NOW)
    assert (listing.ticker, listing.price_usd, listing.max_supply) == ("NAN", Decimal(2), None)
    assert [(note.about, note.text) for note in listing.notes] == [
        ("$.max_supply", "NaN is not JSON and is read as missing - at `$.max_supply`"),
        ("$.roi.x[1]", "-Infinity is not JSON and is read as missing - at `$.roi.x[1]`"),
        ("$.y", "Infinity is not JSON and is read as missing - at `$.y`"),
    ]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (b'{"id": NaN, "symbol": "a"}', "Expected `str`, got `null` - at `$.id`"),
        (b"NaN", "JSON is malformed: invalid character (byte 0) - at `$`"),
        (b"[NaN]", "Expected `object`, got `array` - at `$`"),
        (b'{"id": "a", "x": nan}', "JSON is malformed: invalid character (byte 18) - at `$`"),
        (b'{"id": "a", "x": NaN1}', "JSON is malformed: invalid character (byte 17) - at `$`"),
        (
            b'{"id": "a", "x": NaN, "y": }',
            "JSON is malformed: invalid character (byte 17) - at `$`",
        ),
    ],
)
def test_what_a_literal_does_not_explain_is_rejected_with_its_bytes(
    entry: bytes, error: str
) -> None:
    records, rejections = split(b'[{"id": "one"},' + entry + b"]", "Provider")
    assert [record.external_id for record in records] == ["one"]
    assert [(rejection.error, rejection.payload) for rejection in rejections] == [(error, entry)]


_TEXT = st.characters(exclude_characters="\0", codec="utf-8")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(_TEXT),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(_TEXT, max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


def _nulled(value: object) -> object:
    if isinstance(value, float) and not -1e400 < value < 1e400:
        return None
    if isinstance(value, list):
        return [_nulled(item) for item in value]
    return {key: _nulled(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(st.dictionaries(st.text(_TEXT, max_size=5), _JSON, min_size=1, max_size=4))
def test_literals_become_null_and_nothing_else_changes(value: dict[str, object]) -> None:
    raw = json.dumps(value).encode()
    wanted = _nulled(value)
    assert json.loads(null_literals(raw)) == wanted
    marked = json.loads(null_constants(raw))
    assert marked.pop("@replaced", {}).keys() == set(_paths(value, "$"))
    assert marked == wanted


def _paths(value: object, path: str) -> list[str]:
    if isinstance(value, float) and not -1e400 < value < 1e400:
        return [path]
    if isinstance(value, list):
        return [found for at, item in enumerate(value) for found in _paths(item, f"{path}[{at}]")]
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _paths(item, f"{path}.{key}")]
    return []


@pytest.mark.parametrize("key", [b"\\ud800", b"\xed\xa0\x80"])
def test_half_a_surrogate_pair_beside_a_literal_costs_its_record_alone(key: bytes) -> None:
    sent = b'{"id": "a", "' + key + b'": NaN}'
    records, [rejection] = split(b'[{"id": "b"}, ' + sent + b"]", "Provider")
    assert [record.external_id for record in records] == ["b"]
    assert rejection.payload == sent
