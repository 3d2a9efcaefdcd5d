"""The server: GraphQL, REST and live updates over what the ingestor wrote."""
