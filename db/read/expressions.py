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


def key_of(listing: str) -> str:
    """Return the key of a listing: `source:external_id`."""
    return f"({listing}.source || ':' || {listing}.external_id)"


def asset_of(listing: str) -> str:
    """Return the key of a listing's asset, which is the key of the listing that names it."""
    return f"coalesce({listing}.asset, {key_of(listing)})"


def has_key(listing: str, key: str) -> str:
    """Return the condition that a listing has a key; the primary key's index answers it."""
    return (
        f"{listing}.source = split_part({key}, ':', 1)"
        f" AND {listing}.external_id = substr({key}, strpos({key}, ':') + 1)"
    )


def is_member(listing: str, asset: str) -> str:
    """Return the condition that a listing is of an asset; two indexes answer it."""
    return f"({listing}.asset = {asset} OR {has_key(listing, asset)} AND {listing}.asset IS NULL)"
