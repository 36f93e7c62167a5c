"""Each right of a function is needed: without it, its work is not done, and the log says which is missing."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import erps
from browser import Visitor, send
from conftest import ROOT, Stack, wait_for
from events import deliver, event
from people import Staff, call, fresh_code, member, token

RIGHTS = subprocess.run([sys.executable, "-m", "infra.local", "rights"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

# What the local stack does not ask for: rights that AWS's own services use on a function's behalf. The template's checks
# hold these.
NOT_ASKED_HERE = {
    *(right for right in RIGHTS if right.partition(":")[2].startswith(("logs:", "xray:"))),
    *(right for right in RIGHTS if right.endswith(":kms:Decrypt@StorageKey")),
    *(f"{worker}:sqs:{right}@{queue}" for right in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
      for worker, queue in (("WorkerCash", "CashQueue"), ("WorkerExport", "ExportQueue"), ("WorkerErp", "ErpEventsQueue"), ("WorkerErp", "UpkeepQueue"), ("WorkerStripe", "StripeEventsQueue"))),
    *(f"WorkerTotals:dynamodb:{right}@LedgerTable" for right in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")),
    "WorkerTotals:sqs:SendMessage@TotalsDeadLetterQueue",
    *(f"WorkerPortalLinks:dynamodb:{right}@LedgerTable" for right in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")),
    "WorkerPortalLinks:sqs:SendMessage@PortalLinksDeadLetterQueue",
    *(f"{function}:kms:GenerateDataKey@StorageKey" for function in ("ApiWebhooks", "JobLinkKeyRotation", "PagesConsole", "WorkerErp")),
    "WorkerExport:kms:GenerateDataKey@StorageKey",
}
# What the console's log does not tell of, for it is told in the line of an API that it asks in process, and what was asked is done.
# An address of a file is signed without it, and a part of a file is taken away only where the rest of it fails.
NOT_TRIED = {"PagesConsole:sqs:SendMessage@CashQueue", *(right for right in RIGHTS if re.match("(ApiExports|PagesConsole):s3:GetObject|WorkerExport:s3:Abort|PagesConsole:sqs:SendMessage@Export", right))}


def kebab(function):
    """A function's name, of its logical id."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", function).lower()


def sign_in_and_out(stack):
    """All that api-auth does."""
    who = member(stack, "viewer")
    yield (asked := call(stack, "/v1/auth/sign-in", {"email": who["email"], "password": who["password"]}))
    body = {"session": asked[2]["session"], "code": fresh_code(who["totp_secret"])}
    yield (told := call(stack, "/v1/auth/sign-in/challenge", body))
    body = {"current_password": who["password"], "new_password": "velvet turbine octopus ladder"}
    yield call(stack, "/v1/auth/password", body, token=told[2]["access_token"])
    yield call(stack, "/v1/auth/sign-out", {}, token=told[2]["access_token"])


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
    order = {"source": "bank", "amount": price, "customer_id": customer, "received_on": "2026-11-01"}
    yield (paid := staff.ask("POST", "/payments", order))
    yield staff.ask("GET", f"/payments/{paid[2]['id']}/suggestions")


def begin_to_pay(stack, staff):
    """A payer at Stripe: the invoice, the link and the answers so far."""
    invoice = stack.orgs[0]["invoices"][0]
    made = staff.ask("POST", f"/invoices/{invoice['id']}/portal-links", {"send_email": False})
    path = made[2]["url"].removeprefix(stack.base_url)
    answers = [send(stack.base_url, "GET", path), opened := send(stack.base_url, "POST", path)]
    cookie = re.search(r"__Host-plixo-portal=[^;]+", opened[1].get("set-cookie", ""))
    if cookie:
        headers = {"cookie": cookie[0]}
        answers += [send(stack.base_url, "GET", "/p/session", headers), send(stack.base_url, "POST", "/p/session/checkout", headers)]
    return invoice, path, answers


def work_on_paying(stack):
    """All that pages-portal does."""
    _, path, answers = begin_to_pay(stack, Staff(stack, "controller"))
    for answer in answers:
        # Who could not be sent to Stripe is led back to the page.
        yield (503,) if "again" in answer[1].get("location", "") else answer
    yield send(stack.base_url, "POST", f"{path}/fresh-link")


def settle_from_elsewhere(stack):
    """What worker-portal-links has to close: a link, and a session at Stripe."""
    staff = Staff(stack, "controller")
    invoice, _, _ = begin_to_pay(stack, staff)
    payment = staff.ask("POST", "/payments", {"source": "bank", "amount": invoice["total"], "received_on": "2026-11-01"})[2]
    shares = {"allocations": [{"invoice_id": invoice["id"], "amount": invoice["total"]}]}
    assert staff.ask("POST", f"/payments/{payment['id']}/allocations", shares)[0] == 201


def work_on_portal_links(stack):
    """All that api-portal-links does."""
    staff = Staff(stack, "controller")
    links = f"/invoices/{stack.orgs[0]['invoices'][0]['id']}/portal-links"
    yield (made := staff.ask("POST", links))
    yield staff.ask("GET", links)
    yield staff.ask("DELETE", f"/portal-links/{made[2]['id']}")


def stripe_keys(stack):
    """The restricted keys of two accounts, for the second organisation, which then never had one: the first one's payers pay."""
    vault = stack.aws("secretsmanager")
    [known] = [secret["ARN"] for page in vault.get_paginator("list_secrets").paginate() for secret in page["SecretList"]
               if secret["Name"].endswith(f"/stripe-keys/{stack.orgs[1]['id']}")]
    vault.delete_secret(SecretId=known, ForceDeleteWithoutRecovery=True)
    return [account["key"] for account in stack.json["stripe"]["accounts"][:2]]


def work_on_webhooks(stack):
    """All that api-webhooks does."""
    staff, sent = Staff(stack, "controller"), event("payout.paid")
    yield staff.ask("GET", "/webhook-endpoints")
    yield (made := staff.ask("POST", "/webhook-endpoints", {"provider": "stripe"}))
    yield staff.ask("POST", f"/webhook-endpoints/{made[2]['id']}/rotate")
    other = Staff(stack, "controller", 1)
    for key in stripe_keys(stack):
        yield other.ask("PUT", "/stripe-account", {"restricted_key": key})
    yield other.ask("DELETE", "/stripe-account")
    order = erps.source(stack)
    yield (source := other.ask("POST", "/data-sources", order))
    again = {name: order[name] for name in ("client_id", "client_secret")}
    yield other.ask("PATCH", f"/data-sources/{source[2]['id']}", again)
    yield other.ask("DELETE", f"/data-sources/{source[2]['id']}")
    assert deliver(stack.orgs[0]["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 10, "work")
    yield (listed := staff.ask("GET", "/webhook-events"))
    yield staff.ask("POST", f"/webhook-events/{listed[2]['data'][0]['id']}/replay")
    tell_as_erp(stack, erp_endpoint(stack), erps.invoice("r1", "R-1", 100))
    wait_for(lambda: stack.lines("worker-erp"), 10, "work")
    told = lambda: [it for it in staff.get("/webhook-events")["data"] if it["provider"] == "generic_hmac"]  # noqa: E731
    yield staff.ask("POST", f"/webhook-events/{wait_for(told, 5, 'event')[0]['id']}/replay")


def erp_endpoint(stack):
    """An endpoint that no function made: of one, a receiver and its worker need what the vault holds only."""
    id, secret = "whe_01h2xcejqtf2nbrexx3vqjhp41", "of nobody but of this test"
    entry = {"v": 1, "org": stack.orgs[0]["id"], "provider": "generic_hmac", "state": "enabled", "hmac": erps.GENERIC, "secrets": [{"secret": secret}]}
    vault = stack.aws("secretsmanager")
    known = next(secret["Name"] for page in vault.get_paginator("list_secrets").paginate() for secret in page["SecretList"]
                 if "/webhook-endpoints/" in secret["Name"])
    vault.create_secret(Name=f"{known.rpartition('/')[0]}/{id}", SecretString=json.dumps(entry))
    return {"url": f"{stack.base_url}/webhooks/erp/{id}", "provider": "generic_hmac", "secret": secret}


def tell_as_erp(stack, endpoint, first, *events):
    """Delivers events as an ERP, the first before the others: the statuses."""
    statuses = [erps.deliver(endpoint, first)]
    if statuses == [200]:
        # A worker that may not even start writes no line.
        wait_for(lambda: stack.lines("worker-erp") or denied(stack, "WorkerErp"), 30, "work on the first")
    return statuses + [erps.deliver(endpoint, event) for event in events]


def work_on_the_audit_log(stack):
    """All that api-audit does."""
    staff = Staff(stack, "controller")
    yield staff.ask("GET", "/audit-events")
    yield staff.ask("GET", f"/audit-events?object={stack.orgs[0]['invoices'][0]['id']}")


def export_orders(stack):
    """Orders of exports that between them read all that exports read."""
    customer = stack.orgs[0]["customers"][0]["id"]
    filters = ({}, {"status": "open"}, {"customer_id": customer}, {"customer_id": customer, "status": "open"})
    return [*({"kind": "invoices", "format": "csv", "filter": each} for each in filters), {"kind": "audit", "format": "json"}]


def work_on_exports(stack):
    """All that api-exports does."""
    staff = Staff(stack, "cfo")
    for order in export_orders(stack):
        yield (made := staff.ask("POST", "/exports", order))
    yield staff.ask("GET", "/exports?expand=members")
    yield Staff(stack, "controller").ask("POST", f"/exports/{made[2]['id']}/approve")


def write_exports(stack):
    """Has worker-export do all that it does."""
    staff, controller = Staff(stack, "cfo"), Staff(stack, "controller")
    for order in export_orders(stack):
        made = staff.make("/exports", order)
        assert controller.ask("POST", f"/exports/{made['id']}/approve")[0] == 200


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
    yield (made := visitor.post(f"{page}/invoices/new", number="C", **draft))
    invoice = made[1]["location"].partition("?")[0]
    yield visitor.post(f"{invoice}/edit", number="D", **draft)
    yield visitor.get(invoice)
    email = "keller.canary@example.com"
    yield visitor.post(f"{page}/members", do="invite", email=email, role="viewer")
    yield (listed := visitor.get(f"{page}/members"))
    # The youngest comes first.
    yield visitor.post(f"{page}/members", do="remove", member=re.search(r'name="member" value="([^"]+)"', listed[2])[1])
    yield visitor.post(f"{page}/members", do="invite", email=email, role="viewer")
    yield (made := visitor.post(f"{page}/integrations", do="add", provider="stripe"))
    yield visitor.post(f"{page}/integrations", do="rotate", endpoint=re.search(r'name="endpoint" value="([^"]+)"', made[2])[1])
    other = Visitor(stack, {"__Host-plixo-access": token(stack, member(stack, "controller", 1))})
    payments = f"/orgs/{stack.orgs[1]['id']}/integrations"
    for key in stripe_keys(stack):
        yield other.post(payments, do="connect", restricted_key=key)
    yield other.post(payments, do="disconnect")
    order = erps.source(stack)
    yield other.post(payments, do="connect_source", **order)
    yield (shown := other.get(payments))
    source = re.search(r'name="source" value="([^"]+)"', shown[2])[1]
    again = {name: order[name] for name in ("client_id", "client_secret")}
    yield other.post(payments, do="reconnect_source", source=source, **again)
    yield other.post(payments, do="disconnect_source", source=source)
    yield visitor.post(f"{page}/invoices/{org['invoices'][0]['id']}", do="email_link")
    yield visitor.get(f"{page}/audit")
    paid = {"source": "bank", "amount": "1.00", "currency": "EUR", "received_on": "2026-11-01", "customer_id": org["customers"][0]["id"]}
    yield visitor.post(f"{page}/payments/new", **paid)
    # It shows also where suggestions are not to be had.
    yield visitor.get(f"{page}/cash")
    assert deliver(org["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 10, "work")
    yield (listed := visitor.get(f"{page}/webhook-events"))
    yield visitor.post(re.search(rf'href="({page}/webhook-events/evt_[^"]+)"', listed[2])[1], do="replay")
    staff = Staff(stack, "billing_admin")
    tell_as_erp(stack, erp_endpoint(stack), erps.invoice("r2", "R-2", 100))
    told = lambda: [it for it in staff.get("/webhook-events")["data"] if it["provider"] == "generic_hmac"]  # noqa: E731
    yield visitor.post(f"{page}/webhook-events/{wait_for(told, 10, 'event')[0]['id']}", do="replay")


# What the functions for staff do, each request's answer; the first that fails is the last.
WORK = {"ApiAudit": work_on_the_audit_log, "ApiAuth": sign_in_and_out, "ApiExports": work_on_exports, "ApiLedger": work_on_the_ledger,
        "ApiOrganisations": work_on_organisations, "ApiPortalLinks": work_on_portal_links, "ApiWebhooks": work_on_webhooks,
        "PagesConsole": work_on_the_console, "PagesPortal": work_on_paying, "PagesSignIn": work_on_signing_in}
# Whom each function's work needs unharmed, besides the function.
NEEDS = {"WorkerExport": {"ApiAuth", "ApiExports"}, "WorkerStripe": {"WebhookStripe"}, "WorkerTotals": {"ApiAuth", "ApiLedger"},
         "WorkerPortalLinks": {"ApiAuth", "ApiLedger", "ApiPortalLinks", "PagesPortal"},
         **{function: {"ApiAuth"} for function in WORK if function != "ApiAuth"}, "PagesPortal": {"ApiAuth", "ApiPortalLinks"},
         **{function: {"ApiAuth", "WebhookStripe", "WorkerStripe"} for function in ("ApiWebhooks", "PagesConsole")},
         "WorkerErp": {"WebhookErp"}, "WorkerCash": {"WebhookErp", "WorkerErp"}, "JobDataSources": {"ApiAuth", "ApiWebhooks"}}
# What is missed at the end only, or by nobody who asks: until then an ERP is needed too.
LATE = re.compile(r"(ApiWebhooks|PagesConsole):.*(@ErpEventsQueue|/by-amount|/by-owed)$")


def denied(stack, function):
    """Whether the function's log says that it lacks a right."""
    log = stack.dir / "logs" / f"{kebab(function)}.log"
    return log.exists() and "AccessDenied" in log.read_text()

# What is missed only where a data source is read.
OF_SOURCES = re.compile(r"WorkerErp:(secretsmanager:.*|dynamodb:Query@.*)$")


def function_of(right):
    return right.partition(":")[0]


def needs(right):
    """Whom the work for a right needs."""
    needed = NEEDS.get(function_of(right), set())
    needed = needed | ({"WebhookErp", "WorkerErp"} if LATE.match(right) else set())
    return needed | ({"ApiAuth", "ApiWebhooks", "JobDataSources"} if OF_SOURCES.match(right) else set())


def together(one, other):
    """Whether both rights can be missing on one stack, and each be missed by itself."""
    these, those = function_of(one), function_of(other)
    return these != those and these not in needs(other) and those not in needs(one)


def grouped(rights):
    """The rights in few groups, each for one stack."""
    groups = []
    for right in rights:
        group = next((group for group in groups if all(together(right, other) for other in group)), None)
        group.append(right) if group else groups.append([right])
    return groups


def miss(stack, right):
    """Has the work done that needs the right."""
    function = function_of(right)

    def wait_until_told():
        wait_for(lambda: denied(stack, function), 30, f"sign that {right} is missing")

    if function in WORK:
        # Its log tells also of what nobody is answered.
        any(answer[0] >= 500 for answer in WORK[function](stack))
        wait_until_told()
    elif function == "WorkerTotals":
        # The demo organisations are its work.
        wait_until_told()
        staff = Staff(stack, "controller")
        assert staff.get("/invoices")["data"] and staff.get("/overview") == {"currencies": []}
    elif function == "WorkerPortalLinks":
        settle_from_elsewhere(stack)
        wait_until_told()
    elif function == "WorkerExport":
        write_exports(stack)
        wait_until_told()
    elif function == "JobLinkKeyRotation":
        vault, keys = stack.aws("secretsmanager"), stack.resources.LinkKeys
        before = vault.get_secret_value(SecretId=keys)["VersionId"]
        vault.rotate_secret(SecretId=keys)
        # The first line is of the test with which its rotation was switched on.
        wait_for(lambda: "failed" in [line["outcome"] for line in stack.lines(kebab(function))[1:]], 30, "failed rotation")
        wait_until_told()
        assert vault.get_secret_value(SecretId=keys)["VersionId"] == before, f"{right} is not needed"
    elif function == "JobDataSources" or OF_SOURCES.match(right):
        kept_up(stack)
        wait_until_told()
    elif function in ("WebhookErp", "WorkerErp", "WorkerCash"):
        events = (
            erps.invoice("i1", "R-1001", 100, customer="C-7"),
            erps.invoice("i1", "R-1002", 100, customer="C-7", at="2026-11-21T09:00:00Z"),
            erps.payment("p1", 70, customer="C-7", remittance="thanks"),
            erps.payment("p2", 100, customer="C-7", remittance="R-1002"),
        )
        statuses = tell_as_erp(stack, erp_endpoint(stack), *events)
        assert any(status >= 500 for status in statuses) == (function == "WebhookErp"), statuses
        wait_until_told()
    else:
        org = stack.orgs[0]
        # Only a payment that names no invoice is to be applied by somebody.
        invoice = None if right.endswith("@CashQueue") else org["invoices"][0]["id"]
        made = event("payment_intent.succeeded", invoice=invoice, amount=100)
        status = deliver(org["webhook_endpoints"][0], made)
        assert status == 200 if function == "WorkerStripe" else status >= 500
        wait_until_told()
        assert not [line for line in stack.lines("worker-stripe") if line["outcome"] == "applied"]


def kept_up(stack):
    """Has a data source kept up that needs a new token."""
    staff, order = Staff(stack, "controller"), erps.source(stack, "business_central")
    endpoint = {"provider": "business_central", "account": order["account"]}
    assert staff.ask("POST", "/webhook-endpoints", endpoint)[0] == 201
    assert staff.ask("POST", "/data-sources", order)[0] == 201
    erps.double(stack, "POST", "tokens", {"access": "expire"})
    erps.keep_up(stack)


def missed(rights, directory):
    """Works on a stack without those rights."""
    directory.mkdir()
    stack = Stack(directory, *(option for right in rights for option in ("--without", right)))
    try:
        for right in rights:
            miss(stack, right)
    finally:
        stack.close()


def test_each_right_is_missed_when_it_is_taken_away(tmp_path):
    assert NOT_ASKED_HERE | NOT_TRIED < set(RIGHTS)
    groups = grouped(sorted(set(RIGHTS) - NOT_ASKED_HERE - NOT_TRIED))
    with ThreadPoolExecutor(2) as stacks:
        list(stacks.map(missed, groups, (tmp_path / str(number) for number in range(len(groups)))))
