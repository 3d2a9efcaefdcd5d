"""What `kasparro verify` compares: the database with what it is derived from.

`checks` runs all checks, `rows` has those that are one statement each. `slices` compares listings,
points and candles with the decoded payloads.
"""
