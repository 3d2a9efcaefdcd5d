"""Connections to PostgreSQL: pool, readers, locks, deadlines, and the wait for a database."""
