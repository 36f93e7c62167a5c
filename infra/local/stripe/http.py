"""HTTP/1.1 on 127.0.0.1: a thread for each connection, one answer for each request, or none."""

import contextlib
import dataclasses
import http.server
import json
import socket
import struct
from collections.abc import Callable

MOST_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Request:
    """A request; names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer. `kept`: whether an idempotency key may keep it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    kept: bool = True

    @classmethod
    def json(cls, status: int, value, headers: dict[str, str] | None = None, kept: bool = True) -> "Response":
        body = json.dumps(value, indent=2, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})}, kept)


class Lost:
    """No answer: the connection is reset."""


class Server(http.server.ThreadingHTTPServer):
    """Listens on a port of 127.0.0.1, where 0 is any free one, or on a socket that listens already."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int | socket.socket, answer: Callable[[Request], Response | Lost]):
        self.answer = answer
        if isinstance(port, int):
            super().__init__(("127.0.0.1", port), Handler)
        else:
            super().__init__(port.getsockname(), Handler, bind_and_activate=False)
            self.socket.close()
            self.socket = port

    def handle_error(self, request, client_address) -> None:
        """Whoever goes away without waiting is no error."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def version_string(self) -> str:
        return "Stripe double"

    def log_message(self, *_) -> None:
        """Nothing: bodies and paths hold names of people."""

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES or "transfer-encoding" in self.headers:
            self.close_connection = True
            return self._send(Response(413 if length.isdecimal() else 400))
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        response = self.server.answer(Request(self.command, path, query, headers, self.rfile.read(int(length))))
        return self._reset() if isinstance(response, Lost) else self._send(response)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_POST

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def _reset(self) -> None:
        self.close_connection = True
        # Closed with nothing lingering, a socket answers with a reset; its files would keep it open.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for part in (self.wfile, self.rfile, self.connection):
            with contextlib.suppress(OSError):
                part.close()
