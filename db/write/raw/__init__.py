"""What sources sent: the bodies of pages, and the records that could not be read."""
