"""Live updates: the outbox, followed by one LISTEN connection, fanned out to subscribers."""
