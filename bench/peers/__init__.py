"""Other people's programs that do what ours do, installed into a folder of their own when they are first measured."""
