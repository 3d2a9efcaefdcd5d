"""Following one venue: connections, reconnects, overlaps, duplicates, gaps, a bounded queue."""
