"""Each right of a function is needed: without it, its work is not done, and the log says which is missing."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from conftest import ROOT, Stack, wait_for
from events import deliver, event
from people import call, fresh_code, member

RIGHTS = subprocess.run([sys.executable, "-m", "infra.local", "rights"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

# What the local stack does not ask for: rights that AWS's own services use on a function's behalf. The template's checks
# hold these.
NOT_ASKED_HERE = {
    *(f"{function}:{right}" for function in ("ApiAuth", "Authorizer", "WebhookStripe", "WorkerStripe") for right in (
        f"logs:CreateLogStream@{function}Logs", f"logs:PutLogEvents@{function}Logs",
        "xray:PutTelemetryRecords@*", "xray:PutTraceSegments@*")),
    *(f"{function}:kms:Decrypt@StorageKey" for function in ("ApiAuth", "WebhookStripe", "WorkerStripe")),
    *(f"WorkerStripe:sqs:{right}@StripeEventsQueue" for right in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")),
}


def sign_in_and_out(stack):
    """All that api-auth does, as far as it gets; answers the statuses."""
    who = member(stack, "viewer")
    status, _, told = call(stack, "/v1/auth/sign-in", {"email": who["email"], "password": who["password"]})
    if status != 200:
        return [status]
    body = {"session": told["session"], "code": fresh_code(who["totp_secret"])}
    status, _, tokens = call(stack, "/v1/auth/sign-in/challenge", body)
    if status != 200:
        return [status]
    token = tokens["access_token"]
    body = {"current_password": who["password"], "new_password": "velvet turbine octopus ladder"}
    return [call(stack, "/v1/auth/password", body, token=token)[0], call(stack, "/v1/auth/sign-out", {}, token=token)[0]]


def missed(right, directory):
    """Works on a stack without that right; answers how it was missed."""
    directory.mkdir()
    stack = Stack(directory, "--without", right)
    try:
        if right.startswith("ApiAuth"):
            assert max(sign_in_and_out(stack)) >= 500
            log = directory / "logs" / "api-auth.log"
            wait_for(lambda: log.exists() and "AccessDenied" in log.read_text(), 30, f"sign that {right} is missing")
            return True
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
