"""A run from its start to its end: pages, sweeps, the loop of a source, housekeeping."""
