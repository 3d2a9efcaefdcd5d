"""How a document runs: parse, validate, limits, context, loaders, and errors."""
