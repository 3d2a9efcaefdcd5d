"""Every statement that stands as a constant in `db/` fits the migrated schema."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import asyncpg

import db
from db.connect.types import Connection
from db.read.history.candle_json import COLUMNS, candle_statement
from db.read.history.candles import INTERVALS, _history
from db.read.history.series import Owner
from db.read.identity.what_if import GIVEN, TABLES

STATEMENT = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH (?:RECURSIVE )?\w+ AS)\b")

# What a migration leaves of a database of version 0.1.0.
FORMER = """
CREATE TEMP TABLE former_price_points (
    ticker text, at timestamptz, price_usd numeric, market_cap_usd numeric, volume_24h_usd numeric,
    source text
);
CREATE TEMP TABLE former_raw_api_records (
    source text, external_id text, payload jsonb, ingested_at timestamptz, run_id bigint,
    content_hash bytea, fetched_at timestamptz
);
CREATE TEMP TABLE former_raw_csv_records (LIKE former_raw_api_records);
"""
OWNERS: tuple[Owner, ...] = ("coin", "listing")
# Parts of statements whose rest stands elsewhere.
FRAGMENTS = {
    "db.read.history.candles._POINTS",
    "db.read.history.candles._ROLLED",
    "db.read.history.candles._STORED",
    "db.write.history.BUCKET",
    "db.reprocess.changes._COUNT_DIFFERENCE",
    "db.read.identity.evidence.LISTINGS",
    "db.verify.coins.LISTINGS",
    "db.verify.differences._LIMITED",
    "db.write.merge.LISTINGS",
    "db.write.merge.listings.LISTINGS",
}


def modules() -> list[ModuleType]:
    return [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(db.__path__, "db.")
    ]


def statements(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the statements of a module's constants by name; a constant may hold several."""
    for name, value in vars(module).items():
        several = value if isinstance(value, dict) else {"": value}
        texts = several.values() if not isinstance(value, tuple) else value
        for text in texts:
            if isinstance(text, str) and STATEMENT.match(text):
                yield f"{module.__name__}.{name}", text


async def test_every_statement_can_be_prepared(connection: Connection) -> None:
    found = [statement for module in modules() for statement in statements(module)]
    names = {name for name, _ in found}
    assert {
        "db.reprocess.points._COMPARE",
        "db.reprocess.payloads._READ",
        "db.write.merge.MERGE",
    } <= names
    assert len(names) > 120
    refused = {}
    async with connection.transaction():
        await connection.execute(GIVEN)
        await connection.execute(TABLES)
        for name, text in found:
            if name.startswith("db.read.identity.what_if."):
                await connection.prepare(text)
        await connection.execute("DROP TABLE given")
    await connection.execute(FORMER)
    for name, text in found:
        if name.startswith("db.read.identity.what_if."):
            continue
        if name in FRAGMENTS:
            continue
        try:
            await connection.prepare(text)
        except asyncpg.PostgresError as error:
            refused[name] = str(error)
    assert refused == {}


async def test_every_statement_of_candles_can_be_prepared(connection: Connection) -> None:
    for interval in INTERVALS.values():
        for columns in (("start",), tuple(COLUMNS)):
            for owner in OWNERS:
                await connection.prepare(candle_statement(owner, interval, columns))
    for owner in OWNERS:
        for backward in (False, True):
            await connection.prepare(_history(owner, backward=backward))
