"""SQL expressions that several reading modules share."""


def as_float(column: str) -> str:
    """Return the expression for a numeric column as a float, null beyond what one can hold.

    A plain cast is an error there, and one such row would fail every page that it is on.
    """
    return (
        f"CASE WHEN abs({column}) < 1e-300 THEN 0::double precision"
        f" WHEN abs({column}) < 1e300 THEN {column}::double precision END"
    )


def search_condition(ticker: str, name: str) -> str:
    """Return the condition that a ticker, or a word of a name, begins with the parameter `{}`.

    Words are separated by blanks and punctuation; the parameter may contain punctuation, too.
    """
    words = f"translate(lower({name}), '-_/.,:;()[]', '           ')"
    return (
        f"{ticker} LIKE upper({{}}) || '%'"
        f" OR ' ' || lower({name}) LIKE '% ' || lower({{}}) || '%'"
        f" OR ' ' || {words} LIKE '% ' || lower({{}}) || '%'"
    )


def like_prefix(text: str) -> str:
    r"""Return text for a LIKE pattern that matches itself: `50%` becomes `50\%`."""
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
