"""schemathesis finds every response of a running server as /openapi.json says."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.conftest import TOKEN, AddCoin, AddRun, AddSource, Service

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "20")
"""For each operation and phase; more with `SCHEMATHESIS_EXAMPLES=500`."""
TIMEOUT_SECONDS = 240
ROOT = Path(__file__).resolve().parents[2]


def run_schemathesis(url: str, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            Path(sys.executable).with_name("st"),
            f"--config-file={ROOT / 'schemathesis.toml'}",
            "run",
            f"{url}/openapi.json",
            "--checks=all",
            "--continue-on-failure",
            f"--max-examples={EXAMPLES}",
            "--seed=10",
            "--no-color",
            *options,
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.timeout(TIMEOUT_SECONDS + 30)
async def test_every_response_matches_the_document(
    service: Service, add_coin: AddCoin, add_run: AddRun, add_source: AddSource, tmp_path: Path
) -> None:
    await add_source("csv")
    await add_run("csv", "success", processed=2)
    for number in range(5):
        await add_coin(f"T{number}", market_cap_usd=str(10**number), volume_24h_usd="0")
    await add_coin("ETH", name=None, price_usd_exact=None)
    done = await asyncio.to_thread(
        run_schemathesis, service.url, tmp_path, f"--header=X-Scheduler-Token: {TOKEN}"
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "No issues found" in done.stdout
