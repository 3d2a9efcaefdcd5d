"""What every request passes before it reaches a route: plain ASGI, one concern a file."""
