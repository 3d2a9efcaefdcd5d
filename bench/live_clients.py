"""Many websocket clients in one process, controlled by standard input.

`python -m bench.live_clients` implements just enough of RFC 6455 and graphql-transport-ws to
subscribe and to see updates: little work, so that the server is measured. Each line that it reads
is a `Command`, each line that it writes is JSON.
"""

import json
import resource
import selectors
import socket
import sys
import time
from collections.abc import Iterator

import msgspec

HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
CHUNK = 1 << 16
PING_OPCODE, TEXT_OPCODE = 9, 1
SHORT = 126
"""Longer bodies have a length field of two or eight bytes (RFC 6455, section 5.2)."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Open connections, or wait for a number of updates on each."""

    port: int = 0
    query: str = ""
    variables: list[dict[str, object]] = []
    """One connection for each."""
    wait_for: int = 0
    seconds: float = 60.0


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.sendall(HANDSHAKE % port)
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self.socket.recv(CHUNK)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(head.decode())
        self.received = 0

    def say(self, **message: object) -> None:
        """Send a message."""
        self._send(TEXT_OPCODE, json.dumps(message).encode())

    def hear(self, kind: bytes) -> None:
        """Wait for a message of this type."""
        while True:
            for body in self._frames():
                if b'"type":"%s"' % kind in body:
                    return
            self._buffer += self.socket.recv(CHUNK)

    def read(self) -> int:
        """Read what has arrived; return the number of updates.

        Raises RuntimeError if the server closed the connection.
        """
        data = self.socket.recv(CHUNK)
        if not data:
            raise RuntimeError("the server closed a connection")
        self._buffer += data
        return sum(b'"type":"next"' in body[:100] for body in self._frames())

    def _send(self, opcode: int, body: bytes) -> None:
        # A client masks its frames; a mask of zeros changes nothing.
        length = (
            bytes((0x80 | len(body),)) if len(body) < SHORT else b"\xfe" + len(body).to_bytes(2)
        )
        self.socket.sendall(bytes((0x80 | opcode,)) + length + bytes(4) + body)

    def _frames(self) -> Iterator[bytes]:
        """Yield the bodies of complete frames, and answer pings."""
        buffer, start = self._buffer, 0
        while len(buffer) >= start + 2:
            length, body = buffer[start + 1], start + 2
            if length >= SHORT:
                size = 2 if length == SHORT else 8
                if len(buffer) < body + size:
                    break
                length = int.from_bytes(buffer[body : body + size])
                body += size
            if len(buffer) < body + length:
                break
            if buffer[start] & 15 == PING_OPCODE:
                self._send(10, buffer[body : body + length])
            else:
                yield buffer[body : body + length]
            start = body + length
        self._buffer = buffer[start:]


class Clients:
    """All connections of this process."""

    def __init__(self) -> None:
        self._clients: list[Client] = []
        self._selector = selectors.DefaultSelector()

    def open(self, command: Command) -> None:
        """Connect, subscribe, and return once the server follows for all."""
        for number, variables in enumerate(command.variables):
            client = Client(command.port)
            client.say(type="connection_init")
            client.hear(b"connection_ack")
            client.say(
                id="1", type="subscribe", payload={"query": command.query, "variables": variables}
            )
            self._clients.append(client)
            self._selector.register(client.socket, selectors.EVENT_READ, client)
            if number % 100 == 0:
                self._read(0)  # and so answer the server's pings
        for _ in range(2):
            # Subscriptions are not acknowledged. After one round trip the server has started it,
            # after two it has finished.
            for client in self._clients:
                client.say(type="ping")
            for client in self._clients:
                client.hear(b"pong")

    def wait(self, command: Command) -> list[float]:
        """Return the arrival times of `wait_for` updates on every connection."""
        times: list[float] = []
        total = command.wait_for * len(self._clients)
        until = time.perf_counter() + command.seconds
        while len(times) < total and time.perf_counter() < until:
            times += self._read(1)
        return times

    def _read(self, seconds: float) -> list[float]:
        times = []
        for key, _ in self._selector.select(seconds):
            client: Client = key.data
            times += [time.perf_counter()] * client.read()
        return times


def main() -> None:
    """Run commands until standard input ends."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = Clients()
    for line in sys.stdin.buffer:
        command = msgspec.json.decode(line, type=Command)
        if command.variables:
            clients.open(command)
            answer: object = "ready"
        else:
            answer = clients.wait(command)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
