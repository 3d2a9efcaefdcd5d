"""The operation compiler: it compiles a query to a plan once, which runs without resolvers.

`fields` is the closed table of the columns of each field. `roots`, `pages`, `nodes` and
`relations` read rows. `compiling` makes parts from a document's selections, `projection` and
`connections` write them, `arguments` holds the arguments of each request. `plans` combines the
parts, `fast_path` caches and runs plans, `http` receives the requests. A query that the compiler
does not support, or that fails, runs through Strawberry.
"""
