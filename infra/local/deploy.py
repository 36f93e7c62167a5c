"""Brings `template.yaml` onto the emulator, as CloudFormation would onto AWS."""

import contextlib
import hashlib
import io
import json
import pathlib
import shlex
import shutil
import time
import zipfile

from botocore.exceptions import ClientError

from . import template as templates
from .aws import Aws, StackError

BUCKET = "plixo-local-artifacts"
DEPLOY_SECONDS = 60


def upload(aws: Aws, packages: dict[str, str], binaries: dict[str, pathlib.Path], code: pathlib.Path) -> dict[str, str]:
    """Puts each function into S3 as a zip with `bootstrap`, and gives their URIs by the function's logical id.

    That is a script that becomes the binary, which is kept in `code`: zips of binaries would be a gigabyte, packed, sent, kept
    in the emulator's memory and hashed with each execution that begins. The key is the script's hash, and what is kept is named
    by its size and time: an unchanged function is not redeployed, and one that is built meanwhile stays as it is.
    """
    s3 = aws.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    present = {entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
    keys = {}
    for name, package in packages.items():
        script = f"#!/bin/sh\nexec {shlex.quote(str(_kept(binaries[package], code)))}\n".encode()
        keys[name] = f"{package}/{hashlib.sha256(script).hexdigest()}.zip"
        if keys[name] not in present:
            s3.put_object(Bucket=BUCKET, Key=keys[name], Body=_zipped(script))
    return {name: f"s3://{BUCKET}/{key}" for name, key in keys.items()}


def _kept(binary: pathlib.Path, code: pathlib.Path) -> pathlib.Path:
    known = binary.stat()
    kept = code / f"{binary.name}-{known.st_size}-{known.st_mtime_ns}"
    try:
        # Builds replace a binary, and write into none.
        kept.hardlink_to(binary)
    except OSError:
        shutil.copy(binary, kept)
    return kept


def _zipped(bootstrap: bytes) -> bytes:
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    with io.BytesIO() as target:
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(entry, bootstrap)
        return target.getvalue()


def deploy(aws: Aws, stack: str, template: dict, parameters: dict[str, str]) -> dict[str, str]:
    """Creates or updates the stack, and gives its resources: physical ids by logical ids."""
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    # By S3, because a template in the request may have at most 51,200 bytes.
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(templates.without_rotations(template)).encode())
    wanted = {
        "StackName": stack,
        "TemplateURL": f"{aws.endpoint_url}/{BUCKET}/template.json",
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    if _status(aws, stack) is None:
        cloudformation.create_stack(**wanted)
    else:
        try:
            cloudformation.update_stack(**wanted)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
    _await_deployed(aws, stack)
    for name, attribute in templates.times_to_live(template).items():
        _expire(aws, cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=name), attribute)
    resources = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in page["StackResourceSummaries"]
    }
    for secret, rotation in templates.rotations(template).items():
        _rotate(aws, resources[secret], resources[rotation["function"]], rotation["rules"])
    return resources


def _status(aws: Aws, stack: str) -> str | None:
    try:
        [found] = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return found["StackStatus"]


def _await_deployed(aws: Aws, stack: str) -> None:
    until = time.monotonic() + DEPLOY_SECONDS
    while (status := _status(aws, stack)).endswith("_IN_PROGRESS"):
        if time.monotonic() > until:
            raise StackError(f"{stack} is still {status} after {DEPLOY_SECONDS} s")
        time.sleep(0.02)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [
            f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
        ]
        raise StackError("\n".join([f"{stack} is {status}:", *reasons]))


def _expire(aws: Aws, table: dict, attribute: str) -> None:
    # The emulator's CloudFormation drops TimeToLiveSpecification.
    dynamodb, name = aws.client("dynamodb"), table["StackResourceDetail"]["PhysicalResourceId"]
    if dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED":
        wanted = {"AttributeName": attribute, "Enabled": True}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _rotate(aws: Aws, secret: str, function: str, rules: dict) -> None:
    # The emulator's CloudFormation knows no RotationSchedule. This one says when, and rotates nothing now.
    vault = aws.client("secretsmanager")
    arn = aws.client("lambda").get_function_configuration(FunctionName=function)["FunctionArn"]
    wanted = {"RotationLambdaARN": arn, "RotationRules": rules}
    if not wanted.items() <= vault.describe_secret(SecretId=secret).items():
        vault.rotate_secret(SecretId=secret, RotateImmediately=False, **wanted)


def verify(aws: Aws, sender: str) -> None:
    """Makes the sender of email an identity that may send, as its owner would have by now."""
    aws.client("ses").verify_email_identity(EmailAddress=sender)


def tidy(aws: Aws, uris: dict[str, str]) -> None:
    """Removes the code of earlier builds, which kept data would otherwise collect."""
    s3 = aws.client("s3")
    keep = {uri.removeprefix(f"s3://{BUCKET}/") for uri in uris.values()} | {"template.json"}
    for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        if entry["Key"] not in keep:
            s3.delete_object(Bucket=BUCKET, Key=entry["Key"])


def outputs(aws: Aws, stack: str) -> dict[str, str]:
    """The outputs of the stack."""
    [found] = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def environment(aws: Aws, resources: dict[str, str], functions: list[str]) -> dict[str, str]:
    """All variables that the template sets for the functions, as CloudFormation resolved them."""
    variables = {}
    for name in functions:
        configuration = aws.client("lambda").get_function_configuration(FunctionName=resources[name])
        variables |= configuration.get("Environment", {}).get("Variables", {})
    return variables
