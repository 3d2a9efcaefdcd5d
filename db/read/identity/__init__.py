"""Reading what decides on identity: evidence for owners, and what files would change."""
