"""The emulator's process: ministack, and the HTTP API at the root of a second port.

    python -I emulator.py AWS_FD BASE_FD LOG_DIR

AWS_FD and BASE_FD are listening sockets. The AWS API answers on the first; the second serves one HTTP API at its root,
as a custom domain does, and holds requests back until a line on standard input has named the API's id. SIGTERM or the
end of standard input stops the process, whose functions then stop with it: it cannot outlive whoever started it.

Everything a function writes lands in LOG_DIR/<last part of its log group's name>.log, as it is written.
"""

import asyncio
import functools
import json
import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import sys
import time
import traceback
import types
import uuid

import hypercorn
from hypercorn.asyncio import serve
from ministack.app import app as aws
from ministack.core import iam_actions, lambda_runtime
from ministack.core.responses import error_response_json, json_response
from ministack.services import cognito, lambda_svc, secretsmanager
from ministack.services.cloudformation import engine


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


class Rotations:
    """Secrets Manager's rotations, which ministack only pretends
    (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html).
    """

    STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

    def __init__(self):
        self.refuse = secretsmanager._rotate_secret
        self.one_by_one = asyncio.Lock()
        self.running: set[asyncio.Task] = set()

    def rotate_secret(self, request: dict) -> tuple:
        """`RotateSecret`: answers at once, and has the secret's function do the steps meanwhile."""
        _, secret = secretsmanager._resolve(request.get("SecretId"))
        if not secret or secret.get("DeletedDate"):
            return self.refuse(request)
        wanted = {key: request.get(key) or secret.get(key) for key in ("RotationLambdaARN", "RotationRules")}
        if not wanted["RotationLambdaARN"]:
            return error_response_json("InvalidRequestException", "The secret has no rotation function.", 400)
        secret |= {**wanted, "RotationEnabled": True}
        told = {"ARN": secret["ARN"], "Name": secret["Name"]}

        pending, _ = secretsmanager._find_stage_version(secret, "AWSPENDING")
        current, value = secretsmanager._find_stage_version(secret, "AWSCURRENT")
        if pending not in (None, current):
            self._begin(self._done(secret, pending, self.STEPS))
            said = "A previous rotation isn't complete. That rotation will be reattempted."
            return error_response_json("InvalidRequestException", said, 400)
        if not request.get("RotateImmediately", True):
            version = self._pend(secret, str(uuid.uuid4()), value)
            self._begin(self._tested(secret, version))
            return json_response(told)
        version = self._pend(secret, request.get("ClientRequestToken") or str(uuid.uuid4()), {})
        self._begin(self._done(secret, version, self.STEPS))
        return json_response(told | {"VersionId": version})

    @staticmethod
    def _pend(secret: dict, version: str, value: dict) -> str:
        secretsmanager._remove_stage_everywhere(secret, "AWSPENDING")
        value = {key: value.get(key) for key in ("SecretString", "SecretBinary")}
        secret["Versions"][version] = {**value, "CreatedDate": int(time.time()), "Stages": ["AWSPENDING"]}
        return version

    def _begin(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _done(self, secret: dict, version: str, steps: tuple[str, ...]) -> None:
        """Has steps done, up to one that fails."""
        async with self.one_by_one:
            for step in steps:
                event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": version}
                if not await asyncio.to_thread(self._invoke, secret["RotationLambdaARN"], event):
                    return

    async def _tested(self, secret: dict, version: str) -> None:
        """Has the configuration tested, with a version that is there for the test only."""
        try:
            await self._done(secret, version, ("testSecret",))
        finally:
            secret["Versions"].pop(version, None)

    @staticmethod
    def _invoke(function: str, event: dict) -> bool:
        record, config, _ = lambda_svc._get_func_record_for_ref(function)
        if config is None:
            return False
        record = lambda_svc._execution_record_for_config(record, config)
        return not lambda_svc._execute_function_with_config_scope(record, event).get("error")


def mend(logs: pathlib.Path) -> None:
    """Changes what ministack 1.5.33 does where it costs time or log lines, refuses what AWS allows, or only pretends."""
    # Its Runtime API answers in two writes; with Nagle's algorithm the second waits 40 ms for the first one's ACK.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    # It reads what functions write from a pipe, and waits up to 50 ms for a first line after each invocation; all the same one may be
    # later than its answer.
    lambda_runtime.Worker._drain_stderr_bounded = lambda worker, **_: worker._drain_stderr()
    lambda_runtime.subprocess = types.SimpleNamespace(**vars(subprocess) | {"Popen": functools.partial(logged, logs)})
    environment = lambda_svc._provided_worker_env

    def environment_with_log(config, *rest):
        return environment(config, *rest) | {"AWS_LAMBDA_LOG_GROUP_NAME": config["LoggingConfig"]["LogGroup"]}

    lambda_svc._provided_worker_env = environment_with_log

    # It tells functions that every sender is 127.0.0.1, and where one environment of a function does not start, ends them all.
    invoke = lambda_runtime.ProvidedWorker.invoke

    def invoked_alone(worker, event, *rest, **named):
        try:
            return invoke(worker, from_sender(event), *rest, **named)
        except Exception as error:
            kind = getattr(error, "error_type", "") or "Runtime.Unknown"
            return {"status": "error", "error": str(error), "error_payload": {"errorMessage": str(error), "errorType": kind}}

    lambda_runtime.ProvidedWorker.invoke = invoked_alone

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

    # It rotates secrets without asking their functions, and gives a version out that has no value yet.
    secretsmanager._rotate_secret = Rotations().rotate_secret
    found = secretsmanager._get_secret_value

    def found_with_a_value(request):
        answer = found(request)
        if answer[0] == 200 and not {"SecretString", "SecretBinary"} & json.loads(answer[2]).keys():
            said = "Secrets Manager can't find the specified secret value."
            return error_response_json("ResourceNotFoundException", said, 400)
        return answer

    secretsmanager._get_secret_value = found_with_a_value

    # It takes 500 resources, as AWS does. Here each route is one, and on AWS they are all in the API's own.
    quotas = ((name, *rest, 2_000 if name == "Resources" else most) for name, *rest, most in engine._SECTION_QUOTAS)
    engine._SECTION_QUOTAS = tuple(quotas)

    # It asks for the right to send email on no identity, so that a policy which names one allows nothing.
    iam_actions._SES_V2_RESOURCES["outbound-emails"] = ("identity", "FromEmailAddress")


def logged(logs: pathlib.Path, command: list, *, env: dict, **rest) -> subprocess.Popen:
    """A function's process, whose output goes to the end of its log file: when an invocation is answered, its lines are there."""
    name = pathlib.PurePosixPath(env["AWS_LAMBDA_LOG_GROUP_NAME"]).name
    with (logs / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, env=env, **{**rest, "stdout": log})


def from_sender(event: dict) -> dict:
    """An HTTP API's event with the address that its front saw: the last that stands in the header, as on AWS."""
    http = event.get("requestContext", {}).get("http") if isinstance(event, dict) else None
    if http:
        http["sourceIp"] = event["headers"].get("x-forwarded-for", http["sourceIp"]).rpartition(",")[2].strip()
    return event


def kms_condition_keys(body: bytes) -> dict:
    """The keys that a request's encryption context and its kind of hash or signature add
    (https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html).
    """
    try:
        request = json.loads(body)
        context = request.get("EncryptionContext")
    except (ValueError, AttributeError):
        return {}
    keys = {f"kms:{name}": request[name] for name in ("MacAlgorithm", "SigningAlgorithm") if request.get(name)}
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
