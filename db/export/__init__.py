"""Exports: merged records and their history as a stream of bytes in each format."""
