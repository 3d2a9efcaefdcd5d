"""Rows for GraphQL, and functions that send queries."""

import datetime
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from db.connect.types import Connection
from db.sources import stamp_coins
from tests.server.conftest import Service

NOW = datetime.datetime(2026, 2, 3, 20, 21, 11, 250000, tzinfo=datetime.UTC)
NUMERIC = frozenset(
    {
        "price_usd_exact",
        "price_usd",
        "market_cap_usd",
        "volume_24h_usd",
        "percent_change_24h",
        "circulating_supply",
        "total_supply",
        "max_supply",
    }
)


Json = Any
"""What JSON, or a column, holds."""


class Rows:
    """Adds rows; numbers are texts with all digits.

    What is left out has a plain value.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _insert(self, table: str, row: dict[str, Any]) -> Json:
        places = ", ".join(
            f"${number}::text::numeric" if name in NUMERIC else f"${number}"
            for number, name in enumerate(row, 1)
        )
        return await self._connection.fetchrow(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places}) RETURNING *",
            *row.values(),
        )

    async def coin(self, ticker: str, **given: object) -> None:
        row = {
            "ticker": ticker,
            "name": ticker.title(),
            "price_usd_exact": "1.5",
            "source": "coinpaprika",
            "created_at": NOW,
            "ingested_at": NOW + datetime.timedelta(seconds=1),
            "rival_count": 0,
            "provenance": [],
        }
        await self._insert("normalized_records", row | given)
        await stamp_coins(self._connection)

    async def listing(self, source: str, external_id: str, ticker: str, **given: object) -> bytes:
        """Return the content hash."""
        row: dict[str, Any] = {
            "source": source,
            "external_id": external_id,
            "ticker": ticker,
            "symbol": ticker.lower(),
            "name": ticker.title(),
            "name_words": ticker.lower(),
            "core_words": ticker.lower(),
            "observed_at": NOW,
            "fetched_at": NOW,
            "first_seen_at": NOW,
            "last_seen_at": NOW,
            "content_hash": hashlib.blake2b(
                f"{source} {external_id}".encode(), digest_size=16
            ).digest(),
            "contributes": True,
        } | given
        await self._insert("listings", row)
        return bytes(row["content_hash"])

    async def payload(
        self, source: str, external_id: str, content_hash: bytes, payload: str, **given: object
    ) -> None:
        row = {
            "source": source,
            "external_id": external_id,
            "payload": msgspec.Raw(payload.encode()),
            "ingested_at": NOW,
            "run_id": 1,
            "content_hash": content_hash,
        } | given
        await self._insert("raw_csv_records" if source == "csv" else "raw_api_records", row)

    async def source(self, name: str, **given: object) -> None:
        row = {"name": name, "kind": "api", "enabled": True, "priority": 1, "poll_seconds": 300}
        await self._insert("sources", row | given)
        await stamp_coins(self._connection)

    async def run(self, source: str, status: str = "success", **given: object) -> int:
        """Return the run's number."""
        is_over = status != "running"
        row = {
            "source": source,
            "status": status,
            "started_at": NOW,
            "finished_at": NOW + datetime.timedelta(milliseconds=1500) if is_over else None,
            "message": "it broke" if status == "failure" else None,
        }
        return int((await self._insert("etl_runs", row | given))["id"])

    async def rejection(self, run_id: int, **given: object) -> int:
        """Return the rejection's number."""
        row = {
            "run_id": run_id,
            "source": "csv",
            "external_id": None,
            "error": "Expected `int` - at `$.rank`",
            "payload": b"{}",
            "rejected_at": NOW,
        }
        return int((await self._insert("rejected_records", row | given))["id"])

    async def checkpoint(self, source: str, **given: object) -> None:
        await self._insert("etl_checkpoints", {"source": source, "updated_at": NOW} | given)


async def ask(
    service: Service,
    query: str,
    variables: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """Return `data` of a response without errors."""
    answer = await ask_all(service, query, variables, headers)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


async def ask_all(
    service: Service,
    query: str,
    variables: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """Return a whole response."""
    body = {"query": query, "variables": variables}
    async with service.client.post("/graphql", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def error_of(
    service: Service,
    query: str,
    variables: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """Return the only error of a response."""
    answer = await ask_all(service, query, variables, headers)
    (error,) = answer["errors"]
    return error
