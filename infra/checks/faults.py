"""Faults to seed into the template, each with the rules that see it.

A fault is one change of the template as it is written. Resources of kinds that the template does not have yet come in
twice: without a fault, which nothing may object to, and with one.
"""

import copy
import dataclasses
import json
from collections.abc import Callable

from suppressions import FUNCTIONS

Change = Callable[[dict], None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A change, and what must be found of it: rules with the resources that they name."""

    name: str
    change: Change
    seen_by: set[str]


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


def attribute(name: str, attribute_name: str, value) -> Change:
    """Sets an attribute that stands beside a resource's properties."""

    def change(template: dict) -> None:
        template["Resources"][name][attribute_name] = value

    return change


def parameter(name: str, default: str) -> Change:
    """Adds a parameter."""

    def change(template: dict) -> None:
        template["Parameters"][name] = {"Type": "String", "Default": default}

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


def logging_only(*variables: str) -> Change:
    """Makes the access log hold some variables."""
    fields = {variable: f"$context.{variable}" for variable in variables}
    return put("Api.AccessLogSettings.Format", json.dumps(fields))


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


def arn(name: str) -> dict:
    """A resource's ARN."""
    return {"Fn::GetAtt": [name, "Arn"]}


# Put together here, so that nobody's scanner finds a secret in this file.
STRIPE_KEY = "_".join(["rk", "live", "51Hq8vBJt3nZr7KcW2xYp9LmD4sFgA6uE"])
AWS_KEY = "".join(["AK", "IA", "QX3RJ7L2VNT5KWZP"])

# Kinds of resources that later parts bring.
BUCKET = {
    "SampleBucket": {
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
                            "KMSMasterKeyID": arn("StorageKey"),
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
    "SampleBucketPolicy": {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": {"Ref": "SampleBucket"},
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "OnlyByTls",
                        "Effect": "Deny",
                        "Principal": {"AWS": "*"},
                        "Action": "s3:*",
                        "Resource": [arn("SampleBucket"), {"Fn::Sub": "${SampleBucket.Arn}/*"}],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            },
        },
    },
}
OPEN = {"Authorizer": "NONE"}
STAFF_ROUTE = {
    "Type": "HttpApi",
    "Properties": {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": "/v1/unheard-of", "Auth": OPEN},
}
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
}

STAGE = "ApiApiGatewayDefaultStage"
POLICY = "Policies.0.PolicyDocument.Statement"

# What goes wrong in stacks like this one, and every rule, whosever it is, that sees it.
FAULTS = [
    Fault("key without rotation", put("EnvelopeKey.EnableKeyRotation", False), {"CKV_AWS_7 EnvelopeKey"}),
    Fault("key for everybody", lets_in("EnvelopeKey", "*"), {"CKV_AWS_33 EnvelopeKey", "key-users EnvelopeKey"}),
    Fault("table without recovery", drop("LedgerTable.PointInTimeRecoverySpecification"),
          {"CKV_AWS_28 LedgerTable", "table-recoverable LedgerTable"}),
    Fault("table with a day of recovery", put("LedgerTable.PointInTimeRecoverySpecification.RecoveryPeriodInDays", 1),
          {"table-recoverable LedgerTable"}),
    Fault("table under AWS's key", drop("LedgerTable.SSESpecification"),
          {"CKV_AWS_119 LedgerTable", "encrypted LedgerTable"}),
    Fault("table without deletion protection", drop("LedgerTable.DeletionProtectionEnabled"),
          {"table-deletion-protected LedgerTable"}),
    Fault("table deleted with its stack", drop_attributes("LedgerTable", "DeletionPolicy"),
          {"I3011 LedgerTable", "W3011 LedgerTable", "retained LedgerTable"}),
    Fault("queue unencrypted", put("StripeEventsQueue.SqsManagedSseEnabled", False), {"encrypted StripeEventsQueue"}),
    Fault("queue without redriving", drop("StripeEventsQueue.RedrivePolicy"),
          {"ES6000 StripeEventsQueue", "queue-redrive StripeEventsQueue", "queue-redrive StripeEventsDeadLetterQueue"}),
    Fault("queue with one attempt", put("StripeEventsQueue.RedrivePolicy.maxReceiveCount", 1),
          {"queue-redrive StripeEventsQueue"}),
    Fault("queue that shows what is worked on", put("StripeEventsQueue.VisibilityTimeout", 20),
          {"E3505 StripeEventsQueue", "queue-visibility StripeEventsQueue"}),
    Fault("queue without partial batches", drop("WorkerStripe.Events.StripeEvents.Properties.FunctionResponseTypes"),
          {"queue-consumer WorkerStripeStripeEvents"}),
    Fault("secret under AWS's key", drop("LinkKeys.KmsKeyId"), {"CKV_AWS_149 LinkKeys", "encrypted LinkKeys"}),
    Fault("secret in the template",
          all_of(drop("LinkKeys.GenerateSecretString"), put("LinkKeys.SecretString", STRIPE_KEY)),
          {"CKV_SECRET_17 LinkKeys", "CKV_SECRET_6 LinkKeys", "no-secret-written LinkKeys", "secret-generated LinkKeys"}),
    Fault("secret without rotation", remove("LinkKeysRotation"), {"secret-rotated LinkKeys"}),
    Fault("Stripe key in the environment", put("WebhookStripe.Environment.Variables.STRIPE_API_KEY", STRIPE_KEY),
          {"CKV_SECRET_17 WebhookStripe", "CKV_SECRET_6 WebhookStripe", "no-secret-in-environment WebhookStripe",
           "no-secret-written WebhookStripe"}),
    Fault("AWS key in the environment", put("WebhookStripe.Environment.Variables.AWS_ID", AWS_KEY),
          {"CKV_AWS_45 WebhookStripe", "CKV_SECRET_2 WebhookStripe", "no-secret-written WebhookStripe"}),
    Fault("environment under AWS's key", lambda template: template["Globals"]["Function"].pop("KmsKeyArn"),
          {f"encrypted {function}" for function in FUNCTIONS}
          # checkov looks only where there are variables.
          | {f"CKV_AWS_173 {function}" for function in FUNCTIONS if function != "PagesDocs"}),
    Fault("function without tracing", lambda template: template["Globals"]["Function"].pop("Tracing"),
          {f"WS1000 {function}" for function in FUNCTIONS}),
    Fault("function on an old runtime", put("WorkerStripe.Runtime", "provided"),
          {"CKV_AWS_363 WorkerStripe", "E2531 WorkerStripe"}),
    Fault("right to all of DynamoDB", allow("WorkerStripeRole", "dynamodb:*", "*"),
          {"CKV_AWS_109 WorkerStripeRole", "CKV_AWS_111 WorkerStripeRole", "WS1003 WorkerStripeRole",
           "rights-exact-actions WorkerStripeRole", "rights-exact-resources WorkerStripeRole"}),
    Fault("right to decrypt under any key", allow("WorkerStripeRole", "kms:Decrypt", "*"),
          {"CKV_AWS_111 WorkerStripeRole", "rights-exact-resources WorkerStripeRole",
           "rights-key-condition WorkerStripeRole"}),
    Fault("right to everything", allow("WorkerStripeRole", "*", "*"),
          {"CKV_AWS_62 WorkerStripeRole", "CKV_AWS_107 WorkerStripeRole", "CKV_AWS_108 WorkerStripeRole",
           "CKV_AWS_109 WorkerStripeRole", "CKV_AWS_110 WorkerStripeRole", "CKV_AWS_111 WorkerStripeRole",
           "WS1003 WorkerStripeRole", "rights-exact-actions WorkerStripeRole",
           "rights-exact-resources WorkerStripeRole"}),
    Fault("right to scan", allow("WorkerStripeRole", "dynamodb:Scan", arn("LedgerTable")),
          {"rights-no-scan WorkerStripeRole"}),
    Fault("right misspelt", allow("WorkerStripeRole", "dynamodb:PutItems", arn("LedgerTable")),
          {"W3037 WorkerStripeRole"}),
    Fault("directory deleted with its stack", drop_attributes("UserPool", "DeletionPolicy"),
          {"I3011 UserPool", "W3011 UserPool", "retained UserPool"}),
    Fault("bucket public", all_of(add(BUCKET), drop("SampleBucket.PublicAccessBlockConfiguration")),
          {"CKV_AWS_53 SampleBucket", "CKV_AWS_54 SampleBucket", "CKV_AWS_55 SampleBucket",
           "CKV_AWS_56 SampleBucket"}),
    Fault("bucket without versions", all_of(add(BUCKET), drop("SampleBucket.VersioningConfiguration")),
          {"CKV_AWS_21 SampleBucket"}),
    Fault("bucket without access log", all_of(add(BUCKET), drop("SampleBucket.LoggingConfiguration")),
          {"CKV_AWS_18 SampleBucket"}),
    Fault("bucket over plain HTTP", all_of(add(BUCKET), remove("SampleBucketPolicy")),
          {"bucket-tls-only SampleBucket"}),
    Fault("log kept for ever", drop("WorkerStripeLogs.RetentionInDays"),
          {"CKV_AWS_66 WorkerStripeLogs", "function-logs WorkerStripeLogs"}),
    Fault("log under AWS's key", drop("WorkerStripeLogs.KmsKeyId"),
          {"CKV_AWS_158 WorkerStripeLogs", "encrypted WorkerStripeLogs"}),
    Fault("API without access log", drop("Api.AccessLogSettings"),
          {f"CKV_AWS_95 {STAGE}", f"ES2000 {STAGE}", f"access-log {STAGE}"}),
    Fault("API without throttling", drop("Api.DefaultRouteSettings"), {f"ES2003 {STAGE}"}),
    Fault("route without authorizer", put("WebhookStripe.Events.Staff", STAFF_ROUTE), {"route-authorised Api"}),
    Fault("API for pages of every origin", put("Api.CorsConfiguration", {"AllowOrigins": ["*"]}), {"cors-origins Api"}),
    Fault("function invoked from anywhere", add({"Invoke": GATEWAY_FROM_ANYWHERE}),
          {"CKV_AWS_364 Invoke", "invoke-permission Invoke"}),
    Fault("function invoked by everybody", add({"Invoke": ANYBODY}),
          {"WS1002 WebhookStripe", "invoke-permission Invoke"}),
]

# Further faults that only our own rules are asked about.
OWN_FAULTS = [
    Fault("key replaced", drop_attributes("EnvelopeKey", "UpdateReplacePolicy"), {"retained EnvelopeKey"}),
    Fault("queue deleted", attribute("StripeEventsQueue", "DeletionPolicy", "Delete"), {"retained StripeEventsQueue"}),
    Fault("table gone after a failed start", attribute("AuditTable", "DeletionPolicy", "RetainExceptOnCreate"),
          {"retained AuditTable"}),
    Fault("alarms in the clear", drop("AlarmTopic.KmsMasterKeyId"), {"encrypted AlarmTopic"}),
    Fault("table under another's key", put("LedgerTable.SSESpecification.KMSMasterKeyId", "alias/aws/dynamodb"),
          {"encrypted LedgerTable"}),
    Fault("bucket under AWS's key", all_of(add(BUCKET), drop("SampleBucket.BucketEncryption")),
          {"encrypted SampleBucket"}),
    Fault("objects over plain HTTP",
          all_of(add(BUCKET), put("SampleBucketPolicy.PolicyDocument.Statement.0.Resource", arn("SampleBucket"))),
          {"bucket-tls-only SampleBucket"}),
    Fault("bucket with access lists", all_of(add(BUCKET), drop("SampleBucket.OwnershipControls")),
          {"bucket-owner-enforced SampleBucket"}),
    Fault("seals of any kind", drop("JobAuditSealRole.Policies.0.PolicyDocument.Statement.5.Condition"), {"rights-key-condition JobAuditSealRole"}),
    Fault("checkpoints that their function may delete",
          put("JobAuditSealRole.Policies.0.PolicyDocument.Statement.3.Action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
          {"checkpoints-locked CheckpointsBucket"}),
    Fault("checkpoints that can be deleted", drop("CheckpointsBucket.ObjectLockConfiguration"), {"checkpoints-locked CheckpointsBucket"}),
    Fault("checkpoints that the account's root can delete", put("CheckpointsBucket.ObjectLockConfiguration.Rule.DefaultRetention.Mode", "GOVERNANCE"),
          {"checkpoints-locked CheckpointsBucket"}),
    Fault("key gone in a week", put("EnvelopeKey.PendingWindowInDays", 7), {"key-kept EnvelopeKey"}),
    Fault("key to delete", without_statement("StorageKey.KeyPolicy.Statement", "NeverDeleted"),
          {"key-kept StorageKey"}),
    Fault("key for another account", lets_in("StorageKey", {"AWS": "arn:aws:iam::123456789012:root"}),
          {"key-users StorageKey"}),
    Fault("key for a service on anybody's behalf", lets_in("StorageKey", {"Service": "cloudwatch.amazonaws.com"}),
          {"key-users StorageKey"}),
    Fault("key for no organisation", without_statement("EnvelopeKey.KeyPolicy.Statement", "OnlyUnderAnOrganisation"),
          {"envelope-key-context EnvelopeKey"}),
    Fault("data keys for no organisation",
          put("EnvelopeKey.KeyPolicy.Statement.1.Action", ["kms:Decrypt", "kms:Encrypt"]),
          {"envelope-key-context EnvelopeKey"}),
    Fault("secret deleted with its stack", attribute("LinkKeys", "DeletionPolicy", "Delete"), {"retained LinkKeys"}),
    Fault("rotation that nobody may do", remove("JobLinkKeyRotationPermission"), {"rotation-permitted LinkKeysRotation"}),
    Fault("rotation before its permission", drop_attributes("LinkKeysRotation", "DependsOn"),
          {"rotation-permitted LinkKeysRotation"}),
    Fault("rotation by a function that may rotate another secret",
          put("JobLinkKeyRotationPermission.SourceArn", {"Ref": "AlarmTopic"}), {"rotation-permitted LinkKeysRotation"}),
    Fault("rotation by anybody's Secrets Manager", drop("JobLinkKeyRotationPermission.SourceArn"),
          {"invoke-permission JobLinkKeyRotationPermission", "rotation-permitted LinkKeysRotation"}),
    Fault("schedule that may run another function",
          put("JobDataSourcesScheduleRole.Policies.0.PolicyDocument.Statement.0.Resource", arn("WorkerErp")),
          {"schedule-runs JobDataSourcesSchedule"}),
    Fault("schedule that tries all day", drop("JobDataSourcesSchedule.Target.RetryPolicy"), {"schedule-runs JobDataSourcesSchedule"}),
    Fault("schedule of anybody's", drop("JobDataSourcesScheduleRole.AssumeRolePolicyDocument.Statement.0.Condition"),
          {"role-trust JobDataSourcesScheduleRole"}),
    Fault("schedule that nobody misses", remove("JobDataSourcesSilent"), {"schedule-watched JobDataSourcesSchedule"}),
    Fault("schedule whose silence is below no bound", put("JobDataSourcesSilent.Threshold", 0), {"schedule-watched JobDataSourcesSchedule"}),
    Fault("silence that does not ring", put("JobDataSourcesSilent.TreatMissingData", "notBreaching"),
          {"alarm-told JobDataSourcesSilent"}),
    Fault("secret as a default", parameter("Token", STRIPE_KEY), {"no-secret-written Token"}),
    Fault("password in the environment", put("WorkerStripe.Environment.Variables.DB_PASSWORD", {"Ref": "AlarmEmail"}),
          {"no-secret-in-environment WorkerStripe"}),
    Fault("secret resolved into the environment",
          put("WorkerStripe.Environment.Variables.DB", {"Fn::Sub": "{{resolve:secretsmanager:${AWS::StackName}}}"}),
          {"no-secret-in-environment WorkerStripe"}),
    Fault("role shared", put("WorkerStripe.Role", arn("WebhookStripeRole")), {"role-own WorkerStripe"}),
    Fault("role from elsewhere", put("WorkerStripe.Role", "arn:aws:iam::123456789012:role/worker"),
          {"role-own WorkerStripe"}),
    Fault("role for an account too",
          put("WorkerStripeRole.AssumeRolePolicyDocument.Statement.0.Principal", {"AWS": "123456789012"}),
          {"role-trust WorkerStripeRole"}),
    Fault("managed policy",
          put("WorkerStripeRole.ManagedPolicyArns", ["arn:aws:iam::aws:policy/AWSLambdaExecute"]),
          {"rights-inline WorkerStripeRole"}),
    Fault("policy elsewhere", add({"More": {"Type": "AWS::IAM::RolePolicy", "Properties": {}}}),
          {"rights-inline More"}),
    Fault("right to all reads", allow("WorkerStripeRole", "dynamodb:Get*", arn("LedgerTable")),
          {"rights-exact-actions WorkerStripeRole"}),
    Fault("right to all but one", put(f"WorkerStripeRole.{POLICY}.2", {
        "Effect": "Allow", "NotAction": "dynamodb:Scan", "Resource": arn("LedgerTable")}),
          {"rights-exact-actions WorkerStripeRole"}),
    Fault("right to another stack's table",
          allow("WorkerStripeRole", "dynamodb:PutItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/other"),
          {"rights-exact-resources WorkerStripeRole"}),
    Fault("right to every stack's secrets", put(f"WebhookStripeRole.{POLICY}.1.Resource", {
        "Fn::Sub": "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:plixo/*"}),
          {"rights-exact-resources WebhookStripeRole"}),
    Fault("right to whatever a Ref gives", allow("WorkerStripeRole", "sns:Publish", {"Ref": "AlarmTopic"}),
          {"rights-exact-resources WorkerStripeRole"}),
    Fault("right to all tables but one", put(f"WorkerStripeRole.{POLICY}.2", {
        "Effect": "Allow", "Action": "dynamodb:PutItem", "NotResource": arn("LedgerTable")}),
          {"rights-exact-resources WorkerStripeRole"}),
    Fault("right to write email in anybody's name",
          allow("ApiOrganisationsRole", "ses:SendEmail", {
              "Fn::Sub": "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*"}),
          {"rights-exact-resources ApiOrganisationsRole"}),
    Fault("right to scan by PartiQL", allow("WorkerStripeRole", "dynamodb:PartiQLSelect", arn("LedgerTable")),
          {"rights-no-scan WorkerStripeRole"}),
    Fault("right to erase audit events", allow("WorkerStripeRole", "dynamodb:DeleteItem", arn("AuditTable")),
          {"rights-audit-append-only WorkerStripeRole"}),
    Fault("right to change audit events", put(f"WorkerStripeRole.{POLICY}.2.Action", ["dynamodb:UpdateItem"]),
          {"rights-audit-append-only WorkerStripeRole"}),
    Fault("right to change audit events that are due", allow("JobRetentionRole", "dynamodb:UpdateItem", arn("AuditTable")),
          {"rights-audit-append-only JobRetentionRole"}),
    Fault("right to erase audit events in bulk",
          allow("WorkerStripeRole", "dynamodb:BatchWriteItem", [arn("LedgerTable"), arn("AuditTable")]),
          {"rights-audit-append-only WorkerStripeRole"}),
    Fault("right to open any data key", allow("WorkerStripeRole", "kms:Decrypt", arn("EnvelopeKey")),
          {"rights-key-condition WorkerStripeRole"}),
    Fault("right to open data keys of no organisation",
          allow("WorkerStripeRole", "kms:Decrypt", arn("EnvelopeKey"),
                Condition={"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["org"]}}),
          {"rights-key-condition WorkerStripeRole"}),
    Fault("right to decrypt what is at rest", allow("WebhookStripeRole", "kms:Decrypt", arn("StorageKey")),
          {"rights-key-condition WebhookStripeRole"}),
    Fault("function with a URL", add({"Url": {"Type": "AWS::Lambda::Url", "Properties": {}}}),
          {"invoke-permission Url"}),
    Fault("alarms by everybody", put("AlarmTopicPolicy.PolicyDocument.Statement.0.Principal", "*"),
          {"policy-principal AlarmTopicPolicy"}),
    Fault("alarms by anybody's CloudWatch", drop("AlarmTopicPolicy.PolicyDocument.Statement.0.Condition"),
          {"policy-principal AlarmTopicPolicy"}),
    Fault("log as text", lambda template: template["Globals"]["Function"]["LoggingConfig"].update(LogFormat="Text"),
          {f"function-logs {function}" for function in FUNCTIONS}),
    Fault("log wherever", drop("WorkerStripe.LoggingConfig"), {"function-logs WorkerStripe"}),
    Fault("log shared", put("WorkerStripe.LoggingConfig.LogGroup", {"Ref": "WebhookStripeLogs"}),
          {"function-logs WorkerStripe"}),
    Fault("access log kept a month", put("ApiLogs.RetentionInDays", 30), {"function-logs ApiLogs"}),
    Fault("logs kept a month if somebody says so",
          lambda template: template["Parameters"]["LogRetentionDays"]["AllowedValues"].append(30),
          {f"function-logs {log}" for log in ("ApiLogs", *(f"{function}Logs" for function in FUNCTIONS))}),
    Fault("dead letters for four days", put("StripeEventsDeadLetterQueue.MessageRetentionPeriod", 345600),
          {"dead-letter-queue StripeEventsDeadLetterQueue"}),
    Fault("dead letters of anybody", drop("StripeEventsDeadLetterQueue.RedriveAllowPolicy"),
          {"dead-letter-queue StripeEventsDeadLetterQueue"}),
    Fault("dead letters that are old on arrival", put("StripeEventsQueue.MessageRetentionPeriod", 1209600),
          {"dead-letter-queue StripeEventsQueue"}),
    Fault("visibility below six time-outs", put("WorkerStripe.Timeout", 31), {"queue-visibility StripeEventsQueue"}),
    Fault("worker without bound", drop("WorkerStripe.Events.StripeEvents.Properties.ScalingConfig"),
          {"queue-consumer WorkerStripeStripeEvents"}),
    Fault("public route that moved", put("WebhookStripe.Events.Delivery.Properties.Path", "/webhooks/{endpoint}"),
          {"route-authorised Api", "route-authorised PUBLIC_ROUTES"}),
    Fault("route beside SAM", add({"Route": {
        "Type": "AWS::ApiGatewayV2::Route", "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": "GET /v1/orgs"}}}),
          {"route-authorised Api"}),
    Fault("access log as text", put("Api.AccessLogSettings.Format", "$context.requestId"), {f"access-log {STAGE}"}),
    Fault("access log without address", logging_only("requestId", "routeKey", "status"), {f"access-log {STAGE}"}),
    Fault("access log with tokens", logging_only("requestId", "identity.sourceIp", "routeKey", "status", "path"),
          {f"access-log {STAGE}"}),
    Fault("alarm for nobody", drop("ApiServerErrors.AlarmActions"), {"alarm-told ApiServerErrors"}),
    Fault("alarm that says nothing", drop("ApiServerErrors.AlarmDescription"), {"alarm-told ApiServerErrors"}),
    Fault("alarm at every quiet hour", put("ApiServerErrors.TreatMissingData", "breaching"),
          {"alarm-told ApiServerErrors"}),
    Fault("function unwatched", remove("WorkerStripeErrors"), {"function-watched WorkerStripe"}),
    Fault("signatures unwatched", remove("WebhookStripeSignatureFailures"), {"function-watched WebhookStripe"}),
    Fault("metric misspelt", put("WorkerStripeFailedEvents.MetricName", "error"), {"function-watched WorkerStripe"}),
    Fault("queue unwatched", remove("StripeEventsQueueAge"), {"queue-watched StripeEventsQueue"}),
    Fault("stream unwatched", remove("WorkerTotalsBehind"), {"stream-watched WorkerTotalsLedgerChanges"}),
    Fault("one bad change for all", drop("WorkerTotals.Events.LedgerChanges.Properties.BisectBatchOnFunctionError"),
          {"stream-consumer WorkerTotalsLedgerChanges"}),
    Fault("dead letters unwatched", remove("StripeEventsDeadLetters"), {"queue-watched StripeEventsDeadLetterQueue"}),
    Fault("five dead letters unheard", put("StripeEventsDeadLetters.Threshold", 5),
          {"queue-watched StripeEventsDeadLetters"}),
    Fault("API unwatched", remove("ApiServerErrors"), {"api-watched Api"}),
    Fault("everybody signs up", put("UserPool.AdminCreateUserConfig.AllowAdminCreateUserOnly", False),
          {"people-let-in UserPool"}),
    Fault("accounts recovered by email",
          put("UserPool.AccountRecoverySetting.RecoveryMechanisms", [{"Name": "verified_email", "Priority": 1}]),
          {"people-let-in UserPool"}),
    Fault("directory without deletion protection", drop("UserPool.DeletionProtection"), {"people-let-in UserPool"}),
    Fault("people named as they like", drop("UserPool.UsernameAttributes"), {"people-named UserPool"}),
    Fault("emails that differ in case", drop("UserPool.UsernameConfiguration"), {"people-named UserPool"}),
    Fault("passwords of 8 characters", put("UserPool.Policies.PasswordPolicy.MinimumLength", 8),
          {"passwords UserPool"}),
    Fault("passwords with symbols", drop("UserPool.Policies.PasswordPolicy.RequireSymbols"), {"passwords UserPool"}),
    Fault("no second factor", drop("UserPool.MfaConfiguration"), {"second-factor UserPool"}),
    Fault("codes by SMS", put("UserPool.EnabledMfas", ["SOFTWARE_TOKEN_MFA", "SMS_MFA"]), {"second-factor UserPool"}),
    Fault("client that tells who has an account", drop("UserPoolClient.PreventUserExistenceErrors"),
          {"sign-in-flows UserPoolClient"}),
    Fault("sign-in by anybody",
          put("UserPoolClient.ExplicitAuthFlows", ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]),
          {"sign-in-flows UserPoolClient"}),
    Fault("sign-in by every flow", drop("UserPoolClient.ExplicitAuthFlows"), {"sign-in-flows UserPoolClient"}),
    Fault("sign-in by OAuth", put("UserPoolClient.AllowedOAuthFlowsUserPoolClient", True),
          {"sign-in-flows UserPoolClient"}),
    Fault("tokens that stay", drop("UserPoolClient.EnableTokenRevocation"), {"tokens-end UserPoolClient"}),
    Fault("tokens for a day", put("UserPoolClient.AccessTokenValidity", 24), {"tokens-end UserPoolClient"}),
    Fault("tokens for days", put("UserPoolClient.TokenValidityUnits.RefreshToken", "days"),
          {"tokens-end UserPoolClient"}),
    Fault("hashes of any kind", allow("ApiAuthRole", "kms:GenerateMac", arn("HashKey")),
          {"rights-key-condition ApiAuthRole"}),
    Fault("table of another kind", add({"Ledger": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": {}}}),
          {"known-kind Ledger"}),
]
