"""Our own rules: what a template of Plixo's must hold and the stock tools do not see.

Each rule is a function that takes the expanded template and yields what it objects to: a resource, and what is wrong
with it. What a rule does not understand, it objects to.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator

from stock import Finding

RECOVERY_DAYS = 35
LOG_DAYS = 365
DEAD_LETTER_SECONDS = 14 * 24 * 3600
ATTEMPTS = 5
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_PER_TIMEOUT = 6

# Routes without an authorizer, and what stands in for one.
PUBLIC_ROUTES = {
    "POST /webhooks/erp/{endpoint}": "an ERP's signature over the body, or the secret in it",
    "POST /webhooks/stripe/{endpoint}": "Stripe's signature over the body",
    "POST /v1/auth/sign-in": "email and password; wrong tries slow the next one down",
    "POST /v1/auth/sign-in/challenge": "the challenge's session and a code; wrong tries slow the next one down",
    "POST /v1/auth/refresh": "the refresh token",
    "GET /openapi.json": "it is for everybody",
    "GET /docs/api": "it is for everybody",
    "$default": "there is nothing",
    "GET /sign-in": "a page for everybody",
    "POST /sign-in": "email and password, in a form of ours; wrong tries slow the next one down",
    "GET /sign-in/code": "a page for everybody",
    "POST /sign-in/code": "the challenge's session and a code, in a form of ours; wrong tries slow the next one down",
    "GET /sign-in/refresh": "the refresh token, in a cookie",
    "POST /sign-in/refresh": "the refresh token, in a cookie that comes with a form of ours",
    "GET /": "it leads to the organisations",
    "GET /assets/{file}": "style and icon, for everybody",
    "GET /p/session/checkout": "it leads back to the page",
    "GET /p/session/fresh-link": "it leads back to the page",
    "GET /p/{token}/fresh-link": "it leads back to the page",
    "GET /logos/{org}/{file}": "sellers' logos, for everybody who knows their hash",
    "GET /p/session": "a payer's session, in a cookie: a token of ours",
    "POST /p/session/checkout": "a payer's session, in a cookie: a token of ours",
    "POST /p/session/fresh-link": "a payer's session, also one that is over; what comes of it goes to the customer's own address",
    "GET /p/{token}": "a link's token, signed by us; looking changes nothing",
    "HEAD /p/{token}": "a link's token, signed by us; looking changes nothing",
    "POST /p/{token}": "a link's token, signed by us, which works once",
    "POST /p/{token}/fresh-link": "a link's token, signed by us; what comes of it goes to the customer's own address",
}
# Actions that AWS offers for all resources only
# (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html).
UNSCOPED_ACTIONS = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# The key whose use names the organisation, the key that only hashes, and the table to which functions only ever add.
ENVELOPE_KEY = "EnvelopeKey"
HASH_KEY = "HashKey"
SEAL_KEY = "SealKey"
AUDIT_TABLE = "AuditTable"
RETENTION_ROLE = "JobRetentionRole"
# Whom email comes from; its identity is not this stack's, for its domain is not.
SENDER = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${SenderEmail}"
APPENDING_ACTIONS = {"dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem",
                     "dynamodb:Query"}
SCANNING_ACTIONS = {"dynamodb:ExportTableToPointInTime", "dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert",
                    "dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate", "dynamodb:Scan"}
# What encrypts or decrypts, and so needs a condition; the rest of KMS's actions only tell or manage.
KEY_USE = re.compile(r"kms:(Decrypt|Encrypt|GenerateDataKey|GenerateMac|ReEncrypt|Sign)")

# NIST SP 800-63B-4, section 3.1.1.2, and how long what a thief may have is good, hours.
SHORTEST_PASSWORD = 15
LONGEST_TOKENS = {"AccessToken": 1, "IdToken": 1, "RefreshToken": 12}
# With a right to it only: a flow that is open to everybody goes past our slow-down.
SIGN_IN_FLOWS = {"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}

SECRET_TEXT = re.compile(
    r"\b(sk|rk)_(live|test)_\w|\bwhsec_\w|\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN|\beyJ[\w-]+\.eyJ|\bgh[pousr]_\w{20}"
)
SECRET_NAME = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSPHRASE|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY)")

Objections = Iterator[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule, with the reason why it is one."""

    name: str
    reason: str
    objections: Callable[["Stack"], Objections]


RULES: list[Rule] = []


def rule(name: str, reason: str):
    """Makes a rule of a function."""

    def made(objections: Callable[["Stack"], Objections]):
        RULES.append(Rule(name, reason, objections))
        return objections

    return made


def check(template: dict) -> list[Finding]:
    """What our rules say of an expanded template."""
    stack = Stack(template)
    return [
        Finding(each.name, resource, f"{message} ({each.reason})")
        for each in RULES
        for resource, message in each.objections(stack)
    ]


class Stack:
    """An expanded template, for asking."""

    def __init__(self, template: dict):
        self.parameters = template.get("Parameters", {})
        self.resources = template["Resources"]

    def of(self, *types: str) -> list[tuple[str, dict]]:
        """Logical ids and properties of all resources of some types."""
        return [(name, r.get("Properties", {})) for name, r in self.resources.items() if r["Type"] in types]

    def properties(self, name: str | None) -> dict:
        """The properties of one resource; none where there is none."""
        return self.resources.get(name, {}).get("Properties", {})

    def target(self, value, *types: str) -> str | None:
        """The resource, of one of some types, that a value points to."""
        match value:
            case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
                if self.resources.get(name, {}).get("Type") in types:
                    return name
        return None

    def statements(self) -> Iterator[tuple[str, dict]]:
        """All statements by which roles allow something."""
        for role, properties in self.of("AWS::IAM::Role"):
            for policy in properties.get("Policies", []):
                for statement in listed(policy["PolicyDocument"]["Statement"]):
                    if statement["Effect"] == "Allow":
                        yield role, statement

    def consumers(self) -> Iterator[tuple[str, str, str]]:
        """Event source mappings, the queues that they read, the functions that they call."""
        for name, properties in self.of("AWS::Lambda::EventSourceMapping"):
            queue = self.target(properties.get("EventSourceArn"), "AWS::SQS::Queue")
            function = self.target(properties.get("FunctionName"), "AWS::Lambda::Function")
            if queue and function:
                yield name, queue, function

    def followers(self) -> Iterator[tuple[str, str, str]]:
        """Event source mappings, the tables whose streams they read, the functions that they call."""
        for name, properties in self.of("AWS::Lambda::EventSourceMapping"):
            table = self.target(properties.get("EventSourceArn"), "AWS::DynamoDB::Table")
            function = self.target(properties.get("FunctionName"), "AWS::Lambda::Function")
            if table and function:
                yield name, table, function

    def failure_queues(self) -> dict[str, str]:
        """Queues for what could not be worked on of a stream, and the event source mappings that use them."""
        pairs = ((self.target(self.properties(name).get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
                              "AWS::SQS::Queue"), name) for name, _, _ in self.followers())
        return {queue: mapping for queue, mapping in pairs if queue}

    def dead_letter_queues(self) -> dict[str, str]:
        """Dead-letter queues, and the queues whose messages end there."""
        pairs = ((self.target(p.get("RedrivePolicy", {}).get("deadLetterTargetArn"), "AWS::SQS::Queue"), name)
                 for name, p in self.of("AWS::SQS::Queue"))
        return {dead: source for dead, source in pairs if dead}

    def alarmed(self, namespace: str, metric: str, dimension: str, value) -> bool:
        """Whether an alarm watches a metric."""
        wanted = {"Namespace": namespace, "MetricName": metric, "Dimensions": [{"Name": dimension, "Value": value}]}
        return any(wanted.items() <= p.items() for _, p in self.of("AWS::CloudWatch::Alarm"))


def listed(value) -> list:
    """A value that may be one or several."""
    return value if isinstance(value, list) else [value]


def kebab(name: str) -> str:
    """`WebhookStripe` as `webhook-stripe`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def texts(value) -> Iterator[str]:
    """All texts in a value."""
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from texts(each)
        case list():
            for each in value:
                yield from texts(each)


# The kinds of resources that the rules below look at, or that hold nothing.
KNOWN_KINDS = {
    "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage", "AWS::CloudWatch::Alarm",
    "AWS::Cognito::UserPool", "AWS::Cognito::UserPoolClient", "AWS::Cognito::UserPoolGroup",
    "AWS::DynamoDB::Table", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::RolePolicy",
    "AWS::KMS::Key", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Lambda::Permission",
    "AWS::Lambda::Url", "AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription",
    "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Scheduler::Schedule",
    "AWS::SecretsManager::RotationSchedule", "AWS::SecretsManager::Secret",
}


@rule("known-kind", "a kind of resource comes with rules, or it goes past all of them")
def known_kind(stack: Stack) -> Objections:
    for name, resource in stack.resources.items():
        if resource["Type"] not in KNOWN_KINDS:
            yield name, f"no rule knows {resource['Type']}"


# ---- Data ------------------------------------------------------------------------------------------------------------


@rule("table-recoverable", "a mistake may be noticed weeks later; point-in-time recovery reaches back 35 days at most")
def table_recoverable(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::DynamoDB::Table"):
        recovery = p.get("PointInTimeRecoverySpecification", {})
        if recovery.get("PointInTimeRecoveryEnabled") is not True:
            yield name, "no point-in-time recovery"
        elif recovery.get("RecoveryPeriodInDays") != RECOVERY_DAYS:
            yield name, f"point-in-time recovery of {recovery.get('RecoveryPeriodInDays')} days"


@rule("table-deletion-protected", "a table of customers' data goes by no single call")
def table_deletion_protected(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::DynamoDB::Table"):
        if p.get("DeletionProtectionEnabled") is not True:
            yield name, "no deletion protection"


@rule("retained", "what cannot be made again outlives its stack")
def retained(stack: Stack) -> Objections:
    # Queues and log groups have fixed names: what a failed first deployment leaves behind would block the second.
    allowed = {
        "AWS::Cognito::UserPool": {"Retain"},
        "AWS::DynamoDB::Table": {"Retain"},
        "AWS::KMS::Key": {"Retain"},
        "AWS::S3::Bucket": {"Retain"},
        "AWS::SecretsManager::Secret": {"Retain"},
        "AWS::SQS::Queue": {"Retain", "RetainExceptOnCreate"},
        "AWS::Logs::LogGroup": {"Retain", "RetainExceptOnCreate"},
    }
    for name, resource in stack.resources.items():
        if policies := allowed.get(resource["Type"]):
            if resource.get("DeletionPolicy") not in policies:
                yield name, f"DeletionPolicy {resource.get('DeletionPolicy')}"
            if resource.get("UpdateReplacePolicy") != "Retain":
                yield name, f"UpdateReplacePolicy {resource.get('UpdateReplacePolicy')}"


@rule("encrypted", "whatever is at rest is encrypted, under a key of this stack wherever the service takes one")
def encrypted(stack: Stack) -> Objections:
    keys = {
        "AWS::Lambda::Function": "KmsKeyArn",
        "AWS::Logs::LogGroup": "KmsKeyId",
        "AWS::SecretsManager::Secret": "KmsKeyId",
        "AWS::SNS::Topic": "KmsMasterKeyId",
    }
    for name, resource in stack.resources.items():
        p = resource.get("Properties", {})
        match resource["Type"]:
            case kind if kind in keys:
                under = p.get(keys[kind])
            case "AWS::DynamoDB::Table":
                sse = p.get("SSESpecification", {})
                under = sse.get("KMSMasterKeyId") if sse.get("SSEEnabled") is True else None
            case "AWS::S3::Bucket":
                by_default = (p.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration") or [{}])[0]
                under = by_default.get("ServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            case "AWS::SQS::Queue" if p.get("SqsManagedSseEnabled") is True:
                continue
            case "AWS::SQS::Queue":
                under = p.get("KmsMasterKeyId")
            case _:
                continue
        if not stack.target(under, "AWS::KMS::Key"):
            yield name, "not encrypted under a key of this stack"


@rule("bucket-tls-only", "what is read over plain HTTP is read by others too")
def bucket_tls_only(stack: Stack) -> Objections:
    for name, _ in stack.of("AWS::S3::Bucket"):
        policies = [p for _, p in stack.of("AWS::S3::BucketPolicy")
                    if stack.target(p.get("Bucket"), "AWS::S3::Bucket") == name]
        statements = [s for p in policies for s in listed(p["PolicyDocument"]["Statement"])]
        if not any(_refuses_plain_http(s, name) for s in statements):
            yield name, "no policy that refuses plain HTTP"


def _refuses_plain_http(statement: dict, bucket: str) -> bool:
    insecure = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    resources = listed(statement.get("Resource"))
    return (
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and statement.get("Action") == "s3:*"
        and str(insecure).lower() == "false"
        and {"Fn::GetAtt": [bucket, "Arn"]} in resources
        and {"Fn::Sub": f"${{{bucket}.Arn}}/*"} in resources
    )


@rule("bucket-owner-enforced", "access lists of single objects escape every policy")
def bucket_owner_enforced(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::S3::Bucket"):
        if p.get("OwnershipControls") != {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}:
            yield name, "access control lists are possible"


@rule("checkpoints-locked", "a checkpoint that can be replaced proves nothing")
def checkpoints_locked(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::S3::Bucket"):
        if not name.startswith("Checkpoints"):
            continue
        lock = p.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
        if not p.get("ObjectLockEnabled") or lock.get("Mode") != "COMPLIANCE" or "Days" not in lock:
            yield name, "somebody can delete what it holds"
        if any(s.get("Effect") == "Allow" and set(listed(s.get("Action"))) & {"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"}
               and name in str(s.get("Resource")) for _, s in stack.statements()):
            yield name, "a function may delete what it holds"


# ---- Keys and secrets ------------------------------------------------------------------------------------------------


@rule("key-kept", "a key that is gone takes all data under it along")
def key_kept(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::KMS::Key"):
        if p.get("PendingWindowInDays") != 30:
            yield name, f"a pending window of {p.get('PendingWindowInDays')} days"
        if not any(s["Effect"] == "Deny" and "kms:ScheduleKeyDeletion" in listed(s["Action"])
                   and s["Principal"] == {"AWS": "*"} and "Condition" not in s for s in _key_policy(p)):
            yield name, "its policy lets it be deleted"


@rule("key-users", "a key serves this account's roles, and services only on this account's behalf")
def key_users(stack: Stack) -> Objections:
    account = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    for name, p in stack.of("AWS::KMS::Key"):
        for s in _key_policy(p):
            if s["Effect"] == "Deny" or s["Principal"] == account:
                continue
            named = {key for keys in s.get("Condition", {}).values() for key in keys}
            bound = named & {"aws:SourceAccount", "aws:SourceArn", "kms:EncryptionContext:aws:logs:arn"}
            if set(s["Principal"]) != {"Service"} or not bound:
                yield name, f"{s.get('Sid')} lets in {json.dumps(s['Principal'])}"


@rule("envelope-key-context", "the context binds a data key to its organisation; without it any wrapped key opens")
def envelope_key_context(stack: Stack) -> Objections:
    without = {"Null": {"kms:EncryptionContext:org": "true"}}
    uses = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"}
    for name, p in stack.of("AWS::KMS::Key"):
        if name == ENVELOPE_KEY and not any(
            s["Effect"] == "Deny" and s.get("Condition") == without and s["Principal"] == {"AWS": "*"}
            and uses <= set(listed(s["Action"])) for s in _key_policy(p)
        ):
            yield name, "its policy allows use without an organisation in the encryption context"


def _key_policy(properties: dict) -> list[dict]:
    return listed(properties["KeyPolicy"]["Statement"])


@rule("secret-rotated", "a secret that never changes is known to everybody who ever saw it")
def secret_rotated(stack: Stack) -> Objections:
    rotated = {stack.target(p.get("SecretId"), "AWS::SecretsManager::Secret")
               for _, p in stack.of("AWS::SecretsManager::RotationSchedule")}
    for name, _ in stack.of("AWS::SecretsManager::Secret"):
        if name not in rotated:
            yield name, "no rotation"


@rule("rotation-permitted", "Secrets Manager refuses a function that it may not call, and a template whose schedule comes too early")
def rotation_permitted(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::SecretsManager::RotationSchedule"):
        function = stack.target(p.get("RotationLambdaARN"), "AWS::Lambda::Function")
        permitting = {permission for permission, q in stack.of("AWS::Lambda::Permission")
                      if q.get("Principal") == "secretsmanager.amazonaws.com"
                      and stack.target(q.get("FunctionName"), "AWS::Lambda::Function") == function
                      and q.get("SourceArn") == p.get("SecretId")}
        if not permitting & set(listed(stack.resources[name].get("DependsOn", []))):
            yield name, f"does not wait for Secrets Manager's permission to call {function}"


@rule("secret-generated", "what a template says, everybody can read")
def secret_generated(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::SecretsManager::Secret"):
        if "SecretString" in p:
            yield name, "its value is in the template"


@rule("no-secret-written", "what a template says, everybody can read")
def no_secret_written(stack: Stack) -> Objections:
    for name, resource in stack.resources.items():
        if any(SECRET_TEXT.search(text) for text in texts(resource)):
            yield name, "holds what looks like a secret"
    for name, parameter in stack.parameters.items():
        if any(SECRET_TEXT.search(text) for text in texts(parameter)):
            yield name, "holds what looks like a secret"


@rule("no-secret-in-environment", "the environment shows in the console and in every dump; secrets come from the vault")
def no_secret_in_environment(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Lambda::Function"):
        for variable, value in p.get("Environment", {}).get("Variables", {}).items():
            # A secret's ARN is none.
            named = SECRET_NAME.search(variable) and not stack.target(value, "AWS::SecretsManager::Secret")
            if named or any("{{resolve:" in text for text in texts(value)):
                yield name, f"{variable} looks like a secret"


# ---- People ----------------------------------------------------------------------------------------------------------


@rule("people-let-in", "nobody lets themselves in, or gets in with an email alone; what people are let in by is not lost")
def people_let_in(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Cognito::UserPool"):
        if p.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly") is not True:
            yield name, "everybody may sign up"
        mechanisms = p.get("AccountRecoverySetting", {}).get("RecoveryMechanisms", [])
        if [mechanism.get("Name") for mechanism in mechanisms] != ["admin_only"]:
            yield name, "accounts are recovered without us"
        if p.get("DeletionProtection") != "ACTIVE":
            yield name, "no deletion protection"


@rule("people-named", "two accounts whose emails differ in case only are one person's, and another's trap")
def people_named(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Cognito::UserPool"):
        if p.get("UsernameAttributes") != ["email"]:
            yield name, "people sign in with something other than their email"
        if p.get("UsernameConfiguration", {}).get("CaseSensitive") is not False:
            yield name, "emails differ in case"


@rule("passwords", "NIST SP 800-63B-4: length counts, composition does not")
def passwords(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Cognito::UserPool"):
        policy = p.get("Policies", {}).get("PasswordPolicy", {})
        if not _at_least(stack, policy.get("MinimumLength"), SHORTEST_PASSWORD):
            yield name, f"passwords of {policy.get('MinimumLength')} characters"
        # What is not said is required.
        for kind in ("Lowercase", "Numbers", "Symbols", "Uppercase"):
            if policy.get(f"Require{kind}") is not False:
                yield name, f"requires {kind.lower()}"


@rule("second-factor", "codes by SMS or email are as weak as what they are sent through")
def second_factor(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Cognito::UserPool"):
        if p.get("MfaConfiguration") not in ("OPTIONAL", "ON") or p.get("EnabledMfas") != ["SOFTWARE_TOKEN_MFA"]:
            yield name, "no TOTP, or something beside it"


@rule("sign-in-flows", "answers do not tell who has an account, and nobody signs in past our slow-down")
def sign_in_flows(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Cognito::UserPoolClient"):
        if p.get("PreventUserExistenceErrors") != "ENABLED":
            yield name, "tells who has an account"
        flows = p.get("ExplicitAuthFlows")
        if not flows or set(flows) - SIGN_IN_FLOWS:
            yield name, f"allows {flows}"
        if p.get("AllowedOAuthFlowsUserPoolClient"):
            yield name, "signs in by OAuth as well"


@rule("tokens-end", "a stolen token is of use for as long as it is good")
def tokens_end(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Cognito::UserPoolClient"):
        if p.get("EnableTokenRevocation") is not True:
            yield name, "tokens are not revoked"
        for token, longest in LONGEST_TOKENS.items():
            hours = p.get(f"{token}Validity")
            unit = p.get("TokenValidityUnits", {}).get(token)
            if unit != "hours" or not isinstance(hours, int) or hours > longest:
                yield name, f"{token} for {hours} {unit}"


# ---- Rights ----------------------------------------------------------------------------------------------------------


@rule("role-own", "a role that two functions share has rights that one of them does not need")
def role_own(stack: Stack) -> Objections:
    used: dict[str, str] = {}
    for name, p in stack.of("AWS::Lambda::Function"):
        role = stack.target(p.get("Role"), "AWS::IAM::Role")
        if role is None:
            yield name, "its role is not written in this template"
        elif role in used:
            yield name, f"shares {role} with {used[role]}"
        else:
            used[role] = name


@rule("role-trust", "a function's role is for the function, and a schedule's for the schedule of this account")
def role_trust(stack: Stack) -> Objections:
    function = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    schedule = function | {"Principal": {"Service": "scheduler.amazonaws.com"},
                           "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}}
    of_schedules = {_runner(stack, p)[0] for _, p in stack.of("AWS::Scheduler::Schedule")}
    for name, p in stack.of("AWS::IAM::Role"):
        if p["AssumeRolePolicyDocument"].get("Statement") != [schedule if name in of_schedules else function]:
            yield name, f"is not for {'schedules of this account' if name in of_schedules else 'Lambda'} alone"


def _runner(stack: Stack, schedule: dict) -> tuple[str | None, str | None]:
    """The role of a schedule, and the function that it runs."""
    target = schedule.get("Target", {})
    return stack.target(target.get("RoleArn"), "AWS::IAM::Role"), stack.target(target.get("Arn"), "AWS::Lambda::Function")


@rule("schedule-runs", "a schedule runs its function and may do nothing else; the next run makes good what one could not")
def schedule_runs(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Scheduler::Schedule"):
        role, function = _runner(stack, p)
        rights = [(s.get("Action"), stack.target(s.get("Resource"), "AWS::Lambda::Function")) for r, s in stack.statements() if r == role]
        if function is None or rights != [("lambda:InvokeFunction", function)]:
            yield name, "its role may not run its function, or may do more"
        if p.get("Target", {}).get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", 86400) > 3600:
            yield name, "tries for more than an hour"


@rule("rights-inline", "rights are read in one place, beside the function")
def rights_inline(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::IAM::Role"):
        if p.get("ManagedPolicyArns"):
            yield name, "has managed policies"
    for name, _ in stack.of("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy"):
        yield name, "rights elsewhere than in a role"


@rule("rights-exact-actions", "a pattern also allows what AWS adds later")
def rights_exact_actions(stack: Stack) -> Objections:
    for name, s in stack.statements():
        if "NotAction" in s:
            yield name, "allows all but something"
        for action in listed(s.get("Action", [])):
            if "*" in action or "?" in action:
                yield name, f"allows {action}"


@rule("rights-exact-resources", "a right on everything is a right on what comes later")
def rights_exact_resources(stack: Stack) -> Objections:
    for name, s in stack.statements():
        actions = set(listed(s.get("Action", [])))
        if "NotResource" in s:
            yield name, "allows all but something"
        for resource in listed(s.get("Resource", [])):
            if not (_is_exact(stack, resource) or (resource == "*" and actions <= UNSCOPED_ACTIONS)):
                yield name, f"allows {', '.join(sorted(actions))} on {json.dumps(resource)}"


def _is_exact(stack: Stack, resource) -> bool:
    match resource:
        case {"Fn::GetAtt": [str(name), "Arn" | "StreamArn"]}:
            return name in stack.resources
        case {"Ref": str()}:
            # Its ARN.
            return stack.target(resource, "AWS::SecretsManager::Secret") is not None
        # Everything below a path that is this stack's.
        case {"Fn::Sub": str(text)}:
            path = text.removesuffix("/*")
            within = text == SENDER or "${AWS::StackName}" in path or any(f"${{{name}.Arn}}" in path for name in stack.resources)
            return within and "*" not in path and "?" not in path
    return False


@rule("rights-no-scan", "a scan reads every organisation's rows")
def rights_no_scan(stack: Stack) -> Objections:
    for name, s in stack.statements():
        for action in SCANNING_ACTIONS & set(listed(s.get("Action", []))):
            yield name, f"allows {action}"


@rule("rights-audit-append-only", "what functions can change in the audit log proves nothing")
def rights_audit_append_only(stack: Stack) -> Objections:
    for name, s in stack.statements():
        if AUDIT_TABLE in {stack.target(r, "AWS::DynamoDB::Table") for r in listed(s.get("Resource", []))}:
            # One function deletes what is due, by whole days.
            allowed = APPENDING_ACTIONS | ({"dynamodb:DeleteItem"} if name == RETENTION_ROLE else set())
            for action in sorted(set(listed(s["Action"])) - allowed):
                yield name, f"allows {action} on {AUDIT_TABLE}"


@rule("rights-key-condition", "a function decrypts for one organisation at a time, or lets a storage service do so")
def rights_key_condition(stack: Stack) -> Objections:
    for name, s in stack.statements():
        if not any(KEY_USE.match(action) for action in listed(s.get("Action", []))):
            continue
        condition = s.get("Condition", {})
        for resource in listed(s["Resource"]):
            if stack.target(resource, "AWS::KMS::Key") == ENVELOPE_KEY:
                if condition != {"StringLike": {"kms:EncryptionContext:org": "org_*"}}:
                    yield name, f"uses {ENVELOPE_KEY} without an organisation in the encryption context"
            elif stack.target(resource, "AWS::KMS::Key") == HASH_KEY and s["Action"] == "kms:GenerateMac":
                if condition != {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}}:
                    yield name, f"uses {HASH_KEY} for other algorithms"
            elif stack.target(resource, "AWS::KMS::Key") == SEAL_KEY and s["Action"] == "kms:Sign":
                if condition != {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}}:
                    yield name, f"uses {SEAL_KEY} for other algorithms"
            elif set(condition.get("StringEquals", {})) != {"kms:ViaService"}:
                yield name, f"uses {json.dumps(resource)} other than through a service"


@rule("invoke-permission", "whoever may invoke a receiver can forge the sender's address")
def invoke_permission(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Lambda::Permission"):
        if not str(p.get("Principal")).endswith(".amazonaws.com") or "SourceArn" not in p:
            yield name, f"lets {p.get('Principal')} invoke{'' if 'SourceArn' in p else ' from anywhere'}"
    for name, _ in stack.of("AWS::Lambda::Url"):
        yield name, "goes past the API"


@rule("policy-principal", "a resource that lets in everybody is everybody's")
def policy_principal(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"):
        for s in listed(p["PolicyDocument"]["Statement"]):
            if s["Effect"] == "Allow" and ("*" in texts(s.get("Principal")) or "Condition" not in s):
                yield name, f"{s.get('Sid')} lets in {json.dumps(s.get('Principal'))}"


# ---- Functions -------------------------------------------------------------------------------------------------------


@rule("function-logs", "each function writes JSON to a log group of its own, which is kept a year")
def function_logs(stack: Stack) -> Objections:
    groups: dict[str, str] = {}
    for name, p in stack.of("AWS::Lambda::Function"):
        config = p.get("LoggingConfig", {})
        group = stack.target(config.get("LogGroup"), "AWS::Logs::LogGroup")
        if group is None:
            yield name, "no log group of its own"
        elif group in groups:
            yield name, f"shares {group} with {groups[group]}"
        else:
            groups[group] = name
        if config.get("LogFormat") != "JSON":
            yield name, "its log is not JSON"
    for name, p in stack.of("AWS::Logs::LogGroup"):
        if not _at_least(stack, p.get("RetentionInDays"), LOG_DAYS):
            yield name, f"kept less than {LOG_DAYS} days"


def _at_least(stack: Stack, value, least: int) -> bool:
    match value:
        case int():
            return value >= least
        case {"Ref": str(name)} if name in stack.parameters:
            allowed = stack.parameters[name].get("AllowedValues", [])
            return bool(allowed) and all(int(each) >= least for each in allowed)
    return False


# ---- Queues ----------------------------------------------------------------------------------------------------------


@rule("queue-redrive", "an event gets five attempts, and one that fails them all is kept for people to look at")
def queue_redrive(stack: Stack) -> Objections:
    dead = stack.dead_letter_queues()
    for name, p in stack.of("AWS::SQS::Queue"):
        if name in dead or name in stack.failure_queues():
            continue
        if name not in dead.values():
            yield name, "no dead-letter queue"
        elif not _at_least(stack, p["RedrivePolicy"].get("maxReceiveCount"), ATTEMPTS):
            yield name, f"{p['RedrivePolicy'].get('maxReceiveCount')} attempts"


@rule("dead-letter-queue", "dead letters wait for people, who need time, and come from their own queue only")
def dead_letter_queue(stack: Stack) -> Objections:
    for dead, source in stack.dead_letter_queues().items():
        p, of = stack.properties(dead), stack.properties(source)
        if p.get("MessageRetentionPeriod") != DEAD_LETTER_SECONDS:
            yield dead, f"keeps letters {p.get('MessageRetentionPeriod')} s"
        # A letter's age counts from when it was first sent.
        if not of.get("MessageRetentionPeriod", DEAD_LETTER_SECONDS) < DEAD_LETTER_SECONDS:
            yield source, "keeps messages as long as its dead-letter queue"
        name = of.get("QueueName", {}).get("Fn::Sub")
        arn = {"Fn::Sub": f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{name}"}
        if p.get("RedriveAllowPolicy") != {"redrivePermission": "byQueue", "sourceQueueArns": [arn]}:
            yield dead, f"takes letters of others than {source}"
    for queue in stack.failure_queues():
        if stack.properties(queue).get("MessageRetentionPeriod") != DEAD_LETTER_SECONDS:
            yield queue, f"keeps letters {stack.properties(queue).get('MessageRetentionPeriod')} s"


@rule("queue-visibility", "a message that shows again while it is worked on is worked on twice")
def queue_visibility(stack: Stack) -> Objections:
    for _, queue, function in stack.consumers():
        timeout = stack.properties(function).get("Timeout")
        if not _at_least(stack, stack.properties(queue).get("VisibilityTimeout"), VISIBILITY_PER_TIMEOUT * timeout):
            yield queue, f"visibility below {VISIBILITY_PER_TIMEOUT} × {function}'s {timeout} s"


@rule("queue-consumer", "one bad message holds up none of its batch, and a flood starves no other function")
def queue_consumer(stack: Stack) -> Objections:
    for name, _, _ in stack.consumers():
        p = stack.properties(name)
        if p.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield name, "no partial batch responses"
        if not isinstance(p.get("ScalingConfig", {}).get("MaximumConcurrency"), int):
            yield name, "no bound on its concurrency"


# ---- Streams ---------------------------------------------------------------------------------------------------------


@rule("stream-consumer", "one bad change holds up few others, not for ever, and is not lost in silence")
def stream_consumer(stack: Stack) -> Objections:
    for name, table, _ in stack.followers():
        p = stack.properties(name)
        if p.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield name, "no partial batch responses"
        if p.get("BisectBatchOnFunctionError") is not True:
            yield name, "a batch that fails as a whole is not divided"
        if not _at_least(stack, p.get("MaximumRetryAttempts"), ATTEMPTS):
            yield name, f"{p.get('MaximumRetryAttempts')} attempts"
        if name not in stack.failure_queues().values():
            yield name, "what is given up goes nowhere"
        if p.get("StartingPosition") != "TRIM_HORIZON":
            yield name, "what changed before its first poll is left out"
        if stack.properties(table).get("StreamSpecification") != {"StreamViewType": "KEYS_ONLY"}:
            yield table, "its stream tells more than keys"


# ---- API -------------------------------------------------------------------------------------------------------------


@rule("route-authorised", "a route is public because somebody decided so")
def route_authorised(stack: Stack) -> Objections:
    public = set()
    for api, route, authorised in _routes(stack):
        if route in PUBLIC_ROUTES:
            public.add(route)
        elif not authorised:
            yield api, f"{route} has no authorizer"
    for route in PUBLIC_ROUTES.keys() - public:
        yield "PUBLIC_ROUTES", f"{route} is no route"


def _routes(stack: Stack) -> Iterator[tuple[str, str, bool]]:
    for api, p in stack.of("AWS::ApiGatewayV2::Api"):
        for path, item in p.get("Body", {}).get("paths", {}).items():
            for method, operation in item.items():
                schemes = {name for scheme in operation.get("security", []) for name in scheme}
                route = "$default" if path == "/$default" else f"{method.upper()} {path}"
                yield api, route, bool(schemes - {"NONE"})
    for _, p in stack.of("AWS::ApiGatewayV2::Route"):
        yield (stack.target(p["ApiId"], "AWS::ApiGatewayV2::Api") or "?", p["RouteKey"],
               p.get("AuthorizationType", "NONE") != "NONE")


@rule("cors-origins", "pages of others read nothing of ours")
def cors_origins(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::ApiGatewayV2::Api"):
        in_body = p.get("Body", {}).get("x-amazon-apigateway-cors", {}).get("allowOrigins", [])
        if "*" in texts([in_body, p.get("CorsConfiguration", {}).get("AllowOrigins", [])]):
            yield name, "answers pages of every origin"


@rule("access-log", "who asked what, and how it went, as JSON; paths and queries hold tokens")
def access_log(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::ApiGatewayV2::Stage"):
        settings = p.get("AccessLogSettings", {})
        if not stack.target(settings.get("DestinationArn"), "AWS::Logs::LogGroup"):
            yield name, "no access log"
            continue
        try:
            logged = set(json.loads(settings["Format"]).values())
        except (KeyError, TypeError, ValueError, AttributeError):
            yield name, "its access log is not JSON"
            continue
        wanted = {"$context.requestId", "$context.identity.sourceIp", "$context.routeKey", "$context.status"}
        for missing in sorted(wanted - logged):
            yield name, f"its access log lacks {missing}"
        for secret in sorted(logged & {"$context.path", "$context.customDomain.basePathMatched"}):
            yield name, f"its access log holds {secret}"


# ---- Alarms ----------------------------------------------------------------------------------------------------------


@rule("alarm-told", "an alarm that nobody hears is none")
def alarm_told(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::CloudWatch::Alarm"):
        if not any(stack.target(action, "AWS::SNS::Topic") for action in p.get("AlarmActions", [])):
            yield name, "tells nobody"
        if not p.get("AlarmDescription"):
            yield name, "does not say what is wrong"
        # What counts runs has no data exactly where there are none.
        if p.get("TreatMissingData") != ("breaching" if p.get("MetricName") == "Invocations" else "notBreaching"):
            yield name, "rings, or never rings, where there is no traffic"


@rule("function-watched", "a function fails in silence otherwise")
def function_watched(stack: Stack) -> Objections:
    for name, _ in stack.of("AWS::Lambda::Function"):
        wanted = [("AWS/Lambda", metric, "FunctionName", {"Ref": name}) for metric in ("Errors", "Throttles")]
        own = ["errors", "signature_failures"] if name.startswith("Webhook") else ["errors"]
        wanted += [("Plixo", metric, "function", kebab(name)) for metric in own]
        for namespace, metric, dimension, value in wanted:
            if not stack.alarmed(namespace, metric, dimension, value):
                yield name, f"no alarm on {namespace} {metric}"


@rule("schedule-watched", "nobody misses a run that was never begun")
def schedule_watched(stack: Stack) -> Objections:
    for name, p in stack.of("AWS::Scheduler::Schedule"):
        _, function = _runner(stack, p)
        wanted = {"MetricName": "Invocations", "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": function}}],
                  "ComparisonOperator": "LessThanThreshold", "Threshold": 1}
        if not any(wanted.items() <= alarm.items() for _, alarm in stack.of("AWS::CloudWatch::Alarm")):
            yield name, "no alarm when it does not run"


@rule("stream-watched", "what waits in a stream is in nobody's sums")
def stream_watched(stack: Stack) -> Objections:
    for name, _, function in stack.followers():
        if not stack.alarmed("AWS/Lambda", "IteratorAge", "FunctionName", {"Ref": function}):
            yield name, "no alarm on IteratorAge"


@rule("queue-watched", "what waits in a queue is in nobody's ledger")
def queue_watched(stack: Stack) -> Objections:
    dead = stack.dead_letter_queues() | stack.failure_queues()
    for name, _ in stack.of("AWS::SQS::Queue"):
        wanted = ["ApproximateAgeOfOldestMessage"] + ["ApproximateNumberOfMessagesVisible"] * (name in dead)
        for metric in wanted:
            if not stack.alarmed("AWS/SQS", metric, "QueueName", {"Fn::GetAtt": [name, "QueueName"]}):
                yield name, f"no alarm on {metric}"
    for name, p in stack.of("AWS::CloudWatch::Alarm"):
        queues = {stack.target(d["Value"], "AWS::SQS::Queue") for d in p.get("Dimensions", [])}
        counts = p.get("MetricName") == "ApproximateNumberOfMessagesVisible" and queues & dead.keys()
        if counts and (p.get("Threshold"), p.get("ComparisonOperator")) != (0, "GreaterThanThreshold"):
            yield name, "lets dead letters lie"


@rule("api-watched", "senders see our failures before we do otherwise")
def api_watched(stack: Stack) -> Objections:
    for name, _ in stack.of("AWS::ApiGatewayV2::Api"):
        if not stack.alarmed("AWS/ApiGateway", "5xx", "ApiId", {"Ref": name}):
            yield name, "no alarm on 5xx"
