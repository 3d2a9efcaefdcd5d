"""Documents: parsed and validated once, and cached by their text."""

import functools
from collections.abc import Collection, Iterable

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.types.graphql import OperationType

from server.graphql.execution.errors import (
    MAX_ERRORS,
    Code,
    error_with_code,
    limit_errors,
    shorten_error,
    with_code,
)
from server.limits import LIMITS, always_fits

MAX_CACHED_DOCUMENTS = 512
MAX_CACHED_CHARACTERS = 8_192
"""Longer documents are parsed each time, so that the cache takes about 50 MB at most."""

# The messages of graphql-core at its own limits of tokens, recursion and comparisons.
_PARSING_ABORTED = "Parsing aborted"
_VALIDATION_ABORTED = "Validation aborted."


class DocumentRefusedError(Exception):
    """An operation is refused before it runs; `errors` are few and short."""

    def __init__(self, errors: Iterable[GraphQLError]) -> None:
        super().__init__()
        self.errors = limit_errors(list(errors), shorten_error)


class OperationNotAllowedError(DocumentRefusedError):
    """The transport does not allow an operation of this type."""

    def __init__(self, operation_type: OperationType) -> None:
        super().__init__(
            [error_with_code(f"A {operation_type.value} cannot be sent this way", Code.BAD_REQUEST)]
        )
        self.operation_type = operation_type


class NoIntrospection(ASTValidationRule):
    """Refuses introspection, except `__typename`."""

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Report an introspection field."""
        name = node.name.value
        if name in ("__schema", "__type"):
            self.report_error(
                GraphQLError(
                    f'Introspection is switched off on this server: "{name}" is refused', node
                )
            )


class Document:
    """A parsed document; it is validated once, after the first check of the limits."""

    def __init__(self, text: str) -> None:
        self.node = _parse(text)
        self._errors: dict[bool, list[GraphQLError]] = {}
        self._fitting: dict[int, bool] = {}

    def always_fits(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> bool:
        """Return whether an operation is within the limits with any variables; measured once."""
        key = id(operation)  # a node of this document, so the id stays unique
        if key not in self._fitting:
            self._fitting[key] = always_fits(schema, self.node, operation)
        return self._fitting[key]

    def check(self, schema: GraphQLSchema, *, introspection: bool) -> None:
        """Validate the document. Raises DocumentRefusedError."""
        if introspection not in self._errors:
            rules = specified_rules if introspection else (*specified_rules, NoIntrospection)
            self._errors[introspection] = _validate(schema, self.node, rules, suggest=introspection)
        if self._errors[introspection]:
            raise DocumentRefusedError(self._errors[introspection])


def _parse(text: str) -> DocumentNode:
    """Return the syntax tree. Raises DocumentRefusedError."""
    if len(text) > LIMITS.characters:
        raise DocumentRefusedError(
            [
                _too_complex(
                    f"The document has more than {LIMITS.characters:,} characters", "characters"
                )
            ]
        )
    try:
        return parse(text, max_tokens=LIMITS.tokens, allow_empty_selection_sets=False)
    except GraphQLError as error:
        code = (
            Code.QUERY_TOO_COMPLEX
            if _PARSING_ABORTED in error.message
            else Code.GRAPHQL_PARSE_FAILED
        )
        raise DocumentRefusedError(with_code([error], code)) from None


def _validate(
    schema: GraphQLSchema,
    node: DocumentNode,
    rules: Collection[type[ASTValidationRule]],
    *,
    suggest: bool,
) -> list[GraphQLError]:
    """Return the errors; with `suggest` they may name parts of the schema."""
    errors = validate(schema, node, rules, hide_suggestions=not suggest, max_errors=MAX_ERRORS)
    if not suggest:
        # The rule for objects without a selection always makes a suggestion.
        for error in errors:
            error.message = error.message.partition(" Did you mean ")[0]
    if any(error.message == _VALIDATION_ABORTED for error in errors):
        return [
            _too_complex(
                "The document's fragments are nested too deeply, or too many, to be validated",
                "fragments",
            )
        ]
    return with_code(errors, Code.GRAPHQL_VALIDATION_FAILED)


def _too_complex(message: str, limit: str) -> GraphQLError:
    return error_with_code(message, Code.QUERY_TOO_COMPLEX, limit=limit)


_cached = functools.lru_cache(maxsize=MAX_CACHED_DOCUMENTS)(Document)


def load_document(text: str) -> Document:
    """Return the parsed document of a text. Raises DocumentRefusedError."""
    return _cached(text) if len(text) <= MAX_CACHED_CHARACTERS else Document(text)
