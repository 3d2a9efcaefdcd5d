"""The files of a source after a run has read them, in the dashboard's query."""

from pathlib import Path

from db.connect.pool import Pool
from db.sources import SourceSettings, save_sources
from ingestor.run.run import run
from ingestor.sources.files.source import CsvFiles
from tests.server.conftest import Service
from tests.server.graphql_rows import ask

FILES = """
{ sources { name files {
    name form rows rejected columns { role header how } unreadHeaders unreadCount
    notes { text count }
    firstListings { ticker name priceUsd marketCapUsd percentChange24h rank observedAt hasOwnTime }
} } }
"""


async def test_the_files_of_a_source_say_how_they_were_read(
    service: Service, pool: Pool, tmp_path: Path
) -> None:
    (tmp_path / "prices.csv").write_text(
        "symbol;name;price_usd;market cap;24h %;date;note\n"
        "BTC;Bitcoin;64123,45;1,2T;0,5;2026-01-31;x\n"
        "PEPE;Pepe;0,00000001;lots;-2,5;2026-01-31;x\n"
        "ETH;Ethereum;zz;1;1;2026-01-31;x\n",
        encoding="utf-8",
    )
    source = CsvFiles(str(tmp_path))
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)],
        )
    assert await ask(service, "{ sources { files { name } } }") == {"sources": [{"files": []}]}
    assert await run(pool, source, timeout_seconds=60) is not None
    assert (await ask(service, FILES))["sources"] == [
        {
            "name": "csv",
            "files": [
                {
                    "name": "prices.csv",
                    "form": "CSV, UTF-8, delimiter: semicolon, header on line 1",
                    "rows": 3,
                    "rejected": 1,
                    "columns": [
                        {"role": "symbol", "header": "symbol", "how": ""},
                        {
                            "role": "price",
                            "header": "price_usd",
                            "how": "US dollars, decimal comma",
                        },
                        {"role": "name", "header": "name", "how": ""},
                        {
                            "role": "market_cap",
                            "header": "market cap",
                            "how": "US dollars, decimal comma",
                        },
                        {"role": "change", "header": "24h %", "how": "per cent, decimal comma"},
                        {"role": "time", "header": "date", "how": "UTC where a time names no zone"},
                    ],
                    "unreadHeaders": ["note"],
                    "unreadCount": 1,
                    "notes": [
                        {"text": "Columns that are not read: note", "count": 1},
                        {"text": "'lots' is not a number - at `$.market cap`", "count": 1},
                    ],
                    "firstListings": [
                        {
                            "ticker": "BTC",
                            "name": "Bitcoin",
                            "priceUsd": "64123.45",
                            "marketCapUsd": "1200000000000",
                            "percentChange24h": 0.5,
                            "rank": None,
                            "observedAt": "2026-01-31T00:00:00.000000Z",
                            "hasOwnTime": True,
                        },
                        {
                            "ticker": "PEPE",
                            "name": "Pepe",
                            "priceUsd": "0.00000001",
                            "marketCapUsd": None,
                            "percentChange24h": -2.5,
                            "rank": None,
                            "observedAt": "2026-01-31T00:00:00.000000Z",
                            "hasOwnTime": True,
                        },
                    ],
                }
            ],
        }
    ]
