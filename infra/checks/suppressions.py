"""Findings of stock rules that we do not follow, and why. One that suppresses nothing is itself a finding."""

import dataclasses

from stock import Finding


@dataclasses.dataclass(frozen=True)
class Suppression:
    """A stock rule that some resources may break."""

    rule: str
    resources: tuple[str, ...]
    reason: str


# Who answers people, and all functions.
ANSWERING = (
    "ApiAudit", "ApiAuth", "ApiExports", "ApiLedger", "ApiOrganisations", "ApiPortalLinks", "ApiPrivacy", "ApiWebhooks", "Authorizer",
    "PagesConsole",
    "PagesDocs", "PagesPortal", "PagesSignIn",
)
FUNCTIONS = (
    *ANSWERING, "JobAuditSeal", "JobDataSources", "JobLinkKeyRotation", "JobRetention", "WebhookErp", "WebhookStripe", "WorkerCash", "WorkerErp", "WorkerExport", "WorkerPortalLinks", "WorkerPrivacy", "WorkerStripe", "WorkerTotals",
)
# Who speaks to Stripe, or to ERPs.
OUTSIDE = ("ApiWebhooks", "PagesConsole", "PagesPortal", "WorkerErp", "WorkerPortalLinks")

SUPPRESSIONS = (
    Suppression(
        "CKV_AWS_7", ("HashKey",),
        "KMS rotates no HMAC keys; and with another key all that is kept under hashes would be forgotten at once.",
    ),
    Suppression(
        "CKV_AWS_18", ("CheckpointsBucket",),
        "What it holds is signed, or an entry of the erasure ledger, and nobody can alter or delete it: who read it harms nobody.",
    ),
    Suppression(
        "CKV_AWS_18", ("ExportsBucket",),
        "Whom a file's address was given is in the organisation's audit log. A log of S3's own would be another bucket, of "
        "what nobody but us can ask for.",
    ),
    Suppression(
        "CKV_AWS_21", ("ExportsBucket",),
        "Files are to be gone when they are due, and can be requested again: a version of one that was deleted is one too many.",
    ),
    Suppression(
        "CKV_AWS_27",
        (
            "CashQueue", "ExportQueue", "ExportDeadLetterQueue", "PrivacyQueue", "PrivacyDeadLetterQueue", "UpkeepQueue", "CashDeadLetterQueue", "UpkeepDeadLetterQueue", "ErpEventsQueue", "ErpEventsDeadLetterQueue", "StripeEventsQueue", "StripeEventsDeadLetterQueue", "TotalsDeadLetterQueue",
            "PortalLinksDeadLetterQueue",
        ),
        "It knows KMS keys only. Queues use SQS's own encryption, which costs no KMS call per message; our rule "
        "`encrypted` asks for it.",
    ),
    Suppression(
        "CKV_AWS_115", ("WorkerCash", "WorkerErp", "WorkerExport", "WorkerPrivacy", "WorkerStripe"),
        "Its event source bounds its concurrency, as our rule `queue-consumer` asks; a reservation below that bound "
        "would throttle, and count attempts against events that nobody looked at.",
    ),
    Suppression(
        "CKV_AWS_115", ("WorkerPortalLinks", "WorkerTotals"),
        "One batch of each of the stream's shards at a time is all that it gets.",
    ),
    Suppression(
        "CKV_AWS_115", ("JobLinkKeyRotation",),
        "Secrets Manager asks for one step after the other.",
    ),
    Suppression(
        "CKV_AWS_115", ("JobAuditSeal", "JobDataSources", "JobRetention"),
        "Its schedule runs it once an hour.",
    ),
    Suppression(
        "CKV_AWS_115", ANSWERING,
        "The API's throttling bounds them. A reservation would be a limit that one noisy sender uses up for everybody.",
    ),
    Suppression(
        "CKV_AWS_116", FUNCTIONS,
        "Lambda's own dead-letter queue takes failed asynchronous calls. API Gateway and Secrets Manager wait for "
        "answers; the events of workers have a dead-letter queue of their queue's or stream's.",
    ),
    Suppression(
        "CKV_AWS_117", OUTSIDE,
        "They reach AWS's own APIs and Stripe's or ERPs', over TLS, at addresses that the template names. A VPC adds a gateway to pay and "
        "keep, through which they would reach the same.",
    ),
    Suppression(
        "CKV_AWS_117", tuple(name for name in FUNCTIONS if name not in OUTSIDE),
        "They reach nothing but AWS's own APIs, over TLS, with rights on exact resources. A VPC adds endpoints to pay "
        "and keep, and no boundary.",
    ),
    Suppression(
        "ES1001", ("WorkerCashCash", "WorkerErpUpkeep", "WorkerErpErpEvents", "WorkerExportExport", "WorkerPrivacyPrivacy", "WorkerStripeStripeEvents"),
        "Failure destinations are for streams; a queue's failed messages go where its redrive policy says.",
    ),
    Suppression(
        "ES6000",
        ("CashDeadLetterQueue", "ExportDeadLetterQueue", "PrivacyDeadLetterQueue", "UpkeepDeadLetterQueue", "ErpEventsDeadLetterQueue", "StripeEventsDeadLetterQueue", "TotalsDeadLetterQueue", "PortalLinksDeadLetterQueue"),
        "A dead-letter queue is where redriving ends.",
    ),
    Suppression(
        "ES7000", ("AlarmEmailSubscription",),
        "An alarm that could not be mailed is still an alarm in CloudWatch; a queue of unsent mails has no reader.",
    ),
    Suppression(
        "I3042", ("Api",),
        "SAM's transform writes the authorizer's URI, with the partition of the region that it runs in.",
    ),
    Suppression(
        "WS1004", FUNCTIONS,
        "It looks for a log group named after the function. Ours are named in LoggingConfig; our rule `function-logs` "
        "looks there, and asks for a year.",
    ),
)


def judged(findings: list[Finding]) -> list[Finding]:
    """The findings that count: those that are not suppressed, and suppressions of nothing."""
    suppressed = {(s.rule, resource) for s in SUPPRESSIONS for resource in s.resources}
    found = {(f.rule, f.resource) for f in findings}
    counting = {f for f in findings if (f.rule, f.resource) not in suppressed}
    unused = {Finding("unused-suppression", where, f"{rule} finds nothing here") for rule, where in suppressed - found}
    return sorted(counting | unused)
