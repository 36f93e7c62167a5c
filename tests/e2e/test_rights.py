"""Each right of a function is needed: without it, its work is not done, and the log says which is missing."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from conftest import ROOT, Stack, wait_for
from events import deliver, event
from people import Staff, call, fresh_code, member

RIGHTS = subprocess.run([sys.executable, "-m", "infra.local", "rights"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

# What the local stack does not ask for: rights that AWS's own services use on a function's behalf. The template's checks
# hold these.
NOT_ASKED_HERE = {
    *(f"{function}:{right}" for function in ("ApiAuth", "ApiLedger", "Authorizer", "WebhookStripe", "WorkerStripe") for right in (
        f"logs:CreateLogStream@{function}Logs", f"logs:PutLogEvents@{function}Logs",
        "xray:PutTelemetryRecords@*", "xray:PutTraceSegments@*")),
    *(f"{function}:kms:Decrypt@StorageKey" for function in ("ApiAuth", "ApiLedger", "WebhookStripe", "WorkerStripe")),
    *(f"WorkerStripe:sqs:{right}@StripeEventsQueue" for right in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")),
}


def kebab(function):
    """A function's name, of its logical id."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", function).lower()


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


def work_on_the_ledger(stack):
    """All that api-ledger does."""
    staff = Staff(stack, "controller")
    price = {"amount": 100, "currency": "EUR"}
    customer, invoice = (stack.orgs[0][what][0]["id"] for what in ("customers", "invoices"))
    yield staff.ask("GET", "/customers")
    yield staff.ask("GET", "/invoices?status=open")
    yield staff.ask("GET", f"/invoices?customer_id={customer}")
    yield staff.ask("GET", f"/invoices/{invoice}")
    order = {"customer_id": customer, "number": "A", "lines": [{"description": "Chair", "quantity": "1", "unit_price": price}]}
    yield (made := staff.ask("POST", "/invoices", order))
    yield staff.ask("PATCH", f"/invoices/{made[2]['id']}", {"number": "B"})


# What the functions of staff's APIs do, each request's answer; the first that fails is the last.
WORK = {"ApiLedger": work_on_the_ledger}


def missed(right, directory):
    """Works on a stack without that right; answers how it was missed."""
    directory.mkdir()
    stack = Stack(directory, "--without", right)
    try:
        function = right.partition(":")[0]
        if function == "ApiAuth" or function in WORK:
            statuses = sign_in_and_out(stack) if function == "ApiAuth" else (answer[0] for answer in WORK[function](stack))
            assert any(status >= 500 for status in statuses), f"{right} is not needed"
            log = directory / "logs" / f"{kebab(function)}.log"
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
