"""CoinGecko: the markets of all coins, and the chart of one."""
