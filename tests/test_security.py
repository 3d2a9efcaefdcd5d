"""Each promise of SECURITY.md names the tests that hold it, and these exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises() -> dict[str, str]:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("| promise | held by |")[2]
    rows = [
        line.strip("| ").split(" | ")
        for line in text.splitlines()
        if line.startswith("| ") and "**" not in line
    ]
    return {promise: held_by for promise, held_by in rows if promise != "---"}


def test_every_promise_names_a_test_that_exists() -> None:
    found = promises()
    assert len(found) > 25
    names: dict[str, set[str]] = {}
    for promise, held_by in found.items():
        tests = TEST.findall(held_by)
        assert tests, promise
        assert TEST.sub("", held_by).strip(" ,") == "", promise
        for path, name in tests:
            if path not in names:
                tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
                functions = (ast.FunctionDef, ast.AsyncFunctionDef)
                names[path] = {node.name for node in tree.body if isinstance(node, functions)}
            assert name in names[path], f"{promise}: {path} has no {name}"
