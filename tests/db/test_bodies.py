"""A stored body gives back what came, byte for byte, and its index exactly the records put in."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.bodies import (
    BodyDamagedError,
    BodyRecord,
    content_hash,
    cut_records,
    pack_body,
    pack_index,
    unpack_body,
)

COIN = b'{"id":"coin-%d","symbol":"T%d","price":%d.5}'
COINS = [COIN % (n, n, n * 7919 % 1000) for n in range(10_000)]
TEXT = b"[" + b",".join(COINS) + b"]"


@given(st.binary())
def test_a_body_comes_back_byte_for_byte(content: bytes) -> None:
    packed = pack_body(content)
    assert unpack_body(packed) == content
    assert (packed.size, packed.sha256) == (len(content), hashlib.sha256(content).digest())


@pytest.mark.parametrize("fault", ["cut", "byte", "hash", "size", "other"])
def test_a_changed_body_is_never_returned(fault: str) -> None:
    packed = pack_body(TEXT)
    content = packed.content
    faults: dict[str, dict[str, bytes | int]] = {
        "cut": {"content": content[:-20]},
        "byte": {"content": content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]},
        "hash": {"sha256": bytes(32)},
        "size": {"size": packed.size + 1},
        "other": {"content": pack_body(TEXT[:-1] + b" ").content},
    }
    with pytest.raises(BodyDamagedError):
        unpack_body(msgspec.structs.replace(packed, **faults[fault]))


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, list[BodyRecord]]:
    """Draw a body and records in any order: overlapping, with other payloads and other hashes."""
    text = draw(st.binary(min_size=1, max_size=200))
    records = []
    for external_id in draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])))):
        offset = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, len(text) - offset))
        sent = text[offset : offset + length]
        payload = draw(st.just(sent) | st.binary())
        digest = draw(st.just(content_hash(sent)) | st.binary(min_size=16, max_size=16))
        records.append(BodyRecord(external_id, offset, length, payload, digest))
    return text, records


@given(bodies())
def test_an_index_gives_exactly_the_records_put_in(body: tuple[bytes, list[BodyRecord]]) -> None:
    text, records = body
    assert list(cut_records(text, pack_index(text, records))) == records


def test_an_index_of_another_body_is_not_read() -> None:
    index = pack_index(TEXT, _records())
    with pytest.raises(BodyDamagedError):
        list(cut_records(TEXT[:-5], index))
    with pytest.raises(BodyDamagedError):
        list(cut_records(TEXT, index[:-5]))


def test_an_index_takes_few_bytes_for_a_record() -> None:
    index = pack_index(TEXT, _records())
    assert len(index) < 6 * len(COINS)


def _records() -> list[BodyRecord]:
    records, offset = [], 1
    for number, sent in enumerate(COINS):
        one = BodyRecord(f"coin-{number}", offset, len(sent), sent, content_hash(sent))
        records.append(one)
        offset += len(sent) + 1
    return records
