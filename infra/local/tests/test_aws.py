"""The emulator's process: comes up, keeps what it is to keep, and never stays behind."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from infra.local import aws as emulator
from infra.local import cli, seller
from infra.local.stack import Needs, Stack, Unready, published

ROOT = pathlib.Path(__file__).resolve().parents[3]
HOLD = """
import pathlib, sys, time
from infra.local import aws
base = pathlib.Path(sys.argv[1])
with aws.running(aws.listen(0), aws.listen(0), base, base / "run", None) as running:
    print("pid", running.process.pid, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def running(base: pathlib.Path, data: pathlib.Path | None = None, port: int = 0):
    with emulator.running(emulator.listen(port), emulator.listen(0), base, base / "run", data) as aws:
        yield aws


def gone(pid: int) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_it_answers_and_leaves_nothing(tmp_path):
    with running(tmp_path) as aws:
        assert aws.client("sts").get_caller_identity()["Arn"].endswith(":root")
        pid = aws.process.pid
    assert gone(pid)


def test_data_is_kept_under_the_same_addresses(tmp_path):
    data = tmp_path / "data"
    with running(tmp_path, data) as aws:
        url = aws.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
        sent = aws.client("sqs").send_message(QueueUrl=url, MessageBody="kept")["MessageId"]
        port = aws.port
    with running(tmp_path, data, port) as aws:
        [message] = aws.client("sqs").receive_message(QueueUrl=url)["Messages"]
        assert message["MessageId"] == sent


def test_a_killed_launcher_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    launcher = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        pid = next(int(line.split()[1]) for line in launcher.stdout if line.startswith("pid"))
    finally:
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
        launcher.stdout.close()
    assert gone(pid)


def test_a_failed_start_says_why(tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(emulator.sys, "executable", str(broken))
    with pytest.raises(emulator.StackError, match="no such module"), running(tmp_path):
        pass


def test_the_first_free_port_is_taken():
    with emulator.listen(0) as taken:
        port = taken.getsockname()[1]
        with emulator.listen_from(port) as next_one:
            assert port < next_one.getsockname()[1] < port + 100


def test_everything_that_is_missing_is_said_at_once(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text(
        "Resources:\n  Receiver:\n    Type: AWS::Serverless::Function\n"
        "    Properties: {CodeUri: target/lambda/webhook-stripe/}\n"
    )
    with emulator.listen(0) as taken:
        port = taken.getsockname()[1]
        options = {"--template": template, "--bin-dir": tmp_path, "--state-dir": tmp_path / "state", "--port": port}
        args = cli.parsed(["run", *(str(part) for option in options.items() for part in option)])
        with pytest.raises(Unready) as missing, Needs(args):
            pass
    assert "cargo build -p webhook-stripe -p plixoctl" in str(missing.value)
    assert f"port {port}" in str(missing.value)


def test_stack_json_is_whole_private_and_gone_with_the_stack(tmp_path):
    aws = emulator.Aws(process=None, port=4566, base_port=8787, logs=tmp_path)
    account = {"org": "org_1", "id": "acct_1", "key": "rk_test_1"}
    stripe = seller.Stripe(process=None, base_url="http://127.0.0.1:12111", accounts=[account], log=tmp_path)
    stack = Stack(aws, {"Api": "a1b2c3d4"}, aws.env, plixoctl=None, orgs=[{"id": "org_1"}], stripe=stripe)
    path = tmp_path / "stack.json"
    with published(path, stack):
        assert path.stat().st_mode & 0o777 == 0o600
        told = json.loads(path.read_text())
        assert told["base_url"] == "http://127.0.0.1:8787"
        assert told["aws_endpoint_url"] == told["env"]["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
        assert told["region"] == told["env"]["AWS_REGION"] == "eu-west-1"
        assert (told["resources"], told["operator"], told["orgs"]) == (stack.resources, None, stack.orgs)
        assert told["stripe"] == {"base_url": "http://127.0.0.1:12111", "accounts": [account]}
    assert list(tmp_path.iterdir()) == []


def test_a_directory_belongs_to_one_stack_at_a_time(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}\n")
    (tmp_path / "plixoctl").write_text("")
    (tmp_path / "plixoctl").chmod(0o755)
    options = {"--template": template, "--bin-dir": tmp_path, "--state-dir": tmp_path / "state", "--port": 0}
    args = cli.parsed(["run", *(str(part) for option in options.items() for part in option)])
    with Needs(args):
        with pytest.raises(Unready, match=f"process {os.getpid()}"), Needs(args):
            pass
    with Needs(args):
        pass
