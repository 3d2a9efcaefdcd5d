"""What `kasparro verify` compares: the database with what it is derived from.

`checks` runs all checks; `rows` has those that are one statement each, `payload_pass` and
`listing_pass` those of a source's history, which `history` introduces.
"""
