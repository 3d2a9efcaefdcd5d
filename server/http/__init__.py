"""HTTP below the application: the protocol, headers, codings, entity tags, client addresses."""
