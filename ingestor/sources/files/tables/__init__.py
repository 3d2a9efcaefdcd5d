"""Tables: rows of CSV, JSON and Parquet, compressed or not, behind one interface."""
