"""What the server and the command line read; the ingestor imports none of it."""
