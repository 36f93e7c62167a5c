"""The emulator from outside: starts and stops its process, and knows how to talk to it."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence

import boto3
import botocore.config

from .output import step

REGION = "eu-west-1"
FIRST_PORT = 4566
START_SECONDS = 30
STOP_SECONDS = 60


class StackError(Exception):
    """The stack cannot be what it should be; the text says why."""


@dataclasses.dataclass(eq=False)
class Aws:
    """A running emulator."""

    process: subprocess.Popen
    port: int
    base_port: int
    logs: pathlib.Path

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.base_port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment in which an AWS SDK or tool talks to the emulator, as root of its account."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }

    @functools.cache  # noqa: B019  (there is one emulator, for as long as the process lives)
    def client(self, service: str):
        """A client of one service, without retries: the emulator's first answer is its answer."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )

    def serve_api(self, api_id: str) -> None:
        """Opens `base_url` for one HTTP API."""
        self.process.stdin.write(f"{api_id}\n".encode())
        self.process.stdin.flush()


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 is any free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def listen_from(port: int, tries: int = 100) -> socket.socket:
    """A listening socket on the first free port from `port` on."""
    for candidate in range(port, port + tries):
        with contextlib.suppress(OSError):
            return listen(candidate)
    raise StackError(f"no port from {port} to {port + tries - 1} is free")


@contextlib.contextmanager
def running(
    aws: socket.socket,
    base: socket.socket,
    logs: pathlib.Path,
    scratch: pathlib.Path,
    data: pathlib.Path | None,
    locks: Sequence[int] = (),
) -> Iterator[Aws]:
    """The emulator on two listening sockets, which it takes over, until the block ends.

    `scratch` is for its temporary files; `data`, where given, keeps its state over restarts. `locks` are descriptors of
    files that it holds as long as it lives, and so while it saves even if this process is killed.
    """
    port, base_port = aws.getsockname()[1], base.getsockname()[1]
    scratch.mkdir(parents=True, exist_ok=True)
    # Functions inherit this environment, so it holds nothing of the caller's.
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "GATEWAY_PORT": str(port),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "S3_DATA_DIR": str((data or scratch) / "s3"),
    }
    if data:
        env |= {"PERSIST_STATE": "1", "S3_PERSIST": "1", "STATE_DIR": str(data / "state")}
    script = pathlib.Path(__file__).with_name("emulator.py")
    descriptors = (aws.fileno(), base.fileno())
    with (logs / "emulator.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", str(script), *map(str, descriptors), str(logs)],
            env=env,
            pass_fds=(*descriptors, *locks),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # Only the emulator may hold them, so that its end is seen as a refused connection, not as a silent one.
    aws.close()
    base.close()
    emulator = Aws(process, port, base_port, logs)
    try:
        _await_ready(emulator)
    except BaseException:
        stop(process)
        raise
    try:
        yield emulator
    finally:
        with step("stopping the AWS emulator and the functions"):
            stop(process)


def _await_ready(emulator: Aws) -> None:
    # The socket listens already, so one request waits exactly as long as the emulator takes.
    try:
        with urllib.request.urlopen(f"{emulator.endpoint_url}/_ministack/ready", timeout=START_SECONDS) as answer:
            answer.read()
    except OSError as error:
        raise StackError(f"the emulator does not start ({error}):\n{tail(emulator.logs / 'emulator.log')}") from error


def stop(process: subprocess.Popen) -> None:
    """Ends a process that we started, and all of its group."""
    # The end of its standard input asks it to save and go; its group holds all functions that it started.
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tail(path: pathlib.Path, lines: int = 15) -> str:
    """The end of a log file, for a message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
