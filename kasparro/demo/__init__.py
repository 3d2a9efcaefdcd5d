"""The demo: a simulated market, its state folder, its processes, and its removal."""
