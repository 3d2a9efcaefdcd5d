"""The GraphQL interface: the schema, the execution of documents, and the transports.

The value of an object type at run time is the row that `db` read, not a copy. The classes in
`types` describe the schema; fields that a row does not have are resolved.
"""
