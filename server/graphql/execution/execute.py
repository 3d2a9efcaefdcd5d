"""The execution of a document: parsed and validated once, then checked and executed each time."""

import datetime
from collections.abc import Iterable
from typing import Any

import msgspec
import strawberry
from graphql import (
    DocumentNode,
    OperationDefinitionNode,
    execute,
    get_operation_ast,
)
from graphql import ExecutionResult as CoreResult
from strawberry.execution import optimized_is_awaitable
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.utils.await_maybe import await_maybe

from server.graphql.execution.context import Context
from server.graphql.execution.document import (
    DocumentRefusedError,
    OperationNotAllowedError,
    load_document,
)
from server.graphql.execution.errors import (
    MAX_ERRORS,
    Code,
    bad_variable,
    error_with_code,
    mask,
)
from server.limits import LimitExceededError, check_limits, fits_until
from server.limits.lists import longest_list
from server.limits.rows import MAX_LIST_ITEMS


class ParsedOperation(msgspec.Struct, frozen=True):
    """An operation that may run; if it `always_fits`, it may run with any variables."""

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
    """Check the lengths of lists before their items are coerced. Raises DocumentRefusedError."""
    for definition in operation.node.variable_definitions or ():
        name = definition.variable.name.value
        value = operation.variables.get(name)
        found = longest_list(value, name) if isinstance(value, (list, dict)) else None
        if found is not None and found.length > MAX_LIST_ITEMS:
            problem = f"must have at most {MAX_LIST_ITEMS:,} items, not {found.length:,}"
            raise DocumentRefusedError([bad_variable(found.path, problem)])


class Schema(strawberry.Schema):
    """Strawberry's schema with checks before the execution; `prepare` is for subscriptions."""

    def prepare(
        self,
        query: str | None,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        allowed: Iterable[OperationType] | None = None,
        *,
        introspection: bool = True,
    ) -> ParsedOperation:
        """Return the operation to run. Raises DocumentRefusedError, OperationNotAllowedError."""
        if not query:
            raise DocumentRefusedError(
                [error_with_code('The request has no "query"', Code.BAD_REQUEST)]
            )
        document = load_document(query)
        # Some clients send an empty name for an operation without one.
        node = get_operation_ast(document.node, operation_name or None)
        if node is None:
            problem = (
                f'The document has no operation named "{operation_name}"'
                if operation_name
                else "The document has no operation, or several and none is named"
            )
            raise DocumentRefusedError([error_with_code(problem, Code.GRAPHQL_VALIDATION_FAILED)])
        fits = document.always_fits(self._schema, node)
        operation = ParsedOperation(query, document.node, node, variables or {}, fits)
        if allowed is not None and operation.type not in allowed:
            raise OperationNotAllowedError(operation.type)
        _check_lists(operation)
        if not fits:
            self._check_limits(operation)
        document.check(self._schema, introspection=introspection)
        return operation

    def _check_limits(self, operation: ParsedOperation) -> None:
        try:
            check_limits(self._schema, operation.document, operation.node, operation.variables)
        except LimitExceededError as error:
            raise DocumentRefusedError(
                [
                    error_with_code(
                        str(error), Code.QUERY_TOO_COMPLEX, limit=error.limit, allowed=error.allowed
                    )
                ]
            ) from None

    def fits_until(self, operation: ParsedOperation, at: datetime.datetime) -> bool:
        """Return whether an operation with the same variables may run at any time until then."""
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
                max_coercion_errors=MAX_ERRORS,
            )
        )
        return _masked_result(result, context)


def body_of(result: ExecutionResult) -> dict[str, object]:
    """Return a result as clients see it: without `data` where nothing ran (GraphQL, 7.1.2)."""
    body: dict[str, object] = {} if isinstance(result, PreExecutionError) else {"data": result.data}
    return (
        {**body, "errors": [error.formatted for error in result.errors]} if result.errors else body
    )


def _masked_result(result: CoreResult, context: Context) -> ExecutionResult:
    errors = mask(result.errors, context.request_id) if result.errors else None
    if errors and result.data is None and all(error.path is None for error in errors):
        # Nothing ran: a variable has the wrong type.
        return PreExecutionError(data=None, errors=errors)
    return ExecutionResult(data=result.data, errors=errors)
