"""The settings of the demo: its own, and those of the user."""

from pathlib import Path

import pytest

from common.settings import load_settings
from kasparro.demo.plan import demo_plan, new_market
from kasparro.demo.state import demo_settings


@pytest.mark.parametrize(
    ("in_environment", "in_file", "seconds"),
    [
        (None, None, "10"),
        (None, "POLL_SECONDS=60", "60"),
        (None, "POLL_SECONDS=REPLACE_ME", "10"),
        (None, "POLL_SECONDS=300", "300"),
        ("7", "POLL_SECONDS=60", "7"),
        ("", "POLL_SECONDS=60", "10"),
    ],
)
def test_the_demo_polls_often_unless_the_user_says_how_often(
    in_environment: str | None,
    in_file: str | None,
    seconds: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POLL_SECONDS", raising=False)
    if in_environment is not None:
        monkeypatch.setenv("POLL_SECONDS", in_environment)
    if in_file is not None:
        Path(".env").write_text(f"{in_file}\n", encoding="utf-8")
    assert (
        demo_plan(demo_settings(load_settings()), new_market()).environment["POLL_SECONDS"]
        == seconds
    )
