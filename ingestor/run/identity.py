"""Explicit identity labels: read `data/identity.csv`, save it, and merge the coins it affects."""

import csv
from pathlib import Path

import structlog

from common.settings import SettingsError
from db.connect.clock import database_now
from db.connect.pool import borrow
from db.connect.types import Pool
from db.schema.partitions import DEFAULT_RETENTION, Retention
from db.write.coins import merge_coins
from db.write.history import record_prices
from db.write.identities import IdentityLabel, replace_identities
from db.write.transaction import write_transaction
from ingestor.clock import utc_now

_log = structlog.stdlib.get_logger(__name__)

_COLUMNS = ("source", "external_id", "asset")


def read_identities(path: Path) -> list[IdentityLabel]:
    """Read the columns source, external_id and asset of the file; others are ignored.

    Raises SettingsError.
    """
    labels: dict[tuple[str, str], IdentityLabel] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [
                column for column in _COLUMNS if column not in (reader.fieldnames or ())
            ]:
                raise SettingsError(
                    f"IDENTITY_PATH {path} lacks {missing[0]}; it needs {', '.join(_COLUMNS)}"
                )
            for row in reader:
                cells = [(row[column] or "").strip() for column in _COLUMNS]
                if not all(cells):
                    raise SettingsError(
                        f"IDENTITY_PATH {path}, line {reader.line_num}: "
                        f"{', '.join(_COLUMNS)} are needed"
                    )
                identity = IdentityLabel(*cells)
                if (identity.source, identity.external_id) in labels:
                    raise SettingsError(
                        f"IDENTITY_PATH {path}, line {reader.line_num}: "
                        f"{identity.external_id} has two labels"
                    )
                labels[identity.source, identity.external_id] = identity
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"IDENTITY_PATH {path} cannot be read: {error}") from error
    return list(labels.values())


async def save_identities(
    pool: Pool, identities: list[IdentityLabel], retention: Retention = DEFAULT_RETENTION
) -> None:
    """Save the labels, and merge the coins whose listings gained, lost or changed one."""
    now = utc_now()
    async with borrow(pool) as connection, write_transaction(connection) as outbox:
        oldest = retention.oldest_history(await database_now(connection))
        tickers = await replace_identities(connection, identities)
        coins = await merge_coins(connection, tickers, now)
        await record_prices(connection, coins.repriced, oldest)
        await outbox.add_coins(coins.changed, now)
    if coins.changed:
        await _log.ainfo("identity.changed", coins=len(coins.changed))
