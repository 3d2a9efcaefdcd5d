"""A package, so that its demo ends with its last test."""
