"""The ASGI middleware that each request passes before its route, one concern a file."""
