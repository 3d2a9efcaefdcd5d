"""How a document runs: parsed and validated once, held against the limits each time, executed, its errors masked."""

import datetime
import functools
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import strawberry
from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql import ExecutionResult as CoreResult
from strawberry.execution import optimized_is_awaitable
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.utils.await_maybe import await_maybe

from server.graphql.execution.context import Context
from server.graphql.execution.errors import (
    MOST_ERRORS,
    Code,
    bad_variable,
    coded,
    in_proportion,
    mask,
    shortened,
    with_code,
)
from server.limits import LIMITS, LimitExceededError, always_fits, check_limits, fits_until
from server.limits.lists import longest_list
from server.limits.rows import MAX_LIST_ITEMS

MAX_CACHED_DOCUMENTS = 512
MAX_CACHED_CHARACTERS = 8_192
"""A longer document is parsed each time, so that the kept ones take some 50 MB at most."""

# What graphql-core says when it gives up: at too many tokens, too deep a recursion, too much to
# compare.
_PARSING_ABORTED = "Parsing aborted"
_VALIDATION_ABORTED = "Validation aborted."


class DocumentRefusedError(Exception):
    """An operation is refused before it runs; `errors` are few and short."""

    def __init__(self, errors: Iterable[GraphQLError]) -> None:
        super().__init__()
        self.errors = in_proportion(list(errors), shortened)


class OperationNotAllowedError(DocumentRefusedError):
    """An operation of this type cannot be sent this way."""

    def __init__(self, operation_type: OperationType) -> None:
        super().__init__(
            [coded(f"A {operation_type.value} cannot be sent this way", Code.BAD_REQUEST)]
        )
        self.operation_type = operation_type


class NoIntrospection(ASTValidationRule):
    """Refuses questions about the schema; `__typename` is none."""

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Look at one field."""
        name = node.name.value
        if name in ("__schema", "__type"):
            self.report_error(
                GraphQLError(
                    f'Introspection is switched off on this server: "{name}" is refused', node
                )
            )


class Document:
    """A parsed document; it is validated when it is first found within the limits."""

    def __init__(self, text: str) -> None:
        self.node = _parse(text)
        self._errors: dict[bool, list[GraphQLError]] = {}
        self._fitting: dict[int, bool] = {}

    def always_fits(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> bool:
        """Tell whether one of its operations is within the limits whatever the variables; it is measured once."""
        key = id(operation)  # a node of this document, which keeps it
        if key not in self._fitting:
            self._fitting[key] = always_fits(schema, self.node, operation)
        return self._fitting[key]

    def check(self, schema: GraphQLSchema, *, introspection: bool) -> None:
        """Validate. Raises RefusedError."""
        if introspection not in self._errors:
            rules = specified_rules if introspection else (*specified_rules, NoIntrospection)
            self._errors[introspection] = _validate(schema, self.node, rules, suggest=introspection)
        if self._errors[introspection]:
            raise DocumentRefusedError(self._errors[introspection])


def _parse(text: str) -> DocumentNode:
    """Return the syntax tree. Raises RefusedError."""
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
    """Return the errors; with `suggest` they may name what was meant, which tells parts of the schema."""
    errors = validate(schema, node, rules, hide_suggestions=not suggest, max_errors=MOST_ERRORS)
    if not suggest:
        # One rule, of objects without a selection, makes its suggestion all the same.
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
    return coded(message, Code.QUERY_TOO_COMPLEX, limit=limit)


_document = functools.lru_cache(maxsize=MAX_CACHED_DOCUMENTS)(Document)


class ParsedOperation(msgspec.Struct, frozen=True):
    """An operation that may run; `always_fits` tells that it may with any other variables too."""

    text: str
    document: DocumentNode
    node: OperationDefinitionNode
    variables: dict[str, Any]
    always_fits: bool

    @property
    def type(self) -> OperationType:
        """Whether it is a query, a mutation or a subscription."""
        return OperationType(self.node.operation.value)

    @property
    def name(self) -> str | None:
        """Its name in the document."""
        return None if self.node.name is None else self.node.name.value


def _check_lists(operation: ParsedOperation) -> None:
    """Look at the lengths of lists before anything looks at what is in them.

    Raises RefusedError.
    """
    for definition in operation.node.variable_definitions or ():
        name = definition.variable.name.value
        value = operation.variables.get(name)
        found = longest_list(value, name) if isinstance(value, (list, dict)) else None
        if found is not None and found.length > MAX_LIST_ITEMS:
            problem = f"must have at most {MAX_LIST_ITEMS:,} items, not {found.length:,}"
            raise DocumentRefusedError([bad_variable(found.place, problem)])


class Schema(strawberry.Schema):
    """Strawberry's schema with our own way through it: `execute`, and for subscriptions `prepare`."""

    def prepare(
        self,
        query: str | None,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        allowed: Iterable[OperationType] | None = None,
        *,
        introspection: bool = True,
    ) -> ParsedOperation:
        """Return the operation to run. Raises RefusedError, OperationNotAllowedError."""
        if not query:
            raise DocumentRefusedError([coded('The request has no "query"', Code.BAD_REQUEST)])
        document = _document(query) if len(query) <= MAX_CACHED_CHARACTERS else Document(query)
        # Clients that have no name for their operation send an empty one.
        node = get_operation_ast(document.node, operation_name or None)
        if node is None:
            wanted = f'The document has no operation named "{operation_name}"'
            problem = (
                wanted
                if operation_name
                else "The document has no operation, or several and none is named"
            )
            raise DocumentRefusedError([coded(problem, Code.GRAPHQL_VALIDATION_FAILED)])
        fits = document.always_fits(self._schema, node)
        operation = ParsedOperation(query, document.node, node, variables or {}, fits)
        if allowed is not None and operation.type not in allowed:
            raise OperationNotAllowedError(operation.type)
        _check_lists(operation)
        if not fits:
            self._hold_to_limits(operation)
        document.check(self._schema, introspection=introspection)
        return operation

    def _hold_to_limits(self, operation: ParsedOperation) -> None:
        try:
            check_limits(self._schema, operation.document, operation.node, operation.variables)
        except LimitExceededError as error:
            raise DocumentRefusedError(
                [
                    coded(
                        str(error), Code.QUERY_TOO_COMPLEX, limit=error.limit, allowed=error.allowed
                    )
                ]
            ) from None

    def fits_until(self, operation: ParsedOperation, at: datetime.datetime) -> bool:
        """Tell whether an operation with the same variables may run at any time until then."""
        if operation.always_fits:
            return True
        return fits_until(self._schema, operation.document, operation.node, operation.variables, at)

    async def execute(  # noqa: PLR0917  (Strawberry's signature)
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Context | None = None,
        root_value: object = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,  # noqa: ARG002  (Strawberry's views pass it)
    ) -> ExecutionResult:
        """Run a query or a mutation. Raises OperationNotAllowedError."""
        assert context_value is not None  # noqa: S101  (every view makes one)
        try:
            operation = self.prepare(
                query,
                variable_values,
                operation_name,
                allowed_operation_types,
                introspection=context_value.state.settings.introspection,
            )
        except OperationNotAllowedError:
            raise
        except DocumentRefusedError as error:
            return PreExecutionError(data=None, errors=error.errors)
        return await self._run(operation, context_value, root_value)

    async def _run(
        self, operation: ParsedOperation, context: Context, root: object
    ) -> ExecutionResult:
        result = await await_maybe(
            execute(
                self._schema,
                operation.document,
                root_value=root,
                context_value=context,
                variable_values=operation.variables,
                operation_name=operation.name,
                executor_class=self.execution_context_class,
                hide_suggestions=not context.state.settings.introspection,
                is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # it is a TypeGuard, but untyped
                max_coercion_errors=MOST_ERRORS,
            )
        )
        return _answer(result, context)


def body_of(result: ExecutionResult) -> dict[str, object]:
    """Return a result as clients see it: without `data` where nothing ran (the specification's section 7.1.2)."""
    body: dict[str, object] = {} if isinstance(result, PreExecutionError) else {"data": result.data}
    return (
        {**body, "errors": [error.formatted for error in result.errors]} if result.errors else body
    )


def _answer(result: CoreResult, context: Context) -> ExecutionResult:
    errors = mask(result.errors, context.request_id) if result.errors else None
    if errors and result.data is None and all(error.path is None for error in errors):
        # Nothing ran: a variable does not fit its type.
        return PreExecutionError(data=None, errors=errors)
    return ExecutionResult(data=result.data, errors=errors)
