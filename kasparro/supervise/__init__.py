"""The supervisor: processes below this one, their output, their end, and their ports."""
