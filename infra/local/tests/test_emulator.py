"""What is put around ministack."""

import io
import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.local import aws, emulator


@pytest.fixture(name="front")
def served():
    front = emulator.Front(8787)
    front.serve_api("a1b2c3d4")
    return front


def scope(*headers: tuple[bytes, bytes]) -> dict:
    return {
        "type": "http",
        "path": "/webhooks/€",
        "raw_path": b"/webhooks/%E2%82%AC",
        "client": ("127.0.0.1", 50000),
        "headers": list(headers),
    }


def test_paths_are_within_the_api_and_otherwise_as_sent(front):
    seen = front.in_api(scope())
    assert seen["path"] == "/_aws/execute-api/a1b2c3d4/$default/webhooks/€"
    assert seen["raw_path"] == b"/_aws/execute-api/a1b2c3d4/$default/webhooks/%E2%82%AC"


def test_repeated_headers_become_one_with_commas_and_cookies_one_with_semicolons(front):
    sent = scope((b"x-a", b"1"), (b"cookie", b"c=1"), (b"x-a", b"2"), (b"cookie", b"d=2"), (b"x-b", b"3"))
    headers = front.in_api(sent)["headers"]
    assert headers[:3] == [(b"x-a", b"1,2"), (b"cookie", b"c=1; d=2"), (b"x-b", b"3")]


def test_the_sender_cannot_hide_where_it_is(front):
    sent = scope((b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-port", b"443"))
    headers = dict(front.in_api(sent)["headers"])
    assert headers[b"x-forwarded-for"] == b"203.0.113.7, 127.0.0.1"
    assert headers[b"x-forwarded-proto"] == b"http"
    assert headers[b"x-forwarded-port"] == b"8787"
    assert dict(front.in_api(scope())["headers"])[b"x-forwarded-for"] == b"127.0.0.1"


def test_functions_learn_the_address_that_the_front_saw():
    event = {"headers": {"x-forwarded-for": "203.0.113.7, 127.0.0.2"}, "requestContext": {"http": {"sourceIp": "127.0.0.1"}}}
    assert emulator.from_sender(event)["requestContext"]["http"]["sourceIp"] == "127.0.0.2"
    for other in ({"Records": []}, {"headers": {}, "requestContext": {"http": {"sourceIp": "127.0.0.1"}}}, ["no object"]):
        assert emulator.from_sender(json.loads(json.dumps(other))) == other


def test_encryption_contexts_become_condition_keys():
    body = json.dumps({"KeyId": "k", "EncryptionContext": {"org": "org_1"}}).encode()
    keys = emulator.kms_condition_keys(body)
    assert keys == {"kms:EncryptionContext:org": "org_1", "kms:EncryptionContextKeys": ["org"]}


def test_a_kind_of_hash_becomes_a_condition_key():
    body = json.dumps({"KeyId": "k", "MacAlgorithm": "HMAC_SHA_256", "Message": "bQ=="}).encode()
    assert emulator.kms_condition_keys(body) == {"kms:MacAlgorithm": "HMAC_SHA_256"}
    body = json.dumps({"KeyId": "k", "SigningAlgorithm": "ECDSA_SHA_256", "Message": "bQ=="}).encode()
    assert emulator.kms_condition_keys(body) == {"kms:SigningAlgorithm": "ECDSA_SHA_256"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"EncryptionContext":{}}'])
def test_no_encryption_context_is_no_condition_key(body):
    assert emulator.kms_condition_keys(body) == {}


def test_what_a_function_writes_is_kept_behind_what_is_there(tmp_path):
    for text in ("one", "two"):
        command = ["sh", "-c", f"echo {text}; echo {text} >&2"]
        env = {**os.environ, "AWS_LAMBDA_LOG_GROUP_NAME": "/plixo/worker"}
        assert emulator.logged(tmp_path, command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).wait(30) == 0
    assert (tmp_path / "worker.log").read_text() == "one\none\ntwo\ntwo\n"


# A function whose first environment alone starts, and writes lines and answers once nobody holds the other end of a pipe.
FUNCTION = """#!{python}
import os, urllib.request
os.mkdir("{place}/first")
api = f"http://{{os.environ['AWS_LAMBDA_RUNTIME_API']}}/2018-06-01/runtime/invocation"
with urllib.request.urlopen(f"{{api}}/next") as asked:
    invocation = asked.headers["lambda-runtime-aws-request-id"]
open("{place}/pipe").read()
print("line\\n" * {lines}, end="", flush=True)
urllib.request.urlopen(f"{{api}}/{{invocation}}/response", b'"done"').close()
"""
LINES = 10_000


def test_an_environment_that_does_not_start_ends_no_other_whose_lines_are_there_with_its_answer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    entry, code = zipfile.ZipInfo("bootstrap"), io.BytesIO()
    entry.external_attr = 0o755 << 16
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(entry, FUNCTION.format(python=sys.executable, place=tmp_path, lines=LINES))
    with aws.running(aws.listen(0), aws.listen(0), tmp_path, tmp_path / "run", None) as running, ThreadPoolExecutor() as pool:
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = running.client("iam").create_role(
            RoleName="starts", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
        functions = running.client("lambda")
        functions.create_function(
            FunctionName="starts", Runtime="provided.al2023", Handler="bootstrap", Role=role["Role"]["Arn"], Timeout=30,
            Code={"ZipFile": code.getvalue()}, LoggingConfig={"LogGroup": "/plixo/starts", "LogFormat": "JSON"},
        )
        functions.get_waiter("function_active_v2").wait(FunctionName="starts", WaiterConfig={"Delay": 1})
        first = pool.submit(functions.invoke, FunctionName="starts")
        # It opens once the first environment is at work.
        with (tmp_path / "pipe").open("w"):
            second = functions.invoke(FunctionName="starts")
        assert "exited during init" in json.load(second["Payload"])["errorMessage"] and second["FunctionError"]
        answer = first.result()
        assert (json.load(answer["Payload"]), answer.get("FunctionError")) == ("done", None)
        assert (tmp_path / "starts.log").read_text().splitlines().count("line") == LINES, "an answer's lines are there when it is"
