"""Tables: rows of CSV, JSON, and Parquet, packed or not, behind one interface."""
