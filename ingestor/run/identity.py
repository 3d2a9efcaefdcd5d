"""The operator's word on identity: read `data/identity.csv`, save it, merge what it affects."""

import csv
from pathlib import Path

import structlog

from common.settings import SettingsError
from db.connect.pool import borrow
from db.connect.types import Pool
from db.write.identity.identities import IdentityLabel, replace_identities
from db.write.transaction import write_transaction
from ingestor.clock import utc_now
from ingestor.run.remerge import merge_again

_log = structlog.stdlib.get_logger(__name__)

_COLUMNS = ("source", "external_id", "asset")
_RULES = ("", "owner", "banned")
"""The words of the column `rule`, which a file need not have."""


def read_identities(path: Path) -> list[IdentityLabel]:
    """Read the columns source, external_id, asset and rule of the file; others are ignored.

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
                identity = _label(path, reader.line_num, row)
                if (identity.source, identity.external_id) in labels:
                    raise SettingsError(
                        f"IDENTITY_PATH {path}, line {reader.line_num}: "
                        f"{identity.external_id} has two labels"
                    )
                labels[identity.source, identity.external_id] = identity
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"IDENTITY_PATH {path} cannot be read: {error}") from error
    return list(labels.values())


def _label(path: Path, line: int, row: dict[str, str | None]) -> IdentityLabel:
    """Return what one line says. Raises SettingsError."""
    source, external_id, asset = ((row[column] or "").strip() for column in _COLUMNS)
    rule = (row.get("rule") or "").strip().lower()
    if rule not in _RULES:
        raise SettingsError(
            f"IDENTITY_PATH {path}, line {line}: the rule {rule!r} is none of owner, banned"
        )
    if not source or not external_id or not (asset or rule):
        raise SettingsError(
            f"IDENTITY_PATH {path}, line {line}: source, external_id, and asset or rule are needed"
        )
    return IdentityLabel(
        source, external_id, asset or None, is_owner=rule == "owner", is_banned=rule == "banned"
    )


async def save_identities(pool: Pool, identities: list[IdentityLabel]) -> None:
    """Save the labels, and merge the coins whose listings gained, lost or changed one."""
    now = utc_now()
    async with borrow(pool) as connection, write_transaction(connection) as outbox:
        tickers = await replace_identities(connection, identities)
        changed = await merge_again(outbox, tickers, now)
    if changed:
        await _log.ainfo("identity.changed", coins=len(changed))
