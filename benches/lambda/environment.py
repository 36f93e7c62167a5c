"""One Lambda execution environment: a function as a child process, fed by the Runtime API that this module plays.

The API is raw sockets in one thread, so that it costs about 0.1 ms an event.
"""

import contextlib
import os
import pathlib
import select
import signal
import socket
import subprocess
import time
import uuid

TIMEOUT_SECONDS = 20.0


class FunctionError(Exception):
    """The function ended, failed or did not answer."""


class _Connection:
    """A kept-alive HTTP/1.1 connection of the function's runtime client."""

    def __init__(self, sock: socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self._buffer = sock, b""

    def receive(self) -> bool:
        """Takes what has come; false at the end."""
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)

    def request(self) -> tuple[str, bytes] | None:
        """The next whole request: its path and body."""
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return None
        line, *fields = head.decode("latin1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body, rest = self._chunks(rest)
            if body is None:
                return None
        else:
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return None
            body, rest = rest[:length], rest[length:]
        self._buffer = rest
        return line.split(" ")[1], body

    @staticmethod
    def _chunks(rest: bytes) -> tuple[bytes | None, bytes]:
        body = b""
        while True:
            size, newline, after = rest.partition(b"\r\n")
            length = int(size.split(b";")[0], 16) if newline else 0
            if not newline or len(after) < length + 2:
                return None, b""
            body, rest = body + after[:length], after[length + 2 :]
            if length == 0:
                return body, rest


class Environment:
    """A started function that has asked for its first event. `init_seconds` is how long that took."""

    def __init__(self, command: list[str], directory: pathlib.Path, variables: dict[str, str], cpu: int | None):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: dict[socket.socket, _Connection] = {}
        # In memory, so that nobody's log lines wait for a disk.
        self._log = open(os.memfd_create("log"), "w+b", buffering=0)
        port = self._listener.getsockname()[1]
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/tmp",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "ASIABENCH",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_SESSION_TOKEN": "bench" * 100,
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "LAMBDA_TASK_ROOT": str(directory),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            **variables,
        }
        self.began = time.perf_counter()
        with _on_cpu(cpu):
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        self._waiting = self._wait_for_next()
        self.init_seconds = time.perf_counter() - self.began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def invoke(self, event: bytes) -> tuple[float, bytes]:
        """Hands out an event. Answers the seconds to the response, and the response."""
        id = uuid.uuid4()
        head = (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            f"content-length: {len(event)}\r\nlambda-runtime-aws-request-id: {id}\r\n"
            f"lambda-runtime-deadline-ms: {int(time.time() * 1000) + 30_000}\r\n"
            "lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:000000000000:function:bench\r\n"
            "lambda-runtime-trace-id: Root=1-6920aa00-000000000000000000000000;Parent=0000000000000000;Sampled=0\r\n\r\n"
        )
        began = time.perf_counter()
        self._waiting.sock.sendall(head.encode() + event)
        connection, path, response = self._next_request()
        seconds = time.perf_counter() - began
        if not path.endswith("/response"):
            self._fail(f"{path}: {response[:2000].decode(errors='replace')}")
        connection.sock.sendall(b'HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"status":"OK"}')
        self._waiting = self._wait_for_next()
        return seconds, response

    def cpu_seconds(self) -> float:
        """User and system CPU time so far, of all threads: the process's CPU clock, in nanoseconds."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self._processes())

    def peak_memory_mb(self) -> float:
        """The most memory that was ever resident, in MB of 10^6 bytes."""
        lines = (line.split() for pid in self._processes() for line in open(f"/proc/{pid}/status"))
        return sum(int(line[1]) for line in lines if line[0] == "VmHWM:") * 1024 / 1e6

    def stop(self):
        """Ends the function; a profiler that it runs under may still write what it has."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for sock in (self._listener, *self._connections):
            sock.close()
        self._log.close()

    def _processes(self) -> list[int]:
        found, todo = [], [self._process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (thread / "children").read_text().split())
        return found

    def _wait_for_next(self) -> _Connection:
        connection, path, body = self._next_request()
        if not path.endswith("/invocation/next"):
            self._fail(f"{path}: {body[:2000].decode(errors='replace')}")
        return connection

    def _next_request(self) -> tuple[_Connection, str, bytes]:
        end = time.monotonic() + TIMEOUT_SECONDS
        while True:
            for connection in self._connections.values():
                if request := connection.request():
                    return connection, *request
            left = end - time.monotonic()
            if left <= 0:
                self._fail("no answer")
            ready = select.select([self._listener, *self._connections], [], [], min(left, 0.5))[0]
            if not ready and self._process.poll() is not None:
                self._fail(f"ended with {self._process.returncode}")
            for sock in ready:
                if sock is self._listener:
                    accepted = sock.accept()[0]
                    self._connections[accepted] = _Connection(accepted)
                elif not self._connections[sock].receive():
                    del self._connections[sock]
                    sock.close()

    def _fail(self, why: str):
        self._log.seek(0)
        output = self._log.read()[-3000:].decode(errors="replace")
        self.stop()
        raise FunctionError(f"{why}\n{output}")


@contextlib.contextmanager
def _on_cpu(cpu: int | None):
    """What is started meanwhile inherits the CPU."""
    if cpu is None:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
