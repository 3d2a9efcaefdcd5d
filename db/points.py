"""SQL of price points that the ingestor and the readers share."""

COUNTED = "p.price_usd IS NOT NULL AND NOT p.is_held"
"""The condition that history and candles count a point `p`."""

ROLL_POINTS = """
    (array_agg(p.price_usd ORDER BY p.at))[1] AS open, max(p.price_usd) AS high,
    min(p.price_usd) AS low, (array_agg(p.price_usd ORDER BY p.at DESC))[1] AS close,
    min(p.at) AS open_at, max(p.at) AS close_at, count(*)::integer AS samples"""
"""The columns of a candle over points `p`."""
