"""Each right of a function is needed: without it, its work is not done, and the log says which is missing."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from browser import Visitor
from conftest import ROOT, Stack, wait_for
from events import deliver, event
from people import Staff, call, fresh_code, member, token

RIGHTS = subprocess.run([sys.executable, "-m", "infra.local", "rights"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

# What the local stack does not ask for: rights that AWS's own services use on a function's behalf. The template's checks
# hold these.
NOT_ASKED_HERE = {
    *(right for right in RIGHTS if right.partition(":")[2].startswith(("logs:", "xray:"))),
    *(right for right in RIGHTS if right.endswith(":kms:Decrypt@StorageKey")),
    *(f"WorkerStripe:sqs:{right}@StripeEventsQueue" for right in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")),
    *(f"WorkerTotals:dynamodb:{right}@LedgerTable" for right in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")),
    "WorkerTotals:sqs:SendMessage@TotalsDeadLetterQueue",
    "ApiWebhooks:kms:GenerateDataKey@StorageKey", "PagesConsole:kms:GenerateDataKey@StorageKey",
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
    yield staff.ask("GET", f"/invoices?customer_id={customer}&status=open")
    yield staff.ask("GET", f"/invoices/{invoice}")
    order = {"customer_id": customer, "number": "A", "lines": [{"description": "Chair", "quantity": "1", "unit_price": price}]}
    yield (made := staff.ask("POST", "/invoices", order))
    yield staff.ask("PATCH", f"/invoices/{made[2]['id']}", {"number": "B"})


def work_on_webhooks(stack):
    """All that api-webhooks does."""
    staff, sent = Staff(stack, "controller"), event("payout.paid")
    yield staff.ask("GET", "/webhook-endpoints")
    yield (made := staff.ask("POST", "/webhook-endpoints", {"provider": "stripe"}))
    yield staff.ask("POST", f"/webhook-endpoints/{made[2]['id']}/rotate")
    assert deliver(stack.orgs[0]["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 10, "work")
    yield (listed := staff.ask("GET", "/webhook-events"))
    yield staff.ask("POST", f"/webhook-events/{listed[2]['data'][0]['id']}/replay")


def work_on_the_audit_log(stack):
    """All that api-audit does."""
    staff = Staff(stack, "controller")
    yield staff.ask("GET", "/audit-events")
    yield staff.ask("GET", f"/audit-events?object={stack.orgs[0]['invoices'][0]['id']}")


def work_on_organisations(stack):
    """All that api-organisations does."""
    staff, email = Staff(stack, "controller"), "weber.canary@example.com"
    order = {"name": "Weber", "residency": "eu", "controller_email": email}
    yield call(stack, "/v1/orgs", order, token(stack, stack.json["operator"]))
    yield call(stack, "/v1/orgs", token=staff.token, method="GET")
    yield staff.ask("GET", "/members")
    yield (made := staff.ask("POST", "/members", {"email": email, "role": "viewer"}))
    yield staff.ask("DELETE", f"/members/{made[2]['id']}")


def work_on_signing_in(stack):
    """What pages-sign-in does."""
    visitor, who = Visitor(stack), member(stack, "viewer")
    yield (asked := visitor.post("/sign-in", email=who["email"], password=who["password"]))
    session = re.search(r'name="session" value="([^"]+)"', asked[2])[1]
    yield visitor.post("/sign-in/code", session=session, code=fresh_code(who["totp_secret"]))
    new = "velvet turbine octopus ladder"
    yield visitor.post("/password", current=who["password"], password=new, repeat=new)
    yield visitor.post("/sign-out")


def work_on_the_console(stack):
    """What pages-console does."""
    org, sent = stack.orgs[0], event("payout.paid")
    page = f"/orgs/{org['id']}"
    visitor = Visitor(stack, {"__Host-plixo-access": token(stack, member(stack, "controller"))})
    yield visitor.get("/orgs")
    yield visitor.get(f"{page}/invoices?status=open")
    yield visitor.get(f"{page}/invoices?customer={org['customers'][0]['id']}")
    yield visitor.get(f"{page}/invoices?customer={org['customers'][0]['id']}&status=open")
    line = {"lines__0__description": "Chair", "lines__0__quantity": "1", "lines__0__unit_price": "1"}
    draft = {"do": "save", "customer_id": org["customers"][0]["id"], "currency": "EUR", **line}
    yield (made := visitor.post(f"{page}/invoices/new", number="A", **draft))
    invoice = made[1]["location"].partition("?")[0]
    yield visitor.post(f"{invoice}/edit", number="B", **draft)
    yield visitor.get(invoice)
    email = "weber.canary@example.com"
    yield visitor.post(f"{page}/members", do="invite", email=email, role="viewer")
    yield (listed := visitor.get(f"{page}/members"))
    # The youngest comes first.
    yield visitor.post(f"{page}/members", do="remove", member=re.search(r'name="member" value="([^"]+)"', listed[2])[1])
    yield visitor.post(f"{page}/members", do="invite", email=email, role="viewer")
    yield (made := visitor.post(f"{page}/integrations", do="add", provider="stripe"))
    yield visitor.post(f"{page}/integrations", do="rotate", endpoint=re.search(r'name="endpoint" value="([^"]+)"', made[2])[1])
    yield visitor.get(f"{page}/audit")
    assert deliver(org["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 10, "work")
    yield (listed := visitor.get(f"{page}/webhook-events"))
    yield visitor.post(re.search(rf'href="({page}/webhook-events/evt_[^"]+)"', listed[2])[1], do="replay")


# What the functions of staff's APIs do, each request's answer; the first that fails is the last.
WORK = {"ApiAudit": work_on_the_audit_log, "ApiLedger": work_on_the_ledger, "ApiOrganisations": work_on_organisations,
        "ApiWebhooks": work_on_webhooks, "PagesConsole": work_on_the_console, "PagesSignIn": work_on_signing_in}


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
        if function == "WorkerTotals":
            # The demo organisations are its work.
            log = directory / "logs" / "worker-totals.log"
            wait_for(lambda: log.exists() and "AccessDenied" in log.read_text(), 30, f"sign that {right} is missing")
            staff = Staff(stack, "controller")
            assert staff.get("/invoices")["data"] and staff.get("/overview") == {"currencies": []}
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
