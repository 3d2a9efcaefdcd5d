"""The source `csv`: tables in files, in whatever form they come."""
