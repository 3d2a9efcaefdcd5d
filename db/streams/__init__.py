"""What the streams of exchanges write: markets, gaps and segments of frames."""
