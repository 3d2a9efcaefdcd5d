"""Guard cells that a spreadsheet would run as a formula, and remove the guard on reading.

A guarded cell has one more apostrophe at its beginning, so every cell has exactly one guarded form.
"""

import re

# Spreadsheets of East Asia treat full-width signs like the plain ones (OWASP, "CSV Injection").
_SIGNS = "-=+@\\t\\r\\n\uff1d\uff0b\uff0d\uff20"
_GUARDED = re.compile(f"'+[{_SIGNS}]")


def guard_sql(column: str) -> str:
    """Return the SQL expression that guards the cells of a text column."""
    # Most cells begin with a letter: they skip the regular expression, which would take longer than
    # all other work on a row.
    sql = f"CASE WHEN ascii({column}) BETWEEN 65 AND 65280 THEN {column} "
    return sql + f"WHEN {column} ~ '^''*[{_SIGNS}]' THEN '''' || {column} ELSE {column} END"


def unguard(cell: str) -> str:
    """Return a cell without its guard; any other cell unchanged."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell
