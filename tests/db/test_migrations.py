"""What a migration makes of rows that are there."""

import shutil
from pathlib import Path

import msgspec

from db.connect.pool import connect
from db.schema.migrate import MIGRATIONS, migrate


async def test_a_sole_giver_is_said_once_from_0008_on(empty_database: str, tmp_path: Path) -> None:
    for path in MIGRATIONS.glob("000[1-7]_*.sql"):
        shutil.copy(path, tmp_path)
    await migrate(empty_database, tmp_path)
    one, other = (
        {"source": source, "external_id": "x", "observed_at": "2026-11-01T00:00:00Z"}
        for source in "ab"
    )
    before = {
        "SOLE": [{"field": "name"} | one, {"field": "price_usd"} | one],
        "BOTH": [{"field": "name"} | one, {"field": "price_usd"} | other],
        "NONE": [],
    }
    connection = await connect(empty_database)
    try:
        for ticker, provenance in before.items():
            await connection.execute(
                "INSERT INTO normalized_records (ticker, source, created_at, ingested_at, "
                "rival_count, provenance) "
                "VALUES ($1, 'a', now(), now(), 0, $2)",
                ticker,
                provenance,
            )
        await migrate(empty_database)
        rows = await connection.fetch("SELECT ticker, provenance FROM normalized_records")
    finally:
        await connection.close()
    assert {row["ticker"]: msgspec.json.decode(row["provenance"]) for row in rows} == before | {
        "SOLE": one
    }
