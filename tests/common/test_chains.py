"""Addresses have one normal form a chain, and a chain has one name of ours."""

import gzip
import itertools
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.addresses import FORMS, telling_chain
from common.chains import (
    caip19,
    chains,
    is_known_chain,
    is_known_platform,
    named_address,
    normalize_address,
    parse_token,
    platform_address,
)

CAIP_2 = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
TETHER = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
ATOM = "ibc/27394FB092D2ECCD56123C74F36E4C1F926001CEADA9CA97EA622B25F41E5EB2"
ISSUER = "GBX6YI45VU7WNAAKA3RBFDR3I3UKNFHTJPQ5F6KOOKSGYIAM4TRQN54W"
CETUS = "0x" + "0" * 57 + "6864a6f::cetus::CETUS"
JETTON = "EQCxE6mUtQJKFnGfaROTKOt1lZbDiiX1kCixRv7Nw2Id_sDs"
RAW_JETTON = "0:b113a994b5024a16719f69139328eb759596c38a25f59028b146fecdc3621dfe"


@pytest.mark.parametrize(
    ("chain", "text", "normal"),
    [
        ("ethereum", " 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48 ", USDC),
        ("bsc", f"{USDC}#code", USDC),
        ("xdai", f"{USDC}/token-transfers", USDC),
        ("xdc", f"xdc{USDC[2:]}", USDC),
        ("ethereum", USDC[:-1], None),
        ("ethereum", "0x" + "0" * 40, None),
        ("ethereum", "0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE", None),
        ("solana", MINT, MINT),
        ("solana", MINT.lower(), None),
        ("tron", TETHER, TETHER),
        ("tron", TETHER.replace("TR7", "TR8"), None),
        ("tron", "1002000", "1002000"),
        ("aptos", "0x1::aptos_coin::AptosCoin", "0x1::aptos_coin::AptosCoin"),
        ("aptos", "0x" + "0" * 63 + "1::aptos_coin::AptosCoin", "0x1::aptos_coin::AptosCoin"),
        ("sui", "0x6864A6F::cetus::CETUS", CETUS),
        ("sui", CETUS, CETUS),
        ("sui", "sui", None),
        ("osmosis", ATOM.lower().replace("ibc", "IBC"), ATOM),
        ("osmosis", "factory/osmo1abc/uABC", "factory/osmo1abc/uABC"),
        ("osmosis", USDC, None),
        ("near", "Token.V2.ref-finance.near", "token.v2.ref-finance.near"),
        ("sora", "0x00" + "AB" * 31, "0x00" + "ab" * 31),
        ("sora", "0xAB", None),
        ("neo", "0x" + "7F" * 20, "7f" * 20),
        ("stellar", f"AKN:{ISSUER.lower()}", f"AKN-{ISSUER}"),
        ("stellar", f"{ISSUER}-1", ISSUER),
        ("ton", JETTON, RAW_JETTON),
        ("ton", RAW_JETTON.upper(), RAW_JETTON),
        ("ton", JETTON[:-1] + "A", None),
        ("starknet", "0x53C91", "0x" + "0" * 59 + "53c91"),
        ("bnb-beacon", "btcb-1de", "BTCB-1DE"),
        ("hedera", "0.0.859814", "0.0.859814"),
        ("tezos", "KT1XPFjZqCULSnqfKaaYy8hJjeY63UNSGwXg ", "KT1XPFjZqCULSnqfKaaYy8hJjeY63UNSGwXg"),
        ("accumulate", "no contract address available", None),
        ("coingecko:new-chain", " AbC ", "AbC"),
        ("ethereum", "", None),
    ],
)  # fmt: skip
def test_an_address_has_the_normal_form_of_its_chain(
    chain: str, text: str, normal: str | None
) -> None:
    assert normalize_address(chain, text) == normal


@given(st.sampled_from(sorted(chains())), st.text(max_size=80))
@example("osmosis", "cw20:cw20:x")
@example("osmosis", "cw20:")
@example("osmosis", "cw20:\tx")
def test_a_normal_form_is_its_own_normal_form(chain: str, text: str) -> None:
    if (normal := normalize_address(chain, text)) is not None:
        assert normalize_address(chain, normal) == normal


def test_the_table_has_one_name_for_each_chain() -> None:
    rows = list(chains().values())
    assert all(row.address_form in FORMS for row in rows)
    caip = [row.caip2 for row in rows if row.caip2]
    assert len(caip) == len(set(caip))
    assert all(map(CAIP_2.fullmatch, caip))
    assert [row.caip2 for row in rows if row.caip2.startswith("eip155:")] == [
        row.caip2 for row in rows if row.caip2.startswith("eip155:") and row.address_form == "evm"
    ]
    ours = {row.chain for row in rows}
    for row, name in itertools.chain.from_iterable(
        zip(itertools.repeat(row), (*row.defillama, *row.aliases), strict=False) for row in rows
    ):
        assert name.casefold() not in ours - {row.chain}, name


@pytest.mark.parametrize(
    ("text", "token"),
    [
        (f"ethereum:{USDC}", ("ethereum", USDC)),
        (f"Ethereum:{USDC.upper().replace('X', 'x')}", ("ethereum", USDC)),
        (f"eth-ethereum:{USDC}", ("ethereum", USDC)),
        (f"binance-smart-chain:{USDC}", ("bsc", USDC)),
        (f"bnb-binance-coin:{USDC}", ("bsc", USDC)),
        ("bnb-binance-coin:BTCB-1DE", ("bnb-beacon", "BTCB-1DE")),
        (f"eip155:56:{USDC}", ("bsc", USDC)),
        (f"eip155:56/erc20:{USDC}", ("bsc", USDC)),
        (f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:{MINT}", ("solana", MINT)),
        ("aptos:0x1::aptos_coin::AptosCoin", ("aptos", "0x1::aptos_coin::AptosCoin")),
        (f"ton:{RAW_JETTON}", ("ton", RAW_JETTON)),
        (f"cosmos:osmosis-1/ibc:{ATOM[4:]}", ("osmosis", ATOM)),
        ("coingecko:new-chain:AbC", ("coingecko:new-chain", "AbC")),
        (f"coingecko:polygon-pos:{USDC}", ("polygon", USDC)),
        (USDC, None),
        (f"nowhere:{USDC}", None),
        (f"solana:{USDC}", None),
        ("", None),
        (":", None),
    ],
)
def test_a_token_is_read_by_every_name_of_its_chain(
    text: str, token: tuple[str, str] | None
) -> None:
    assert parse_token(text) == token


@given(st.text(max_size=60))
def test_any_text_is_a_token_or_none(text: str) -> None:
    if (token := parse_token(text)) is not None:
        assert parse_token(str(token)) == token


def test_caip_19_needs_a_chain_with_a_caip_2_id() -> None:
    assert caip19("ethereum", USDC) == f"eip155:1/erc20:{USDC}"
    assert caip19("tron", TETHER) == f"tron:728126428/trc20:{TETHER}"
    assert caip19("aptos", "0x1::aptos_coin::AptosCoin") == (
        "aptos:1/coin:0x1%3A%3Aaptos%5Fcoin%3A%3AAptosCoin"
    )
    assert caip19("waves", MINT) is None
    assert caip19("coingecko:new-chain", "AbC") is None
    assert caip19("sui", "0x1::a::" + "A" * 130) is None


def test_a_chain_is_found_by_its_number_and_by_the_names_in_files() -> None:
    assert named_address("56", USDC) == ("bsc", USDC)
    assert named_address("BEP20", USDC) == ("bsc", USDC)
    assert named_address(" Polygon POS ", USDC) == ("polygon", USDC)
    assert is_known_chain("ERC-20")
    assert not is_known_chain("0")
    assert not is_known_chain("²")


def test_only_a_telling_form_stands_for_its_chain() -> None:
    assert telling_chain(TETHER) == "tron"
    assert telling_chain(JETTON) == "ton"
    assert telling_chain("usdt.tether-token.near") == "near"
    assert telling_chain(f"AKN-{ISSUER}") == "stellar"
    for several in (USDC, MINT, ATOM, "0x1::aptos_coin::AptosCoin", "", "abc"):
        assert telling_chain(several) is None


def test_every_platform_and_nearly_every_address_of_a_recorded_list_is_known(
    shared_recordings: Path,
) -> None:
    body = gzip.decompress(
        (shared_recordings / "coingecko-coins-list-platforms-2022-10-05.json.gz").read_bytes()
    )
    pairs = [
        (platform, text)
        for coin in msgspec.json.decode(body)
        for platform, text in coin["platforms"].items()
        if text and text.strip()
    ]
    assert len(pairs) == 14_495
    assert {
        platform for platform, _ in pairs if not is_known_platform("coingecko", platform)
    } == set()
    tokens = [platform_address("coingecko", platform, text) for platform, text in pairs]
    assert len({token.chain for token in tokens if token}) == 103
    # Sentences, addresses of other chains, truncated ones.
    assert tokens.count(None) == 11
    for token in filter(None, tokens):
        assert parse_token(str(token)) == token
        if (caip := caip19(*token)) is not None:
            assert parse_token(caip) == token
