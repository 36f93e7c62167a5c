"""A secret's rotation: what the emulator asks of a function, and what ours makes of it."""

import io
import json
import sys
import types
import zipfile

import pytest
from botocore.exceptions import ClientError
from conftest import Stack as RunningStack
from conftest import wait_for

from infra.local import aws as emulator

STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
ROLE = "arn:aws:iam::000000000000:role/rotates"
# A function that tells what it is asked for and fails at the step that a secret of its own names.
FUNCTION = f"""#!{sys.executable}
import json, os, sys, urllib.error, urllib.request
sys.path += {sys.path!r}
import boto3
vault = boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
api = f"http://{{os.environ['AWS_LAMBDA_RUNTIME_API']}}/2018-06-01/runtime/invocation"
while True:
    with urllib.request.urlopen(f"{{api}}/next") as asked:
        event, invocation = json.load(asked), asked.headers["lambda-runtime-aws-request-id"]
    name, version, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    try:
        event["value"] = vault.get_secret_value(SecretId=name, VersionId=version)["SecretString"]
    except vault.exceptions.ResourceNotFoundException:
        event["value"] = None
    stages = vault.describe_secret(SecretId=name)["VersionIdsToStages"]
    failed = step == vault.get_secret_value(SecretId="fails")["SecretString"]
    print(json.dumps(event | {{"stages": stages[version]}}), flush=True)
    if step == "createSecret" and not failed and event["value"] is None:
        vault.put_secret_value(SecretId=name, ClientRequestToken=version, SecretString="new " + version, VersionStages=["AWSPENDING"])
    if step == "finishSecret" and not failed:
        current = next(id for id, labels in stages.items() if "AWSCURRENT" in labels)
        vault.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=current)
    answer = b'{{"errorType": "NotDone", "errorMessage": "as told"}}' if failed else b"null"
    urllib.request.urlopen(f"{{api}}/{{invocation}}/{{'error' if failed else 'response'}}", answer).close()
"""


def zipped(text):
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    with io.BytesIO() as target:
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(entry, text)
        return target.getvalue()


@pytest.fixture(scope="module", name="rotator")
def made(tmp_path_factory):
    """An emulator with that function."""
    base = tmp_path_factory.mktemp("rotation")
    with emulator.running(emulator.listen(0), emulator.listen(0), base, base / "run", None) as aws:
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        allowed = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
        aws.client("iam").create_role(RoleName="rotates", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        aws.client("iam").put_role_policy(RoleName="rotates", PolicyName="vault", PolicyDocument=document)
        function = aws.client("lambda").create_function(
            FunctionName="rotates", Runtime="provided.al2023", Handler="bootstrap", Role=ROLE, Code={"ZipFile": zipped(FUNCTION)},
            Timeout=30, LoggingConfig={"LogGroup": "/plixo/rotates", "LogFormat": "JSON"},
        )
        vault = aws.client("secretsmanager")
        vault.create_secret(Name="fails", SecretString="nowhere")
        yield types.SimpleNamespace(vault=vault, function=function["FunctionArn"], log=base / "rotates.log")


@pytest.fixture(name="secret")
def new_secret(rotator, request):
    """The ARN of a secret that the function rotates, and that it was tested with."""
    rotator.vault.put_secret_value(SecretId="fails", SecretString="nowhere")
    arn = rotator.vault.create_secret(Name=request.node.name, SecretString="old")["ARN"]
    before = value(rotator, arn)
    rotator.vault.rotate_secret(
        SecretId=arn, RotateImmediately=False, RotationLambdaARN=rotator.function, RotationRules={"AutomaticallyAfterDays": 30}
    )
    wait_for(lambda: asked(rotator, arn) == ["testSecret"] and not pending(rotator, arn), 30, "test")
    assert value(rotator, arn) == before
    return arn


def events(rotator, secret):
    """What the function was asked for that secret."""
    lines = rotator.log.read_text().splitlines() if rotator.log.exists() else []
    return [event for event in map(json.loads, filter(lambda line: line.startswith("{"), lines)) if event.get("SecretId") == secret]


def asked(rotator, secret):
    return [event["Step"] for event in events(rotator, secret)]


def pending(rotator, secret):
    """The versions that are to become current."""
    stages = rotator.vault.describe_secret(SecretId=secret)["VersionIdsToStages"]
    return [version for version, labels in stages.items() if "AWSPENDING" in labels and "AWSCURRENT" not in labels]


def value(rotator, secret, stage="AWSCURRENT"):
    """Version and value."""
    found = rotator.vault.get_secret_value(SecretId=secret, VersionStage=stage)
    return found["VersionId"], found["SecretString"]


def test_switched_on_it_only_tests_with_a_copy_of_the_value(rotator, secret):
    [tested] = events(rotator, secret)
    assert (tested["value"], tested["stages"]) == ("old", ["AWSPENDING"])
    told = rotator.vault.describe_secret(SecretId=secret)
    assert (told["RotationEnabled"], told["RotationLambdaARN"]) == (True, rotator.function)
    assert told["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert list(told["VersionIdsToStages"].values()) == [["AWSCURRENT"]]


def test_a_rotation_is_four_steps_with_one_token(rotator, secret):
    before = value(rotator, secret)
    version = rotator.vault.rotate_secret(SecretId=secret)["VersionId"]
    wait_for(lambda: value(rotator, secret) == (version, f"new {version}"), 30, "rotation")
    assert value(rotator, secret, "AWSPREVIOUS") == before
    _, *steps = events(rotator, secret)
    assert [step["Step"] for step in steps] == STEPS
    assert {step["ClientRequestToken"] for step in steps} == {version}
    assert [step["value"] for step in steps] == [None, *[f"new {version}"] * 3]
    assert all(step["stages"] == ["AWSPENDING"] for step in steps)
    again = rotator.vault.rotate_secret(SecretId=secret)["VersionId"]
    wait_for(lambda: value(rotator, secret)[0] == again, 30, "another rotation")
    assert value(rotator, secret, "AWSPREVIOUS")[0] == version


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_is_the_last_until_it_is_asked_again(rotator, secret, step):
    before, until = value(rotator, secret), STEPS[: STEPS.index(step) + 1]
    rotator.vault.put_secret_value(SecretId="fails", SecretString=step)
    version = rotator.vault.rotate_secret(SecretId=secret)["VersionId"]
    wait_for(lambda: asked(rotator, secret) == ["testSecret", *until], 30, "failed step")
    assert (value(rotator, secret), pending(rotator, secret)) == (before, [version])
    rotator.vault.put_secret_value(SecretId="fails", SecretString="nowhere")
    with pytest.raises(ClientError, match="A previous rotation isn't complete. That rotation will be reattempted."):
        rotator.vault.rotate_secret(SecretId=secret)
    wait_for(lambda: value(rotator, secret) == (version, f"new {version}"), 30, "rotation")
    assert asked(rotator, secret) == ["testSecret", *until, *STEPS]


def test_what_cannot_be_rotated_is_refused(rotator):
    rotator.vault.create_secret(Name="never rotated", SecretString="old")
    for name, why in (("never rotated", "InvalidRequestException"), ("nobody's", "ResourceNotFoundException")):
        with pytest.raises(ClientError, match=why):
            rotator.vault.rotate_secret(SecretId=name)


def link_keys(vault, stack, stage="AWSCURRENT"):
    return json.loads(vault.get_secret_value(SecretId=stack.resources.LinkKeys, VersionStage=stage)["SecretString"])


def outcomes(stack):
    return [line["outcome"] for line in stack.lines("job-link-key-rotation")]


def test_our_function_gives_links_a_new_key_and_keeps_the_old_one(tmp_path):
    stack = RunningStack(tmp_path, "--data", str(tmp_path / "data"))
    try:
        vault = stack.aws("secretsmanager")
        first = link_keys(vault, stack)
        assert first.keys() == {"v", "key"} and first["key"].isalnum() and len(first["key"]) == 50
        told = vault.describe_secret(SecretId=stack.resources.LinkKeys)
        assert (told["RotationEnabled"], told["RotationRules"]) == (True, {"AutomaticallyAfterDays": 30})
        assert told["KmsKeyId"] == stack.json["env"]["STORAGE_KEY_ARN"]
        pends = lambda: "AWSPENDING" in str(vault.describe_secret(SecretId=stack.resources.LinkKeys)["VersionIdsToStages"])  # noqa: E731
        wait_for(lambda: outcomes(stack) == ["tested"] and not pends(), 30, "test")

        vault.rotate_secret(SecretId=stack.resources.LinkKeys)
        wait_for(lambda: "finished" in outcomes(stack), 30, "rotation")
        assert outcomes(stack) == ["tested", "created", "set", "tested", "finished"]
        second = link_keys(vault, stack)
        assert second["key"] != first["key"]
        assert [older["key"] for older in second["older"]] == [first["key"]]
        assert link_keys(vault, stack, "AWSPREVIOUS") == first
        stack.close()

        stack = RunningStack(tmp_path, "--data", str(tmp_path / "data"))
        assert link_keys(stack.aws("secretsmanager"), stack) == second
        assert outcomes(stack) == []
    finally:
        stack.close()
