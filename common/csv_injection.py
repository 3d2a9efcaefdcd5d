"""Cells that a spreadsheet would run as a formula: made text in what we export, and turned back in what we read.

A guarded cell has one apostrophe more at its beginning, so that every cell has exactly one way
there and back.
"""

import re

# Spreadsheets of East Asia take the full-width signs for the plain ones (OWASP, "CSV Injection").
_SIGNS = "-=+@\\t\\r\\n\uff1d\uff0b\uff0d\uff20"
_GUARDED = re.compile(f"'+[{_SIGNS}]")


def guarded(column: str) -> str:
    """Return the SQL expression of a text column's cells, guarded."""
    # Most cells begin with a letter, and are done with before the regular expression, which would
    # take longer than all else that is done with a row.
    sql = f"CASE WHEN ascii({column}) BETWEEN 65 AND 65280 THEN {column} "
    return sql + f"WHEN {column} ~ '^''*[{_SIGNS}]' THEN '''' || {column} ELSE {column} END"


def unguarded(cell: str) -> str:
    """Return what a cell said before it was guarded; any other cell as it is."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell
