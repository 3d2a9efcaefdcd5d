"""The schema: migrations and their runner, partitions, logins, and the dump of all of it."""
