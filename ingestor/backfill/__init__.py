"""Backfill: the past of coins, asked from sources that tell it, within their budget."""
