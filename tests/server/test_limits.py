"""Limits on documents: what they allow and refuse, and that measuring is cheap."""

import datetime
import re
import time
from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest
from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_introspection_query,
    parse,
    validate,
)

from db.notes import MAX_NOTES
from server.graphql.execution.document import DocumentRefusedError
from server.graphql.execution.errors import Code
from server.graphql.schema import schema
from server.limits import (
    LIMITS,
    LimitExceededError,
    Measure,
    always_fits,
    check_limits,
    measure_operation,
)
from server.limits.measure import Walk
from server.limits.rows import COINS_PER_MESSAGE
from server.limits.scans import SCAN_COST, SEARCH_COST

GRAPHQL_SCHEMA = schema._schema
NOW = datetime.datetime(2026, 2, 3, tzinfo=datetime.UTC)


def first_operation(document: DocumentNode) -> OperationDefinitionNode:
    return next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))


def measured(text: str, **variables: object) -> Measure:
    document = parse(text)
    return measure_operation(GRAPHQL_SCHEMA, document, first_operation(document), variables, NOW)


def refused(text: str, **variables: object) -> str:
    """Return the limit that refuses a document, "" if none does."""
    document = parse(text)
    try:
        check_limits(GRAPHQL_SCHEMA, document, first_operation(document), variables)
    except LimitExceededError as error:
        return error.limit
    return ""


def nested_fragments(levels: int, body: str = "...f{next} ...f{next}", last: str = "id") -> str:
    """Return a document in which each fragment spreads the next one, by default twice."""
    fragments = [
        f"fragment f{level} on Coin {{ {body.replace('{next}', str(level + 1))} }}"
        for level in range(levels)
    ]
    return (
        f'{{ coin(ticker: "BTC") {{ ...f0 }} }} {" ".join(fragments)} fragment f{levels} '
        f"on Coin {{ {last} }}"
    )


def test_97_nested_fragments_are_measured_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    visits: Counter[SelectionSetNode | int] = Counter()
    original = Walk.selections

    def counted(
        self: Walk, selection_set: SelectionSetNode, parent: GraphQLNamedType | None
    ) -> Measure:
        visits[id(selection_set)] += 1
        return original(self, selection_set, parent)

    monkeypatch.setattr(Walk, "selections", counted)
    document = parse(nested_fragments(97))
    measure = measure_operation(GRAPHQL_SCHEMA, document, first_operation(document), {}, NOW)
    # 98 fragments, the operation and its field.
    assert len(visits) == 100
    assert set(visits.values()) == {1}
    assert measure.cost == 1 + 2**97


def test_97_nested_fragments_take_under_5_ms() -> None:
    text = nested_fragments(97)
    document = parse(text, max_tokens=1200)
    operation = first_operation(document)
    taken = []
    for _ in range(10):
        started = time.process_time()
        with pytest.raises(LimitExceededError):
            check_limits(GRAPHQL_SCHEMA, document, operation, {})
        taken.append(time.process_time() - started)
    assert min(taken) < 0.005


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", True),
        ("query ($n: [ID!]!) { nodes(ids: $n) { id } }", True),
        (
            (
                '{ coin(ticker: "BTC") { candles(interval: M1, from: '
                '"2026-01-01T00:00:00Z") { close } } }'
            ),
            True,
        ),
        # The number of candles from a fixed time grows every minute.
        (
            (
                "query ($n: Int) { coins(first: $n) { nodes { candles(interval: M1) { "
                "start open high close } } } }"
            ),
            False,
        ),
        (
            (
                '{ coins { nodes { candles(interval: M1, from: "2099-01-01T00:00:00Z") { '
                "start close } } } }"
            ),
            False,
        ),
        (
            (
                "query ($to: DateTime) { coins { nodes { candles(interval: D1, from: "
                "$to) { open close } } } }"
            ),
            False,
        ),
    ],
)
# Pytest names its arguments.
def test_an_operation_that_always_fits_fits_with_any_variables(text: str, fits: bool) -> None:  # noqa: FBT001
    document = parse(text)
    operation = first_operation(document)
    assert always_fits(GRAPHQL_SCHEMA, document, operation) is fits
    given: list[dict[str, object]] = [
        {},
        {"n": 1},
        {"n": 250},
        {"n": 10**9},
        {"n": ["x"] * 500},
        {"n": None},
        {"n": "x"},
        {"to": "x"},
    ]
    late = datetime.datetime(3000, 1, 1, tzinfo=datetime.UTC)
    costs = [
        measure_operation(GRAPHQL_SCHEMA, document, operation, variables, now).cost
        for variables in given
        for now in (NOW, late)
    ]
    assert (max(costs) <= LIMITS.cost) is fits


COSTS: list[tuple[str, dict[str, Any], int]] = [
    # The connection and its list count once, the fields of a row once a row.
    ("{ coins(first: 10) { nodes { ticker name } } }", {}, 1 + 1 + 10 * 2),
    ("{ coins(first: 10) { edges { cursor node { ticker } } } }", {}, 1 + 1 + 10 * 3),
    (
        "{ coins(first: 10) { pageInfo { hasNextPage endCursor } totalCount } }",
        {},
        1 + 3 + SCAN_COST,
    ),
    ("{ coins { nodes { ticker } } }", {}, 1 + 1 + 50),
    ("{ coins(last: 7) { nodes { ticker } } }", {}, 1 + 1 + 7),
    ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", {"n": 9}, 1 + 1 + 9),
    ("query ($n: Int = 8) { coins(first: $n) { nodes { ticker } } }", {}, 1 + 1 + 8),
    ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", {"n": None}, 1 + 1 + 50),
    # The resolver refuses it with a better message; here it counts as the maximum.
    ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", {"n": 10**9}, 1 + 1 + 250),
    ("{ coins(first: 9999999999999999999999) { nodes { ticker } } }", {}, 1 + 1 + 250),
    ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", {"n": -5}, 1 + 1 + 1),
    ("{ sources { name health } }", {}, 1 + 5 * 2),
    ('{ nodes(ids: ["a", "b"]) { id } }', {}, 1 + 2),
    ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["a", "b", "c"]}, 1 + 3),
    (
        "{ runs(first: 4) { nodes { rejections(first: 3) { nodes { error } totalCount } } } }",
        {},
        1 + 1 + 4 * (1 + 2 + 3),
    ),
    # A run has few notes, but more than the default estimate of a list.
    (
        '{ run(id: "run_1") { noteCount notes { about text } } }',
        {},
        1 + 1 + 1 + 2 * (MAX_NOTES + 1),
    ),
    ("{ runs(first: 1, filter: {hasNotes: true}) { nodes { id } } }", {}, 3 + SCAN_COST),
    # A fragment on a connection is measured before the number of its rows is known.
    (
        (
            "{ a: coins(first: 2) { ...P } b: coins(first: 3) { ...P } } fragment P on "
            "CoinConnection { nodes { id } }"
        ),
        {},
        9,
    ),
    ("{ coins(first: 2) { ... on CoinConnection { ... { nodes { id } } } } }", {}, 4),
    # An integral float is an Int, in JSON as in GraphQL.
    ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", {"n": 120.0}, 1 + 1 + 120),
    ("query ($n: Int) { coins(last: $n) { nodes { ticker } } }", {"n": 1e300}, 1 + 1 + 250),
    ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", {"n": 1.5}, 1 + 1 + 250),
    ("query ($n: Int) { coins(first: $n) { nodes { ticker } } }", {"n": "9"}, 1 + 1 + 250),
    ("subscription { coinUpdates { coins { id } } }", {}, 1 + 1 + COINS_PER_MESSAGE),
    # Scans of a table.
    ("{ stats { totalNormalized totalListings lastSuccess { id } } }", {}, 1 + 2 * SCAN_COST + 2),
    ("{ sources { name listingCount } }", {}, 1 + 5 + SCAN_COST),
    ('{ coins(first: 1, filter: {search: "bit"}) { nodes { id } } }', {}, 3 + SEARCH_COST),
    (
        '{ listings(first: 1, filter: {search: "bit", active: true}) { nodes { id } } }',
        {},
        3 + SEARCH_COST,
    ),
    ('{ coins(first: 1, filter: {priceUsd: {gte: "1"}}) { nodes { id } } }', {}, 3 + SCAN_COST),
    ('{ coins(first: 1, filter: {ticker: {eq: "A"}, search: null}) { nodes { id } } }', {}, 3),
    (
        "query ($f: CoinFilter) { coins(first: 1, filter: $f) { nodes { id } } }",
        {"f": {"search": "b"}},
        3 + SEARCH_COST,
    ),
    (
        "query ($f: CoinFilter) { coins(first: 1, filter: $f) { nodes { id } } }",
        {"f": {"search": None}},
        3,
    ),
    (
        "query ($f: CoinFilter) { coins(first: 1, filter: $f) { nodes { id } } }",
        {"f": "unreadable"},
        3 + SEARCH_COST,
    ),
    (
        'query ($f: CoinFilter = {search: "b"}) { coins(first: 1, filter: $f) { nodes { id } } }',
        {},
        3 + SEARCH_COST,
    ),
    (
        "query ($q: String) { coins(first: 1, filter: {search: $q}) { nodes { id } } }",
        {"q": "b"},
        3 + SEARCH_COST,
    ),
    ("query ($q: String) { coins(first: 1, filter: {search: $q}) { nodes { id } } }", {}, 3),
    (
        'query ($q: String = "b") { coins(first: 1, filter: {search: $q}) { nodes { id } } }',
        {},
        3 + SEARCH_COST,
    ),
    ('{ assets(first: 1, filter: {ticker: {eq: "A"}}) { nodes { id } } }', {}, 3),
    ("{ assets(first: 1, filter: {hasAddress: true}) { nodes { id } } }", {}, 3 + SCAN_COST),
    ('{ assets(first: 1, filter: {source: {eq: "a"}}) { nodes { id } } }', {}, 3 + SCAN_COST),
    ("{ assets(first: 1, orderBy: {field: TICKER}) { nodes { id } } }", {}, 3),
    ("{ assets(first: 1, orderBy: {field: MARKET_CAP_USD}) { nodes { id } } }", {}, 3 + SCAN_COST),
    ("{ assets(first: 1) { totalCount } }", {}, 1 + SCAN_COST),
    ("{ coins(first: 1, filter: {isSuspect: true}) { nodes { id } } }", {}, 3 + SCAN_COST),
    ("{ coins(first: 1, filter: {minConfidence: 0.5}) { nodes { id } } }", {}, 3 + SCAN_COST),
    ("{ coins(first: 1, orderBy: {field: NAME}) { nodes { id } } }", {}, 3 + SCAN_COST),
    (
        "{ coins(first: 1, orderBy: {field: MARKET_CAP_USD, direction: ASC}) { nodes { id } } }",
        {},
        3,
    ),
    (
        "query ($o: CoinOrder) { coins(first: 1, orderBy: $o) { nodes { id } } }",
        {"o": {"field": "NAME"}},
        3 + SCAN_COST,
    ),
    (
        "query ($o: CoinOrder) { coins(first: 1, orderBy: $o) { nodes { id } } }",
        {"o": {"field": "TICKER"}},
        3,
    ),
    ("query ($o: CoinOrder) { coins(first: 1, orderBy: $o) { nodes { id } } }", {}, 3),
]


def test_the_cost_of_a_selection() -> None:
    for text, variables, cost in COSTS:
        assert measured(text, **variables).cost == cost, text


def test_what_else_is_counted() -> None:
    text = """
    query ($on: Boolean!) @a {
      one: coin(ticker: "A") @skip(if: $on) { ...F }
      two: coin(ticker: "B") { ... on Coin @include(if: $on) { ...F @include(if: $on) } }
    }
    fragment F on Coin { t: ticker @skip(if: $on) rivals { id } }
    """
    measure = measured(text)
    assert measure == Measure(
        depth=3,
        aliases=4,
        directives=6,
        root_fields=2,
        cost=2 * (1 + 1 + 1 + 5),
        overlaps=0,
        name=6,
    )


def _nest(depth: int) -> str:
    return "id" if depth == 1 else f"coin {{ {_nest(depth - 1)} }}"


def test_what_a_client_may_well_ask_is_let_through() -> None:
    listing = (
        "id source externalId ticker symbol name rank priceUsd marketCapUsd volume24hUsd "
        "percentChange24h active"
    )
    coin = (
        "id ticker name priceUsd priceUsdExact marketCapUsd volume24hUsd "
        "percentChange24h rank source createdAt"
        " ingestedAt isStale priceSpreadPercent provenance { field source externalId observedAt }"
    )
    nested = f"{coin} listings {{ {listing} }} rivals {{ {listing} }}"
    rich = f"{{ coins(first: 250) {{ edges {{ cursor node {{ {nested} }} }} }} }}"
    deep = "{ coins(first: 20) { edges { node { listings { coin { rivals { payload } } } } } } }"
    aliased = (
        "{ "
        + " ".join(f'c{index}: coin(ticker: "T{index}") {{ priceUsd }}' for index in range(20))
        + " }"
    )
    for text in (
        rich,
        deep,
        aliased,
        get_introspection_query(),
        get_introspection_query(input_value_deprecation=True),
    ):
        assert refused(text) == ""
        schema.prepare(text, None, None)


def spread(count: int, name: str) -> str:
    return " ".join(f"...{name}{index}" for index in range(count))


def fragments(count: int, name: str, on: str, body: str) -> str:
    return " ".join(f"fragment {name}{index} on {on} {{ {body} }}" for index in range(count))


ALIASES = " ".join(f"a{index}: id" for index in range(30))
ROOT_FIELDS = (
    "sources { name } stats { totalListings } coins { totalCount } listings { totalCount "
    "} runs { totalCount }"
)
# The usual introspection query, its selection on __schema made a fragment.
INTROSPECTION = "fragment S on __Schema {" + re.sub(
    r"\}\s+\}\s+fragment",
    "} fragment",
    get_introspection_query().partition("__schema {")[2],
    count=1,
)
REFUSED = [
    ("cost", "{ " + " ".join(f"a{index}: coins {{ totalCount }}" for index in range(20)) + " }"),
    (
        "cost",
        "{ "
        + " ".join(
            f'a{index}: coins(filter: {{search: "x"}}) {{ nodes {{ id }} }}' for index in range(4)
        )
        + " }",
    ),
    (
        "cost",
        "{ "
        + " ".join(f"a{index}: stats {{ totalNormalized totalListings }}" for index in range(10))
        + " }",
    ),
    ("depth", "{ node(id: 1) { ... on Listing { " + _nest(15) + " } } }"),
    ("aliases", f"{{ coin(ticker: 1) {{ {ALIASES} b: name }} }}"),
    ("aliases", f"{{ coin(ticker: 1) {{ ...A b: name }} }} fragment A on Coin {{ {ALIASES} }}"),
    ("directives", "{ coin(ticker: 1) { id " + "@skip(if: true) " * 51 + "} }"),
    ("root_fields", f"{{ {spread(5, 'R')} }} {fragments(5, 'R', 'Query', ROOT_FIELDS)}"),
    (
        "cost",
        (
            "{ coins(first: 250) { nodes { listings { coin { rivals { coin { rivals { id "
            "name symbol } } } } } } } }"
        ),
    ),
    ("cost", nested_fragments(30)),
    (
        "cost",
        " ".join(
            ["{", *(f"s{index}: __schema {{ ...S }}" for index in range(9)), "}", INTROSPECTION]
        ),
    ),
    ("overlaps", "{ coin(ticker: 1) { " + "id " * 11 + "} }"),
    ("overlaps", "{ coin(ticker: 1) { " + "... { id } " * 11 + "} }"),
    (
        "overlaps",
        f"{{ coin(ticker: 1) {{ {spread(33, 'F')} }} }} {fragments(33, 'F', 'Coin', 'id')}",
    ),
    # Validation visits operations that do not run, too.
    ("overlaps", "query A { sources { name } } query B { coin(ticker: 1) { " + "id " * 11 + "} }"),
]


def test_what_is_refused_and_by_which_limit() -> None:
    for limit, text in REFUSED:
        assert refused(text) == limit, text
    assert refused("{ node(id: 1) { ... on Listing { " + _nest(14) + " } } }") == ""


def code_of(text: str) -> tuple[str, str]:
    with pytest.raises(DocumentRefusedError) as refusal:
        schema.prepare(text, None, None)
    error = refusal.value.errors[0]
    assert error.extensions is not None
    return error.extensions["code"], error.message


def test_documents_that_are_too_long_or_nested_too_deeply() -> None:
    flat = "{ coin(ticker: 1) { " + "id " * LIMITS.tokens + "} }"
    assert code_of(flat)[0] == Code.QUERY_TOO_COMPLEX
    assert (
        code_of("{ coin(ticker: 1) { id } }" + " " * LIMITS.characters)[0] == Code.QUERY_TOO_COMPLEX
    )
    deep = "{ coin(ticker: 1) { " + "coin { " * 600 + "id" + " }" * 600 + " } }"
    assert code_of(deep)[0] == Code.QUERY_TOO_COMPLEX
    chain = nested_fragments(200, "...f{next}")
    assert code_of(chain)[0] == Code.QUERY_TOO_COMPLEX
    assert (
        code_of("{ coin(ticker: " + "[" * 900 + "]" * 900 + ") { id } }")[0]
        == Code.QUERY_TOO_COMPLEX
    )


INVALID = [
    "{ coin(ticker: 1) { ...Nope } }",
    "{ coin(ticker: 1) { ...A } } fragment A on Coin { ...A }",
    "{ coin(ticker: 1) { ...A } } fragment A on Coin { ...B } fragment B on Coin { id ...A }",
    "{ coin(ticker: 1) { ... on Nope { id } } }",
    "{ coin(ticker: 1) { ...A } } fragment A on Nope { id }",
    "{ nope { nope(first: 3) { nope } } }",
    "{ coin { id } }",
    '{ coin(ticker: "a") }',
    '{ coin(ticker: "a") { id { id } } }',
    "query A { sources { name } } query A { sources { name } }",
    "fragment A on Coin { id }",
    "mutation { nope }",
    "{ sources { name } } type A { id: ID }",
    "query ($a: Nope) { sources { name } }",
    "{ coins(filter: {nope: 1}) { totalCount } }",
]


def test_invalid_documents_are_errors_never_exceptions() -> None:
    for text in INVALID:
        code, message = code_of(text)
        assert code == Code.GRAPHQL_VALIDATION_FAILED, text
        assert message
    for text in ("{", "", "}", "{ coin(ticker: ) }", "{ sources { } }", "\0", "query"):
        assert code_of(text)[0] in (Code.GRAPHQL_PARSE_FAILED, Code.BAD_REQUEST), text


def test_many_levels_of_introspection_are_refused_by_validation() -> None:
    text = "{ __schema { types { " + "fields { type { " * 6 + "name" + " } }" * 6 + " } } }"
    assert code_of(text)[0] in (Code.GRAPHQL_VALIDATION_FAILED, Code.QUERY_TOO_COMPLEX)


def test_a_document_is_parsed_and_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Counter[str]()

    def counted_validate(
        known: GraphQLSchema,
        document: DocumentNode,
        rules: Collection[type[ASTValidationRule]],
        *,
        max_errors: int,
        hide_suggestions: bool,
    ) -> list[GraphQLError]:
        calls["validate"] += 1
        return validate(known, document, rules, max_errors, hide_suggestions=hide_suggestions)

    def counted_parse(
        text: str, *, max_tokens: int, allow_empty_selection_sets: bool
    ) -> DocumentNode:
        calls["parse"] += 1
        return parse(
            text, max_tokens=max_tokens, allow_empty_selection_sets=allow_empty_selection_sets
        )

    monkeypatch.setattr("server.graphql.execution.document.validate", counted_validate)
    monkeypatch.setattr("server.graphql.execution.document.parse", counted_parse)
    text = '{ coin(ticker: "of a test of the cache") { id } }'
    assert schema.prepare(text, None, None).document is schema.prepare(text, None, None).document
    assert calls == {"parse": 1, "validate": 1}
    invalid = '{ coin(ticker: "of a test of the cache") { nope } }'
    assert code_of(invalid) == code_of(invalid)
    assert calls == {"parse": 2, "validate": 2}


def test_the_operation_to_run_is_named() -> None:
    text = "query A { sources { name } } query B { stats { totalListings } }"
    assert schema.prepare(text, None, "B").name == "B"
    for name in (None, "C"):
        with pytest.raises(DocumentRefusedError) as refusal:
            schema.prepare(text, None, name)
        assert refusal.value.errors[0].extensions == {"code": "GRAPHQL_VALIDATION_FAILED"}
