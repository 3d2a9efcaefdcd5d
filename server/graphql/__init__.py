"""The GraphQL interface: a schema that describes the rows of `db`, and the way a document takes through it.

The run-time value of an object type is the row struct that `db` read, never a copy: the type
classes here are the schema's words, and the few fields that a row does not hold have resolvers.
"""
