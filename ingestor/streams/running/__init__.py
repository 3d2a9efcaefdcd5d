"""Following the venues of SOURCES under a lease: one ingestor does, another one takes over."""
