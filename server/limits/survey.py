"""One pass over all selections of a document finds its fragments and overlaps."""

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
"""A pair of fields is compared with all fields below, a pair of fragments only by its fields."""


class OperationSurvey(msgspec.Struct, frozen=True):
    """The fragments of a document by name, what each spreads, and the work of validation.

    `overlaps` counts the pairs of fields of one name in a selection, times REPEAT_WEIGHT, and the
    pairs of fragments: the rule OverlappingFieldsCanBeMerged compares each pair, and the pairs
    below it again. `longest_name` is the length of the longest response name.
    """

    fragments: dict[str, FragmentDefinitionNode]
    spreads: dict[str, list[str]]
    overlaps: int
    longest_name: int


def survey(document: DocumentNode) -> OperationSurvey:
    """Return the survey of a document, with all operations, since validation visits all."""
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
    """Return the fragments of a selection, each once and after those that it spreads."""
    ordered: list[str] = []
    done: set[str] = set()
    pending = [(name, False) for _, spread in _selections(selection_set) for name in spread]
    while pending:
        name, is_visited = pending.pop()
        if is_visited:
            ordered.append(name)
        elif name in known.fragments and name not in done:
            done.add(name)
            pending.append((name, True))
            pending += [(inner, False) for inner in known.spreads[name]]
    return ordered


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _selections(selection_set: SelectionSetNode) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the response names and fragments of each selection, with those of inline fragments."""
    pending = [selection_set]
    while pending:
        names: list[str] = []
        spread: list[str] = []
        parts = [pending.pop()]
        while parts:
            for selection in parts.pop().selections:
                if isinstance(selection, FieldNode):
                    names.append((selection.alias or selection.name).value)
                    if selection.selection_set is not None:
                        pending.append(selection.selection_set)
                elif isinstance(selection, InlineFragmentNode):
                    parts.append(selection.selection_set)
                elif isinstance(selection, FragmentSpreadNode):
                    spread.append(selection.name.value)
        yield names, spread
