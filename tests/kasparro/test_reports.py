"""The exit codes of runs."""

import datetime

import click
import pytest

from db.write.runs import FinishedRun
from kasparro.cli.common.reports import end_with_runs

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def finished(source: str, status: str) -> FinishedRun:
    return FinishedRun(1, source, status, 0, 0, 0, 0, 0, NOW, NOW, None)


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([], 4),
        ([("a", "success")], 4),
        ([("a", "success"), ("b", "success")], 0),
        ([("a", "success"), ("b", "partial")], 3),
        ([("a", "partial"), ("b", "failure")], 4),
        ([("a", "success"), ("b", "abandoned")], 4),
        ([("a", "success"), ("b", "running")], 4),
        ([("a", "abandoned"), ("b", "success"), ("a", "success")], 0),
    ],
)
def test_the_exit_code_is_that_of_the_worst_source(
    runs: list[tuple[str, str]], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(click.exceptions.Exit) as ended:
        end_with_runs(["a", "b"], [finished(*run) for run in runs], "not run")
    assert ended.value.exit_code == code
    ran = {source for source, _ in runs}
    assert capsys.readouterr().err == "".join(
        f"{name}: not run\n" for name in ("a", "b") if name not in ran
    )
