"""The ingest process: polls the sources, decodes, normalises and writes what changed."""
