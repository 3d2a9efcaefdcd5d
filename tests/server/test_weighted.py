"""Weighted header lists: weights, refusals, several lines, specificity (RFC 9110, 12.5)."""

import time

import pytest

from server.http.weighted import (
    ANY,
    NAMED,
    best_coding,
    field_value,
    match_coding,
    match_media_type,
    parse,
)

JSON = "application/json"


@pytest.mark.parametrize(
    ("accept", "weight"),
    [
        (None, 1),
        (b"", 1),
        (b" , ,", 1),
        (b"application/json", 1),
        (b"APPLICATION/JSON ; Q=0.5", 0.5),
        (b"application/json;q=0", 0),
        (b"application/json;q=0.000", 0),
        (b"application/json;q=1.000", 1),
        (b"*/*;q=0.1", 0.1),
        (b"*; q=.2, */*; q=.2", 0.2),
        (b"application/*;q=0.3, */*", 0.3),
        (b"*/*, application/json;q=0", 0),
        (b"application/*, application/json;q=0, */*", 0),
        (b"text/html, image/png", 0),
        (b"application/jsonp, application/json+x, xapplication/json", 0),
        (b'text/x;a="application/json", image/png', 0),
        (b'text/x;a=",application/json,\\",";q=0.2, application/json;q=0.7', 0.7),
        (b"application/json;q=oops, */*;q=0.4", 0.4),
        (b"application/json;q=2, */*;q=0.4", 0.4),
        (b"application/json;charset=utf-8;q=0.9, application/json;q=0.2", 0.9),
        (b"application/json;charset=latin-1;q=0.9, application/json;q=0.2", 0.2),
        (b'application/json;charset="UTF-8"', 1),
        (b"application/json;", 1),
        (b"application/json;q=0.5;ext=1, */*;q=0.1", 0.1),
    ],
)
def test_how_much_a_media_type_is_wanted(accept: bytes | None, weight: float) -> None:
    assert match_media_type(accept, JSON, {"charset": "utf-8"}).weight == weight


def test_a_type_that_is_named_is_told_from_one_that_a_wildcard_allows() -> None:
    assert match_media_type(b"application/json, */*", JSON).specificity == NAMED
    assert match_media_type(b"text/html, */*", JSON).specificity == ANY


def test_several_lines_of_a_field_are_one_list() -> None:
    headers = [(b"accept", b"text/html"), (b"host", b"x"), (b"accept", b"application/json;q=0.5")]
    value = field_value(headers, b"accept")
    assert value == b"text/html, application/json;q=0.5"
    assert match_media_type(value, JSON).weight == 0.5
    assert field_value(headers, b"accept-encoding") is None


@pytest.mark.parametrize(
    ("accept_encoding", "best"),
    [
        (None, None),
        (b"", None),
        (b"gzip", "gzip"),
        (b"GZIP", "gzip"),
        (b"x-gzip", "gzip"),
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"gzip;q=1.0, zstd;q=0.5", "gzip"),
        (b"gzip;q=0", None),
        (b"gzip;q=0, *", "zstd"),
        (b"*", "zstd"),
        (b"*;q=0", None),
        (b"zstd;q=0, *;q=0.5", "br"),
        (b"notgzip, gzipped", None),
        (b"identity, gzip;q=0.5", None),
        (b"identity;q=0.5, gzip;q=0.5", "gzip"),
        (b"identity;q=0.5, gzip;q=0.4", None),
        (b"identity;q=0, gzip;q=0.001", "gzip"),
        (b"deflate", None),
    ],
)
def test_the_coding_that_is_wanted_most(accept_encoding: bytes | None, best: str | None) -> None:
    assert best_coding(accept_encoding, ("zstd", "br", "gzip")) == best


def test_identity_can_be_refused() -> None:
    refused = [b"identity;q=0", b"*;q=0", b"gzip, *;q=0"]
    assert [match_coding(value, "identity") for value in refused] == [
        (0, NAMED),
        (0, ANY),
        (0, ANY),
    ]
    assert match_coding(b"identity;q=0.5, *;q=0", "identity").weight == 0.5


@pytest.mark.parametrize(
    "hostile", [b'"\\"' * 20_000, b'"' * 60_001, b",;" * 30_000, b"a/b;c=" * 10_000, b"\\" * 60_000]
)
def test_a_hostile_value_is_read_in_time_that_grows_with_its_length(hostile: bytes) -> None:
    started = time.process_time()
    parse(hostile)
    assert time.process_time() - started < 1
