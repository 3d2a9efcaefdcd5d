"""GraphQL over HTTP, server-sent events, multipart, and websockets."""
