"""Backfill: past prices of coins from sources that have them, within the call budget."""
