"""REST: the shapes that clients of the older service know, a route a file."""
