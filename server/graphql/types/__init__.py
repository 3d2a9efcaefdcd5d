"""The types of the schema, and the arguments, filters, and orders that they share."""
