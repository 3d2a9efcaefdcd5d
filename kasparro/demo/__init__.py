"""The demo: a made-up market, its state folder, what it runs, and its removal."""
