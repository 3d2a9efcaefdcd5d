"""Reads the history of coins and listings: series, points, candles."""
