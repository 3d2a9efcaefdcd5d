"""What the commands share: the database, errors, reports, and output."""
