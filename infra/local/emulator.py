"""The emulator's process: ministack, and the HTTP API at the root of a second port.

    python -I emulator.py AWS_FD BASE_FD LOG_DIR

AWS_FD and BASE_FD are listening sockets. The AWS API answers on the first; the second serves one HTTP API at its root,
as a custom domain does, and holds requests back until a line on standard input has named the API's id. SIGTERM or the
end of standard input stops the process, whose functions then stop with it: it cannot outlive whoever started it.

Everything a function writes lands in LOG_DIR/<last part of its log group's name>.log, as it is written.
"""

import asyncio
import json
import os
import pathlib
import signal
import socket
import socketserver
import sys
import traceback

import hypercorn
from hypercorn.asyncio import serve
from ministack.app import app as aws
from ministack.core import iam_actions, lambda_runtime
from ministack.services import cognito


class Front:
    """An ASGI application: ministack on one port, one of its HTTP APIs on another."""

    def __init__(self, port: int):
        self.port = port
        self.prefix = ""
        self.named = asyncio.Event()

    def serve_api(self, api_id: str) -> None:
        """Opens the second port."""
        self.prefix = f"/_aws/execute-api/{api_id}/$default"
        self.named.set()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["server"][1] == self.port:
            await self.named.wait()
            scope = self.in_api(scope)
        await aws(scope, receive, send)

    def in_api(self, scope: dict) -> dict:
        """The request as API Gateway passes it on: its path within the API, repeated headers as one with commas, and
        the sender's address added to those that the sender names.
        """
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        named = headers.pop(b"x-forwarded-for", [])
        headers[b"x-forwarded-for"] = [b", ".join([*named, scope["client"][0].encode()])]
        headers[b"x-forwarded-port"] = [str(self.port).encode()]
        headers[b"x-forwarded-proto"] = [b"http"]
        joined = [(name, (b"; " if name == b"cookie" else b",").join(values)) for name, values in headers.items()]
        path, raw_path = self.prefix + scope["path"], self.prefix.encode() + scope["raw_path"]
        return {**scope, "path": path, "raw_path": raw_path, "headers": joined}


class Copied:
    """A stream whose lines are also appended to a file, each in one write, so that executions do not mix."""

    def __init__(self, stream, path: pathlib.Path):
        self.stream = stream
        self.file = path.open("ab", buffering=0)

    def readline(self) -> bytes:
        line = self.stream.readline()
        if line:
            self.file.write(line if line.endswith(b"\n") else line + b"\n")
        return line

    def close(self) -> None:
        self.file.close()
        self.stream.close()


def mend(logs: pathlib.Path) -> None:
    """Changes what ministack 1.5.33 does where it costs time or log lines, or refuses what AWS allows."""
    # Its Runtime API answers in two writes; with Nagle's algorithm the second waits 40 ms for the first one's ACK.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    # It waits up to 50 ms after each invocation for a first log line; the log files below need no waiting.
    lambda_runtime.Worker._drain_stderr_bounded = lambda worker, **_: worker._drain_stderr()

    pump = lambda_runtime.ProvidedWorker._pump_output

    def copying_pump(worker, stream, queue):
        group = worker.config["LoggingConfig"]["LogGroup"]
        pump(worker, Copied(stream, logs / f"{pathlib.PurePosixPath(group).name}.log"), queue)

    lambda_runtime.ProvidedWorker._pump_output = copying_pump

    # It tells functions that every sender is 127.0.0.1.
    invoke = lambda_runtime.ProvidedWorker.invoke
    lambda_runtime.ProvidedWorker.invoke = lambda worker, event, *rest, **named: invoke(worker, from_sender(event), *rest, **named)

    # It knows no condition keys of KMS, so that a policy which asks for an encryption context allows nothing.
    keys_of_tags = iam_actions.request_tag_context

    def keys_of_request(service, action, body, parameters):
        return keys_of_tags(service, action, body, parameters) | (kms_condition_keys(body) if service == "kms" else {})

    iam_actions.request_tag_context = keys_of_request

    # A refreshed token says that the session began with the refresh.
    signed, begun = cognito._signed_jwt, {}

    def signed_since(claims, *rest):
        if "auth_time" in claims:
            claims["auth_time"] = begun.setdefault(claims.get("origin_jti"), claims["auth_time"])
        return signed(claims, *rest)

    cognito._signed_jwt = signed_since

    # It asks for the right to send email on no identity, so that a policy which names one allows nothing.
    iam_actions._SES_V2_RESOURCES["outbound-emails"] = ("identity", "FromEmailAddress")


def from_sender(event: dict) -> dict:
    """An HTTP API's event with the address that its front saw: the last that stands in the header, as on AWS."""
    http = event.get("requestContext", {}).get("http") if isinstance(event, dict) else None
    if http:
        http["sourceIp"] = event["headers"].get("x-forwarded-for", http["sourceIp"]).rpartition(",")[2].strip()
    return event


def kms_condition_keys(body: bytes) -> dict:
    """The keys that a request's encryption context and its kind of hash add
    (https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html).
    """
    try:
        request = json.loads(body)
        context, algorithm = request.get("EncryptionContext"), request.get("MacAlgorithm")
    except (ValueError, AttributeError):
        return {}
    keys = {"kms:MacAlgorithm": algorithm} if algorithm else {}
    if context:
        keys |= {"kms:EncryptionContextKeys": list(context)}
        keys |= {f"kms:EncryptionContext:{k}": v for k, v in context.items()}
    return keys


async def main(aws_fd: str, base_fd: str, logs: str) -> None:
    mend(pathlib.Path(logs))
    config = hypercorn.Config()
    config.bind = [f"fd://{aws_fd}", f"fd://{base_fd}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"

    # A copy of the descriptor: hypercorn takes and closes the one it is given.
    with socket.fromfd(int(base_fd), socket.AF_INET, socket.SOCK_STREAM) as base:
        front = Front(base.getsockname()[1])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)

    async def obey() -> None:
        lines = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            front.serve_api(line.decode().strip())
        stop.set()

    async def stopped() -> None:
        await stop.wait()
        # Functions first: the services save one after the other, and nobody may write in between.
        lambda_runtime.ProvidedWorker._spawn = refuse_to_start
        await asyncio.to_thread(lambda_runtime.reset)

    obeying = asyncio.create_task(obey())
    await serve(front, config, shutdown_trigger=stopped)
    obeying.cancel()


def refuse_to_start(*_, **__) -> None:
    raise RuntimeError("the emulator is stopping")


if __name__ == "__main__":
    # Whatever happens, threads of ministack's must not keep the process.
    try:
        asyncio.run(main(*sys.argv[1:]))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
