"""Many websocket clients in one process: `python -m bench.live_clients`, told on standard input what to do.

It knows just enough of RFC 6455 and graphql-transport-ws to subscribe and to see when updates
arrive: as little work as can be, so that the server is what is measured. Each line it reads is a
`Command`, each line it writes JSON.
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
"""A body this long or longer has its length in two or eight bytes of its own (RFC 6455, section 5.2)."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Open connections, or wait until each of them has had so many updates more."""

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
        """Wait for a message of a type."""
        while True:
            for body in self._frames():
                if b'"type":"%s"' % kind in body:
                    return
            self._buffer += self.socket.recv(CHUNK)

    def read(self) -> int:
        """Read what is there; return how many updates it was."""
        data = self.socket.recv(CHUNK)
        if not data:
            raise RuntimeError("the server closed a connection")
        self._buffer += data
        return sum(b'"type":"next"' in body[:100] for body in self._frames())

    def _send(self, opcode: int, body: bytes) -> None:
        # A client's frames are masked; with zeros they stay what they are.
        length = (
            bytes((0x80 | len(body),)) if len(body) < SHORT else b"\xfe" + len(body).to_bytes(2)
        )
        self.socket.sendall(bytes((0x80 | opcode,)) + length + bytes(4) + body)

    def _frames(self) -> Iterator[bytes]:
        """Yield the bodies of whole frames, and answer pings."""
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
            # A subscription is not acknowledged. A round trip later the server has begun with it,
            # two later it is done.
            for client in self._clients:
                client.say(type="ping")
            for client in self._clients:
                client.hear(b"pong")

    def wait(self, command: Command) -> list[float]:
        """Return when each update arrived, of `wait_for` for every connection."""
        times: list[float] = []
        wanted = command.wait_for * len(self._clients)
        until = time.perf_counter() + command.seconds
        while len(times) < wanted and time.perf_counter() < until:
            times += self._read(1)
        return times

    def _read(self, seconds: float) -> list[float]:
        times = []
        for key, _ in self._selector.select(seconds):
            client: Client = key.data
            times += [time.perf_counter()] * client.read()
        return times


def main() -> None:
    """Obey until standard input ends."""
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
