"""What the ingestor writes; the server imports none of it."""
