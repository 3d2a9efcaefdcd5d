"""Relay's conventions: nodes, global ids, cursors, and connections."""
