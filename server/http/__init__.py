"""HTTP below the application: arrival, headers, content codings, entity tags, and client addresses."""
