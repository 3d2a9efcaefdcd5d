"""The scheduler token: its check, and the count of wrong ones for each client."""
