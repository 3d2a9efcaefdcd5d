"""The guard against CSV injection: PostgreSQL writes no formula, and reading restores the text."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.csv_injection import guard_sql, unguard
from db.connect.types import Connection

SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
GUARD = f"SELECT {guard_sql('v')} FROM unnest($1::text[]) WITH ORDINALITY AS t (v, n) ORDER BY n"
texts = st.text(
    st.one_of(
        st.sampled_from(f"{SIGNS}'aA1; "),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    max_size=6,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(cells=st.lists(texts, max_size=50))
async def test_no_guarded_cell_is_a_formula_and_each_comes_back(
    connection: Connection, cells: list[str]
) -> None:
    written = [row[0] for row in await connection.fetch(GUARD, cells)]
    assert not [cell for cell in written if cell[:1] and cell[0] in SIGNS]
    assert [unguard(cell) for cell in written] == cells


async def test_only_what_would_run_is_changed(connection: Connection) -> None:
    cells = [
        "Bitcoin",
        "'quoted'",
        "a=b",
        "1-2",
        " =1",
        "",
        "\u20bf",
        "<",
        "A",
        "@",
        "\ufeff=1",
        "\U0001f4b0",
    ]
    assert [row[0] for row in await connection.fetch(GUARD, cells)] == [
        "'@" if cell == "@" else cell for cell in cells
    ]
    assert [unguard(cell) for cell in cells] == cells
