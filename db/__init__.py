"""The shared domain: schema, SQL and row types, connections, migrations and the embedded PostgreSQL."""
