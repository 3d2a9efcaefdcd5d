"""`kasparro identity explain`: the claims on a ticker in words."""

import datetime
from pathlib import Path

import msgspec
import pytest

from db.connect.types import Pool
from db.read.identity.evidence import ticker_evidence
from db.write.coins import merge_coins
from ingestor.run.identity import read_identities, save_identities
from kasparro.cli.identity import lines_of
from tests.kasparro.command_line import kasparro

NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
ADD = """
INSERT INTO listings (source, external_id, ticker, symbol, name, name_words, core_words, price_usd,
    market_cap_usd, volume_24h_usd, observed_at, fetched_at, first_seen_at, last_seen_at,
    content_hash)
VALUES ($1, $2, 'SOL', 'sol', $3, $4, $4, $5, $6, $7, $8, $8, $8, $8, 'x')
"""
LISTINGS = [
    ("coinpaprika", "sol-solana", "Solana", 150, 80_000_000_000, 3_000_000_000),
    ("coingecko", "solana", "Solana", 150, 81_000_000_000, 3_100_000_000),
    ("coingecko", "wormhole-solana", "Solana (Wormhole)", 150, 10_000_000_000_000, 500_000),
    ("coingecko", "sol-cat", "Sol Cat", None, None, None),
]


@pytest.fixture
async def solana(pool: Pool) -> Pool:
    """A database with four listings of SOL."""
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO sources (name, kind, enabled, priority, poll_seconds) VALUES "
            "('coinpaprika', 'api', true, 10, 300), ('coingecko', 'api', true, 20, 300)"
        )
        for source, external_id, name, price, cap, volume in LISTINGS:
            words = name.lower().replace("(", "").replace(")", "")
            await connection.execute(ADD, source, external_id, name, words, price, cap, volume, NOW)
        await merge_coins(connection, ["SOL"], NOW)
    return pool


async def test_the_evidence_for_and_against_each_candidate_is_told(solana: Pool) -> None:
    async with solana.acquire() as reader:
        evidence = await ticker_evidence(reader, "SOL")
        assert await reader.fetchval("SELECT asset FROM normalized_records") == (
            "coinpaprika:sol-solana"
        )
    assert [claim.asset for claim in evidence.claims] == [
        "coinpaprika:sol-solana",
        "coingecko:wormhole-solana",
        "coingecko:sol-cat",
    ]
    text = "\n".join(lines_of(evidence))
    first, second, third = text.split("\n2. ")[0], *text.split("\n2. ")[1].split("\n3. ")
    assert "1. coinpaprika:sol-solana owns the ticker\n" in first
    assert "2 sources with a price; a size of $80,000,000,000; a standing" in first
    assert "against  nothing" in first
    assert "coingecko:solana, Solana, price $150, cap $81,000,000,000" in first
    assert "its name is that of a copy" in second
    assert "cap $10,000,000,000,000 (counted as $500,000,000,000)" in second
    assert "no price" in third


async def test_the_operators_word_is_told_and_counts(solana: Pool, tmp_path: Path) -> None:
    path = tmp_path / "identity.csv"
    path.write_text(
        "source,external_id,asset,rule\n"
        "coingecko,sol-cat,,owner\n"
        "coingecko,wormhole-solana,,banned\n"
        "coinpaprika,sol-solana,solana,\n"
    )
    await save_identities(solana, read_identities(path))
    async with solana.acquire() as reader:
        evidence = await ticker_evidence(reader, "SOL")
        owner = await reader.fetchval("SELECT asset FROM normalized_records")
        assert not await reader.fetchval(
            "SELECT bool_or(contributes) FROM listings WHERE external_id = 'wormhole-solana'"
        )
    assert owner == "coingecko:sol-cat"
    text = "\n".join(lines_of(evidence))
    assert "data/identity.csv names it the owner" in text.split("\n2. ")[0]
    assert "banned: coingecko:wormhole-solana counts for nothing" in text


@pytest.mark.usefixtures("solana")
async def test_the_command_prints_it_and_an_unknown_ticker_is_an_error(database: str) -> None:
    told = await kasparro("identity", "explain", "sol", DATABASE_URL=database)
    assert told.returncode == 0
    assert told.stdout.startswith("1. coinpaprika:sol-solana owns the ticker\n")
    as_json = await kasparro("identity", "explain", "SOL", "--json", DATABASE_URL=database)
    assert len(msgspec.json.decode(as_json.stdout)["claims"]) == 3
    unknown = await kasparro("identity", "explain", "NOPE", DATABASE_URL=database)
    assert unknown.returncode == 1
    assert "no source lists NOPE" in unknown.stderr
