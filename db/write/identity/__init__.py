"""What is known of identity beside the listings: labels, addresses, and the tickers they join."""
