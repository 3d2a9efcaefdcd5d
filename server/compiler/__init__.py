"""The operation compiler: a validated query becomes a plan once, and a plan reads and writes without a resolver.

`fields` is the closed table of what each field is made of, `roots` (with `pages` and `nodes`) and
`links` of what is read for it; `compiling` makes parts of a document's selections, `projection` and
`connections` write them, `arguments` holds what they are given for each request; `plans` puts it
together, `fast_path` keeps plans and runs them, `http` lets requests in. Whatever none of these
rooms knows, and whatever goes wrong in them, runs the ordinary way, through Strawberry.
"""
