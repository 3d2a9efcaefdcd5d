"""What `kasparro verify` reads: statements that find rows which are not what they should be.

Nothing here writes. A statement of `checks` returns a row for each difference; `coins`, `series`
and `candles` compare what is derived with what it is derived from.
"""
