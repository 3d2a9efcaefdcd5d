"""What a document holds, found by looking at every selection once: which fragments each part spreads, and overlaps."""

from collections import Counter
from collections.abc import Iterator

import msgspec
from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

REPEAT_WEIGHT = 10
"""Two fields of one name are compared with all that is below them, two fragments only by their fields."""


class OperationSurvey(msgspec.Struct, frozen=True):
    """The fragments of a document by name, what each spreads, and how much validation has to compare.

    `overlaps` counts the pairs of fields of one name in one selection, tenfold, and the pairs of
    fragments spread in one: validation (OverlappingFieldsCanBeMerged) looks at each pair, and at
    each pair below it again. `longest_name` has the characters of the longest response name.
    """

    fragments: dict[str, FragmentDefinitionNode]
    spreads: dict[str, list[str]]
    overlaps: int
    longest_name: int


def survey(document: DocumentNode) -> OperationSurvey:
    """Look at a whole document, the operations that are not executed too: validation does so as well."""
    fragments: dict[str, FragmentDefinitionNode] = {}
    spreads: dict[str, list[str]] = {}
    overlaps = longest_name = 0
    for definition in document.definitions:
        if not isinstance(definition, ExecutableDefinitionNode):
            continue
        found: list[str] = []
        for names, spread in _selections(definition.selection_set):
            overlaps += REPEAT_WEIGHT * sum(map(_pairs, Counter(names).values())) + _pairs(
                len(spread)
            )
            found += spread
            longest_name = max(longest_name, *map(len, names), 0)
        if isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
            spreads[definition.name.value] = found
    return OperationSurvey(fragments, spreads, overlaps, longest_name)


def in_order(known: OperationSurvey, selection_set: SelectionSetNode) -> list[str]:
    """Return the fragments that a selection leads to, each once and after those that it spreads itself."""
    ordered: list[str] = []
    done: set[str] = set()
    pending = [(name, False) for _, spread in _selections(selection_set) for name in spread]
    while pending:
        name, is_left = pending.pop()
        if is_left:
            ordered.append(name)
        elif name in known.fragments and name not in done:
            done.add(name)
            pending.append((name, True))
            pending += [(inner, False) for inner in known.spreads[name]]
    return ordered


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _selections(selection_set: SelectionSetNode) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the response names and the spread fragments of each selection; inline fragments belong to theirs."""
    pending = [selection_set]
    while pending:
        names: list[str] = []
        spread: list[str] = []
        same = [pending.pop()]
        while same:
            for selection in same.pop().selections:
                if isinstance(selection, FieldNode):
                    names.append((selection.alias or selection.name).value)
                    if selection.selection_set is not None:
                        pending.append(selection.selection_set)
                elif isinstance(selection, InlineFragmentNode):
                    same.append(selection.selection_set)
                elif isinstance(selection, FragmentSpreadNode):
                    spread.append(selection.name.value)
        yield names, spread
