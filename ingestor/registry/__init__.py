"""The registry of contract addresses: read it from the sources, and group listings by it."""
