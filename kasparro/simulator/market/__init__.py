"""The made-up market: its coins, their names and tickers, and how prices move."""
