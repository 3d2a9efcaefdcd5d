"""`kasparro status` and `kasparro doctor` say when addresses were read, and why they were not."""

import datetime
import json
from pathlib import Path

from common.settings import load_settings
from db.connect.types import Connection
from db.notes import Note
from db.write.registry import RegistryPart, count_registry_failure, save_parts, set_registry_due
from ingestor.registry.reading import NOT_READ
from kasparro.doctor.findings import Finding
from kasparro.doctor.registry import check_registry
from tests.kasparro.command_line import kasparro

HOUR = datetime.timedelta(hours=1)


async def fill(connection: Connection) -> None:
    now = datetime.datetime.now(datetime.UTC)
    notes = (Note("unknown platform", "Addresses on platforms: x", 7), Note(f"{NOT_READ}a", "404"))
    whole = RegistryPart(part="", listings=1_200, addresses=1_500, notes=notes)
    part = RegistryPart(part="contracts", listings=5, addresses=5)
    await save_parts(connection, "coinpaprika", [part, whole], now - 3 * HOUR, now + 21.5 * HOUR)
    await count_registry_failure(connection, "coingecko", "", "CoinGecko is away")
    await set_registry_due(connection, "coingecko", now + 5.5 * HOUR)


async def test_status_has_a_line_for_each_registry(
    connection: Connection, database: str, tmp_path: Path
) -> None:
    await connection.execute(
        "INSERT INTO sources (name, kind, enabled, priority, poll_seconds) "
        "VALUES ('coinpaprika', 'api', true, 10, 300)"
    )
    await fill(connection)
    settings = {"DATABASE_URL": database, "KASPARRO_HOME": str(tmp_path)}
    lines = (await kasparro("status", **settings)).stdout.splitlines()
    assert [line for line in lines if line.startswith("addresses of ")] == [
        (
            "addresses of coingecko: not read yet, next in 5 h; the last reading failed: "
            "CoinGecko is away"
        ),
        "addresses of coinpaprika: 1,500 of 1,200 listings, read 3 h ago, next in 21 h",
    ]
    registries = json.loads((await kasparro("status", "--json", **settings)).stdout)["registries"]
    assert [(each["source"], each["addresses"], each["failures"]) for each in registries] == [
        ("coingecko", 0, 1),
        ("coinpaprika", 1_500, 0),
    ]


async def test_the_doctor_has_a_line_for_each_registry_and_each_of_its_notes(
    connection: Connection,
) -> None:
    assert await check_registry(connection) == []
    await fill(connection)
    found = await check_registry(connection)
    assert [(finding.level, finding.subject) for finding in found] == [
        ("warn", "Addresses"),
        ("ok", "Addresses"),
        ("ok", "Addresses"),
        ("warn", "Addresses"),
    ]
    assert found[0] == Finding(
        "warn",
        "Addresses",
        "coingecko: not read yet; readings that failed since: 1, the last: CoinGecko is away",
        "nothing: it is read again later, and what was read before counts until then",
    )
    assert found[1].text.startswith("coinpaprika: 1,500 addresses of 1,200 listings, read 20")
    assert found[2].text == "coinpaprika: Addresses on platforms: x (7 times)"


def test_the_setting_is_in_hours_and_may_be_0() -> None:
    assert load_settings({}).registry_hours == 24
    assert load_settings({"REGISTRY_HOURS": "0"}).registry_hours == 0
