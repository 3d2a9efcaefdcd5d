"""The source `csv`: tables in files of several formats."""
