"""Each right of a function is needed: without it, the payment does not go through, and the log says which is missing."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from conftest import ROOT, Stack, wait_for
from events import deliver, event

RIGHTS = subprocess.run([sys.executable, "-m", "infra.local", "rights"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

# What the local stack does not ask for: rights that AWS's own services use on a function's behalf. The template's checks
# hold these.
NOT_ASKED_HERE = {
    *(f"{function}:{right}" for function in ("WebhookStripe", "WorkerStripe") for right in (
        "kms:Decrypt@StorageKey", f"logs:CreateLogStream@{function}Logs", f"logs:PutLogEvents@{function}Logs",
        "xray:PutTelemetryRecords@*", "xray:PutTraceSegments@*")),
    *(f"WorkerStripe:sqs:{right}@StripeEventsQueue" for right in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")),
}


def missed(right, directory):
    """Pays an invoice on a stack without that right; answers how it was missed."""
    directory.mkdir()
    stack = Stack(directory, "--without", right)
    try:
        org = stack.orgs[0]
        made = event("payment_intent.succeeded", invoice=org["invoices"][0]["id"], amount=100)
        status = deliver(org["webhook_endpoints"][0], made)
        function = "webhook-stripe" if right.startswith("WebhookStripe") else "worker-stripe"
        if function == "worker-stripe":
            assert status == 200, "the receiver has its rights"
        log = directory / "logs" / f"{function}.log"

        def said():
            return log.exists() and "AccessDenied" in log.read_text()

        wait_for(said, 30, f"sign that {right} is missing")
        assert not (status == 200 and function == "webhook-stripe"), "it must not be taken"
        assert not [line for line in stack.lines("worker-stripe") if line["outcome"] == "applied"]
        return True
    finally:
        stack.close()


def test_each_right_is_missed_when_it_is_taken_away(tmp_path):
    assert NOT_ASKED_HERE < set(RIGHTS)
    asked = sorted(set(RIGHTS) - NOT_ASKED_HERE)
    directories = [tmp_path / str(number) for number in range(len(asked))]
    with ThreadPoolExecutor(2) as stacks:
        assert all(stacks.map(missed, asked, directories))
