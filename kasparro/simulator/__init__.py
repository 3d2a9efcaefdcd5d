"""A fake crypto market that speaks CoinPaprika's and CoinGecko's protocols: `python -m kasparro.simulator`."""
