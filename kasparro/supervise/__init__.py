"""The supervisor: child processes, their output, shutdown, locks and ports."""
