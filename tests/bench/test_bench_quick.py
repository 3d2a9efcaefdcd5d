"""The measurements run from a clean checkout and report figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_measurements_give_a_row_for_each_figure() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", "history", "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["postgresql"].startswith("18.")
    assert report["failed"] == []
    figures = report["figures"]
    assert [figure["what"].partition(" of ")[0] for figure in figures] == [
        f"candles {interval} x {days}, {way}"
        for interval, days in (("H1", "30 days"), ("M5", "1 day"), ("D1", "90 days"))
        for way in ("GraphQL,", "its statement alone,")
    ]
    for figure in figures:
        assert figure["ours"] > 0
        assert figure["theirs"] > 0
        assert figure["ratio"] == figure["ours"] / figure["theirs"]
        assert figure["reached"] == (figure["ratio"] <= 2 and figure["ours"] <= 10)
        assert figure["wanted"] == "<= 2 x, <= 10 ms"
        assert figure["command"] == "python -m bench --only history --quick"
