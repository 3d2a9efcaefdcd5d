"""The database: schema, migrations, connections, SQL with its row types, embedded PostgreSQL."""
