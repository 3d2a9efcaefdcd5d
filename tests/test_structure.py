"""The structure of the code keeps to bounds: rooms, floors, circles, names, lengths."""

import statistics

import pytest

from tests.conftest import LONG_TESTS, ROOT
from tests.structure import (
    LONG_FILES,
    circles,
    collisions,
    file_lengths,
    function_lengths,
    imports,
    modules,
    siblings,
    upward,
)

MOST_SIBLINGS = 20
MOST_FILE_LINES = 300
MOST_FUNCTION_LINES = 50
P95_FUNCTION_LINES = 30


def test_a_folder_has_few_enough_siblings_to_be_read_at_a_glance() -> None:
    assert {folder: count for folder, count in siblings().items() if count > MOST_SIBLINGS} == {}


def test_nothing_imports_from_a_higher_floor() -> None:
    assert upward(imports(modules())) == []


def test_the_only_circle_is_that_of_asset_coin_and_listing_which_the_schema_has() -> None:
    types = ["asset", "coin", "listing"]
    assert circles(imports(modules())) == [[f"server.graphql.types.{name}" for name in types]]


def test_no_two_classes_have_one_name() -> None:
    assert collisions(modules()) == {}


def test_functions_and_files_are_short() -> None:
    lengths = function_lengths(modules())
    assert statistics.quantiles(lengths.values(), n=20)[-1] <= P95_FUNCTION_LINES
    assert {name: lines for name, lines in lengths.items() if lines > MOST_FUNCTION_LINES} == {}
    long = {path: lines for path, lines in file_lengths().items() if lines > MOST_FILE_LINES}
    assert set(long) <= LONG_FILES


def test_the_measures_find_what_they_look_for() -> None:
    graph = {"db.a": {"db.b", "server.c"}, "db.b": {"db.a"}, "server.c": set[str]()}
    assert upward(graph) == ["db.a -> server.c"]
    assert circles(graph) == [["db.a", "db.b"]]


@pytest.mark.parametrize("test", LONG_TESTS)
def test_the_tests_that_start_first_exist(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name or 'test_'}" in (ROOT / file).read_text()
