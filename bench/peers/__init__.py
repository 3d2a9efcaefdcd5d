"""Other programs for the same purpose, installed into a folder of their own at first use."""
