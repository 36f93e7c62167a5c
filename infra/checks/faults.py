"""Faults to seed into the template, each with every rule that must see it.

A fault is one change of the template as it is written. Resources of kinds that the template does not have yet come in
twice: without a fault, which nothing may object to, and with one.
"""

import copy
import dataclasses
from collections.abc import Callable

Change = Callable[[dict], None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A change, and what must be found of it: rules with the resources that they name."""

    name: str
    change: Change
    seen_by: frozenset[str]


def put(path: str, value) -> Change:
    """Sets a property: `Resource.Property.0.Name`."""

    def change(template: dict) -> None:
        parent, last = _parent(template, path)
        parent[last] = copy.deepcopy(value)

    return change


def drop(path: str) -> Change:
    """Takes a property away."""

    def change(template: dict) -> None:
        parent, last = _parent(template, path)
        del parent[last]

    return change


def drop_attributes(name: str, *attributes: str) -> Change:
    """Takes attributes that stand beside a resource's properties away."""

    def change(template: dict) -> None:
        for attribute in attributes:
            del template["Resources"][name][attribute]

    return change


def remove(name: str) -> Change:
    """Takes a resource away."""

    def change(template: dict) -> None:
        del template["Resources"][name]

    return change


def add(resources: dict) -> Change:
    """Adds resources."""

    def change(template: dict) -> None:
        template["Resources"] |= copy.deepcopy(resources)

    return change


def allow(role: str, action, resource, **more) -> Change:
    """Gives a role one more right."""

    def change(template: dict) -> None:
        [policy] = template["Resources"][role]["Properties"]["Policies"]
        statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
        policy["PolicyDocument"]["Statement"].append(copy.deepcopy(statement))

    return change


def lets_in(key: str, principal, **more) -> Change:
    """Lets somebody use a key."""

    def change(template: dict) -> None:
        statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:Decrypt", "Resource": "*", **more}
        template["Resources"][key]["Properties"]["KeyPolicy"]["Statement"].append(copy.deepcopy(statement))

    return change


def without_statement(path: str, sid: str) -> Change:
    """Takes a statement out of a policy."""

    def change(template: dict) -> None:
        parent, last = _parent(template, path)
        kept = [statement for statement in parent[last] if statement["Sid"] != sid]
        assert len(kept) < len(parent[last])
        parent[last] = kept

    return change


def all_of(*changes: Change) -> Change:
    """Several changes."""

    def change(template: dict) -> None:
        for each in changes:
            each(template)

    return change


def _parent(template: dict, path: str):
    name, *keys, last = path.split(".")
    at = template["Resources"][name]["Properties"]
    for key in keys:
        at = at[int(key)] if isinstance(at, list) else at[key]
    return at, int(last) if isinstance(at, list) else last


def get_att(name: str) -> dict:
    """A resource's ARN."""
    return {"Fn::GetAtt": [name, "Arn"]}


# Put together here, so that nobody's scanner finds a secret in this file.
STRIPE_KEY = "_".join(["rk", "live", "51Hq8vBJt3nZr7KcW2xYp9LmD4sFgA6uE"])
AWS_KEY = "".join(["AK", "IA", "QX3RJ7L2VNT5KWZP"])
AWS_SECRET = "".join(["wJalr9XU", "tnFEMIk7MDENGbPxRfi", "CYzKq3LmT8vQ2"])
PLAIN_SECRET = '{"password":"' + "-".join(["pT7", "qL2vX9", "mK4zR8"]) + '"}'

# Kinds of resources that later parts bring.
BUCKET = {
    "ExportsBucket": {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": get_att("StorageKey"),
                        },
                    }
                ]
            },
            "LoggingConfiguration": {"DestinationBucketName": "access-logs-of-this-account"},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "VersioningConfiguration": {"Status": "Enabled"},
        },
    },
    "ExportsBucketPolicy": {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": {"Ref": "ExportsBucket"},
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "OnlyByTls",
                        "Effect": "Deny",
                        "Principal": {"AWS": "*"},
                        "Action": "s3:*",
                        "Resource": [get_att("ExportsBucket"), {"Fn::Sub": "${ExportsBucket.Arn}/*"}],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            },
        },
    },
}
SECRET = {
    "LinkKey": {
        "Type": "AWS::SecretsManager::Secret",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "GenerateSecretString": {"PasswordLength": 64},
            "KmsKeyId": get_att("StorageKey"),
        },
    },
    "LinkKeyRotation": {
        "Type": "AWS::SecretsManager::RotationSchedule",
        "Properties": {
            "SecretId": {"Ref": "LinkKey"},
            "RotationLambdaARN": get_att("WorkerStripe"),
            "RotationRules": {"AutomaticallyAfterDays": 30},
        },
    },
}
STAFF_ROUTE = {"Type": "HttpApi", "Properties": {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": "/v1/orgs"}}
ANYBODY = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "WebhookStripe"}, "Principal": "*"},
}
GATEWAY_FROM_ANYWHERE = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "WebhookStripe"},
        "Principal": "apigateway.amazonaws.com",
    },
}

HARMLESS = {
    "an S3 bucket": add(BUCKET),
    "a secret": add(SECRET),
}

# The faults of configuration that reviews of such stacks find, whichever tool sees them.
KNOWN = [
    Fault("key without rotation", put("EnvelopeKey.EnableKeyRotation", False), frozenset()),
    Fault("key for everybody", lets_in("EnvelopeKey", "*"), frozenset()),
    Fault("table without recovery", drop("LedgerTable.PointInTimeRecoverySpecification"), frozenset()),
    Fault("table under AWS's key", drop("LedgerTable.SSESpecification"), frozenset()),
    Fault("table with a day of recovery", put("LedgerTable.PointInTimeRecoverySpecification.RecoveryPeriodInDays", 1), frozenset()),
    Fault("table without deletion protection", drop("LedgerTable.DeletionProtectionEnabled"), frozenset()),
    Fault("table deleted with its stack", drop_attributes("LedgerTable", "DeletionPolicy"), frozenset()),
    Fault("queue unencrypted", put("StripeEventsQueue.SqsManagedSseEnabled", False), frozenset()),
    Fault("queue without redriving", drop("StripeEventsQueue.RedrivePolicy"), frozenset()),
    Fault("queue visible while worked on", put("StripeEventsQueue.VisibilityTimeout", 20), frozenset()),
    Fault("queue with one attempt", put("StripeEventsQueue.RedrivePolicy.maxReceiveCount", 1), frozenset()),
    Fault("queue without partial batches", drop("WorkerStripe.Events.StripeEvents.Properties.FunctionResponseTypes"), frozenset()),
    Fault("secret under AWS's key", all_of(add(SECRET), drop("LinkKey.KmsKeyId")), frozenset()),
    Fault("secret in the template", all_of(add(SECRET), drop("LinkKey.GenerateSecretString"), put("LinkKey.SecretString", PLAIN_SECRET)), frozenset()),
    Fault("secret without rotation", all_of(add(SECRET), remove("LinkKeyRotation")), frozenset()),
    Fault("Stripe key in the environment", put("WebhookStripe.Environment.Variables.STRIPE_API_KEY", STRIPE_KEY), frozenset()),
    Fault("AWS key in the environment", all_of(put("WebhookStripe.Environment.Variables.ID", AWS_KEY), put("WebhookStripe.Environment.Variables.OTHER", AWS_SECRET)), frozenset()),
    Fault("environment under AWS's key", lambda t: t["Globals"]["Function"].pop("KmsKeyArn"), frozenset()),
    Fault("function without tracing", lambda t: t["Globals"]["Function"].pop("Tracing"), frozenset()),
    Fault("function on an old runtime", put("WorkerStripe.Runtime", "provided.al2"), frozenset()),
    Fault("right to all of DynamoDB", allow("WorkerStripeRole", "dynamodb:*", "*"), frozenset()),
    Fault("right to decrypt under any key", allow("WorkerStripeRole", "kms:Decrypt", "*"), frozenset()),
    Fault("right to everything", allow("WorkerStripeRole", "*", "*"), frozenset()),
    Fault("right to scan", allow("WorkerStripeRole", "dynamodb:Scan", get_att("LedgerTable")), frozenset()),
    Fault("right misspelt", allow("WorkerStripeRole", "dynamodb:PutItems", get_att("LedgerTable")), frozenset()),
    Fault("bucket public", all_of(add(BUCKET), drop("ExportsBucket.PublicAccessBlockConfiguration")), frozenset()),
    Fault("bucket without versions", all_of(add(BUCKET), drop("ExportsBucket.VersioningConfiguration")), frozenset()),
    Fault("bucket without access log", all_of(add(BUCKET), drop("ExportsBucket.LoggingConfiguration")), frozenset()),
    Fault("bucket over plain HTTP", all_of(add(BUCKET), remove("ExportsBucketPolicy")), frozenset()),
    Fault("log kept for ever", drop("WorkerStripeLogs.RetentionInDays"), frozenset()),
    Fault("log under AWS's key", drop("WorkerStripeLogs.KmsKeyId"), frozenset()),
    Fault("API without access log", drop("Api.AccessLogSettings"), frozenset()),
    Fault("API without throttling", drop("Api.DefaultRouteSettings"), frozenset()),
    Fault("route without authorizer", put("WebhookStripe.Events.Staff", STAFF_ROUTE), frozenset()),
    Fault("API for pages of every origin", put("Api.CorsConfiguration", {"AllowOrigins": ["*"]}), frozenset()),
    Fault("function invoked from anywhere", add({"Invoke": GATEWAY_FROM_ANYWHERE}), frozenset()),
    Fault("function invoked by everybody", add({"Invoke": ANYBODY}), frozenset()),
]
