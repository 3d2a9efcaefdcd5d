"""Exchanges with websockets: recorded sessions, or a market that ticks, with faults on demand."""
