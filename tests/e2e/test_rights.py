"""Each right of a function is needed: without it, its work is not done, and the log says which is missing."""

import contextlib
import itertools
import json
import re
import uuid

import erps
import pytest
from browser import Visitor, send
from conftest import ROOT, Stack, wait_for
from events import deliver, event, tell
from infra.local.stack import planned
from infra.local.template import deployed_without, parts, rights
from past import Past, ago, retain
from people import Staff, call, fresh_code, member, release_all, seal, token

# Who reads a queue or a stream, and which.
READ = {("WorkerCash", "CashQueue"), ("WorkerErp", "ErpEventsQueue"), ("WorkerErp", "UpkeepQueue"), ("WorkerExport", "ExportQueue"),
        ("WorkerPrivacy", "PrivacyQueue"), ("WorkerStripe", "StripeEventsQueue")}
FOLLOWED = {"WorkerTotals": "TotalsDeadLetterQueue", "WorkerPortalLinks": "PortalLinksDeadLetterQueue"}
# What the local stack does not ask for: rights that AWS's own services use on a function's behalf. The template's checks
# hold these.
NOT_ASKED_HERE = {
    *(f"{worker}:sqs:{right}@{queue}" for right in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage") for worker, queue in READ),
    *(f"{worker}:dynamodb:{right}@LedgerTable" for right in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams") for worker in FOLLOWED),
    *(f"{worker}:sqs:SendMessage@{queue}" for worker, queue in FOLLOWED.items()),
    *(f"{function}:kms:GenerateDataKey@StorageKey" for function in ("ApiWebhooks", "JobLinkKeyRotation", "JobRetention", "PagesConsole", "WorkerErp")),
    *(f"{function}:kms:GenerateDataKey@StorageKey" for function in ("JobAuditSeal", "WorkerExport", "WorkerPrivacy")), *(f"{function}:s3:ListBucket@CheckpointsBucket" for function in ("JobAuditSeal", "WorkerExport")),
}
OF_ALL_NOT_ASKED_HERE = re.compile(r"\w+:(logs:.*|xray:.*|kms:Decrypt@StorageKey)")
# What the console's log does not tell of, for it is told in the line of an API that it asks in process, and what was asked is done.
# Which pieces of a payload are left is asked where two runs meet.
# Who is due to be forgotten was made two years ago; a certificate is read where an attempt died; and a letter that is not given back comes back by itself.
# An address of a file is signed without the right to the file, and a part of a file is taken away only where the rest of it fails.
NOT_TRIED = re.compile(r"PagesConsole:sqs:SendMessage@(CashQueue|ExportQueue|PrivacyQueue)|(ApiExports|ApiPrivacy|PagesConsole):s3:GetObject@.*|Worker(Export|Privacy):s3:Abort.*|JobRetention:dynamodb:BatchGetItem@WebhookEventsTable"
                       r"|WorkerPrivacy:(dynamodb:Query@.*/by-owed|s3:GetObject@.*|sqs:ChangeMessageVisibility@.*)")
# Of what these services said, logs hold the code alone, for it may name a person.
SILENT = {"cognito-idp": "Cognito", "ses": "SES"}


class Lane(Stack):
    """A stack on which one right after the other is taken away, and given back."""

    def __init__(self, directory):
        directory.mkdir()
        super().__init__(directory)
        # In each of which nothing is owed or paid yet.
        self.currencies = iter(("SEK", "NOK", "DKK", "CHF", "PLN", "CZK", "GBP", "CAD", "AUD", "NZD", "SGD", "HKD", "RON", "MXN", "ZAR", "TRY"))
        # Of whom nothing but signing in is asked.
        self.sleepers = itertools.cycle([member(self, role, org) for org in (0, 1) for role in ("viewer", "cfo", "compliance")])

    def sleeper(self):
        """Somebody whose password is the one of `stack.json`, whatever was tried before."""
        who = next(self.sleepers)
        self.aws("cognito-idp").admin_set_user_password(UserPoolId=self.resources.UserPool, Username=who["email"],
                                                        Password=who["password"], Permanent=True)
        return who

    @contextlib.contextmanager
    def without(self, template, right):
        """The name of a function's log while it lacks a right: of executions that began without it, and of no others."""
        function = parts(right)[0]
        iam, role = self.aws("iam"), getattr(self.resources, f"{function}Role")
        policies = {policy: iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]}
        log = f"{kebab(function)}-{new_name()}"
        self._set(role, deployed_without(template, right, policies))
        group = self._begin_anew(function, f"/tries/{log}")
        try:
            yield log
        finally:
            self._set(role, policies)
            self._begin_anew(function, group)

    def _set(self, role, policies):
        for policy, document in policies.items():
            self.aws("iam").put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))

    def _begin_anew(self, function, group):
        """Ends what executes, so that nothing is known from before, and gives what comes another log group; the former one."""
        functions, name = self.aws("lambda"), getattr(self.resources, function)
        known = functions.get_function_configuration(FunctionName=name)
        functions.update_function_configuration(FunctionName=name, MemorySize=known["MemorySize"],
                                                LoggingConfig={**known["LoggingConfig"], "LogGroup": group})
        return known["LoggingConfig"]["LogGroup"]


def new_name():
    """A name that nothing had before."""
    return uuid.uuid4().hex[:12]


def kebab(function):
    """A function's name, of its logical id."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", function).lower()


def sign_in_and_out(stack):
    """All that api-auth does."""
    who = stack.sleeper()
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
    order = {"customer_id": customer, "number": new_name(), "lines": [{"description": "Chair", "quantity": "1", "unit_price": price}]}
    yield (made := staff.ask("POST", "/invoices", order))
    yield staff.ask("PATCH", f"/invoices/{made[2]['id']}", {"number": new_name()})
    order = {"source": "bank", "amount": price, "customer_id": customer, "received_on": "2026-11-01"}
    yield (paid := staff.ask("POST", "/payments", order))
    yield staff.ask("GET", f"/payments/{paid[2]['id']}/suggestions")


def issued(stack, staff, currency="EUR"):
    """An invoice that is owed."""
    line = {"description": "Chair", "quantity": "1", "unit_price": {"amount": 10_000, "currency": currency}}
    order = {"customer_id": stack.orgs[0]["customers"][0]["id"], "lines": [line], "due_on": "2027-01-31"}
    status, _, invoice = staff.ask("POST", f"/invoices/{staff.make('/invoices', order)['id']}/finalize")
    assert status == 200, invoice
    return invoice


def begin_to_pay(stack, staff):
    """A payer at Stripe: the invoice, the link and the answers so far."""
    invoice = issued(stack, staff)
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
    links = f"/invoices/{issued(stack, staff)['id']}/portal-links"
    yield (made := staff.ask("POST", links))
    yield staff.ask("GET", links)
    yield staff.ask("DELETE", f"/portal-links/{made[2]['id']}")


def stripe_keys(stack):
    """The restricted keys of two accounts, for the second organisation, which then never had one."""
    vault, of_it = stack.aws("secretsmanager"), f"/stripe-keys/{stack.orgs[1]['id']}"
    for secret in secrets(stack):
        if secret.endswith(of_it):
            vault.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    return [account["key"] for account in stack.json["stripe"]["accounts"][:2]]


def secrets(stack):
    """What the vault holds, by name."""
    pages = stack.aws("secretsmanager").get_paginator("list_secrets").paginate()
    return [secret["Name"] for page in pages for secret in page["SecretList"]]


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
    assert tell(stack.orgs[0]["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 10, "work")
    yield staff.ask("GET", "/webhook-events")
    yield staff.ask("POST", f"/webhook-events/{came(stack, provider_event_id=sent['id'])}/replay")
    endpoint = erp_endpoint(stack)
    tell_as_erp(stack, endpoint, erps.invoice(new_name(), new_name(), 100))
    yield staff.ask("POST", f"/webhook-events/{came(stack, endpoint_id=endpoint['id'])}/replay")


def came(stack, **what):
    """The id of the webhook event that is that, once it is listed."""
    staff = Staff(stack, "billing_admin")
    found = lambda: [it["id"] for it in staff.get("/webhook-events")["data"] if what.items() <= it.items()]  # noqa: E731
    return wait_for(found, 10, "webhook event")[0]


def erp_endpoint(stack):
    """An endpoint that no function made: of one, a receiver and its worker need what the vault holds only."""
    id, secret = f"whe_01h2xcejqtf2nb{new_name()}", "of nobody but of this test"
    entry = {"v": 1, "org": stack.orgs[0]["id"], "provider": "generic_hmac", "state": "enabled", "hmac": erps.GENERIC, "secrets": [{"secret": secret}]}
    known = next(secret for secret in secrets(stack) if "/webhook-endpoints/" in secret)
    stack.aws("secretsmanager").create_secret(Name=f"{known.rpartition('/')[0]}/{id}", SecretString=json.dumps(entry))
    return {"id": id, "url": f"{stack.base_url}/webhooks/erp/{id}", "provider": "generic_hmac", "secret": secret}


def tell_as_erp(stack, endpoint, first, *others, log="worker-erp"):
    """Delivers events as an ERP, the first before the others: the statuses."""
    statuses = [erps.deliver(endpoint, first)]
    if statuses == [200]:
        # A worker that may not even start writes no line.
        done = lambda: "AccessDenied" in stack.log(log) or any(line.get("endpoint") == endpoint["id"] for line in stack.lines(log))  # noqa: E731
        wait_for(done, 30, "work on the first")
    return statuses + [erps.deliver(endpoint, other) for other in others]


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


def work_on_privacy(stack):
    """All that api-privacy does."""
    staff, org = Staff(stack, "compliance"), stack.orgs[0]
    yield staff.ask("PUT", "/retention", {"notice": 60})
    # When somebody was last active is asked of those only whose time seems to be over.
    with Past(stack, org["id"]).old_customer(org["customers"][0]["id"]):
        yield staff.ask("GET", "/retention/preview")
    customer = Staff(stack, "controller").make("/customers", {"name": f"Asking {new_name()}"})["id"]
    yield (held := staff.ask("POST", "/legal-holds", {"customer_id": customer, "reason": "A dispute"}))
    yield staff.ask("GET", "/legal-holds")
    yield staff.ask("POST", "/privacy-requests", {"kind": "access", "customer_id": customer})
    yield staff.ask("POST", f"/legal-holds/{held[2]['id']}/release")


def write_exports(stack):
    """Has worker-export do all that it does."""
    staff, controller = Staff(stack, "cfo"), Staff(stack, "controller")
    for order in (*export_orders(stack), {"kind": "customers", "format": "csv"}):
        made = staff.make("/exports", order)
        assert controller.ask("POST", f"/exports/{made['id']}/approve")[0] == 200


def do_privacy_requests(stack, is_told):
    """Has worker-privacy do all that it does, until the missing right is told of: without it, a request has no end."""
    # Not of the first organisation, whose exports were interrupted: an erasure waits until none of them can be going on.
    staff, compliance, name = Staff(stack, "controller", 1), Staff(stack, "compliance", 1), f"Caspian {new_name()}"
    [endpoint] = stack.orgs[1]["webhook_endpoints"]
    status, _, customer = staff.ask("POST", "/customers", {"name": name}, idempotency_key=new_name())
    assert status == 201, customer
    line = {"description": "Chair", "quantity": "1", "unit_price": {"amount": 100, "currency": "EUR"}}
    invoice = staff.make("/invoices", {"customer_id": customer["id"], "lines": [line]})
    staff.make("/payments", {"source": "bank", "amount": line["unit_price"], "customer_id": customer["id"], "payer_name": name, "received_on": "2026-11-01"})
    told = event("customer.created", name=name)
    told["data"]["object"] |= {"id": f"cus_{new_name()}", "metadata": {"plixo_customer_id": customer["id"]}}
    assert tell(endpoint, told) == 200
    wait_for(lambda: stack.worked(told["id"]), 10, "work")
    envelope = {"v": 1, "org": staff.org, "endpoint": endpoint["id"], "provider": "stripe", "request_id": "r1",
                "received_at": "2026-11-01T00:00:00Z", "encoding": "identity"}
    for queue in ("StripeEventsDeadLetterQueue", "ErpEventsDeadLetterQueue"):
        stack.aws("sqs").send_message(QueueUrl=getattr(stack.resources, queue), MessageBody=json.dumps({"invoice": invoice["id"]}),
                                      MessageAttributes={"plixo": {"DataType": "String", "StringValue": json.dumps(envelope)}})
    for kind in ("access", "erasure"):
        asked = compliance.make("/privacy-requests", {"kind": kind, "customer_id": customer["id"]})
        ended = lambda: compliance.get(f"/privacy-requests/{asked['id']}")["status"] == "done"  # noqa: E731, B023
        wait_for(lambda: is_told() or ended(), 30, "end")
        if is_told():
            return


def work_on_organisations(stack):
    """All that api-organisations does."""
    staff, email = Staff(stack, "controller"), f"{new_name()}.canary@example.com"
    order = {"name": f"Weber {new_name()}", "residency": "eu", "controller_email": email}
    yield call(stack, "/v1/orgs", order, token(stack, stack.json["operator"]))
    yield call(stack, "/v1/orgs", token=staff.token, method="GET")
    yield staff.ask("GET", "/members")
    yield (made := staff.ask("POST", "/members", {"email": email, "role": "viewer"}))
    yield staff.ask("DELETE", f"/members/{made[2]['id']}")


def work_on_signing_in(stack):
    """What pages-sign-in does."""
    visitor, who = Visitor(stack), stack.sleeper()
    yield (asked := visitor.post("/sign-in", email=who["email"], password=who["password"]))
    session = re.search(r'name="session" value="([^"]+)"', asked[2])[1]
    yield visitor.post("/sign-in/code", session=session, code=fresh_code(who["totp_secret"]))
    new = "velvet turbine octopus ladder"
    yield visitor.post("/password", current=who["password"], password=new, repeat=new)
    yield visitor.post("/sign-out")


def work_on_the_console(stack):
    """What pages-console does."""
    org, sent, staff = stack.orgs[0], event("payout.paid"), Staff(stack, "billing_admin")
    page = f"/orgs/{org['id']}"
    visitor = Visitor(stack, {"__Host-plixo-access": token(stack, member(stack, "controller"))})
    yield visitor.get("/orgs")
    yield visitor.get(f"{page}/invoices?status=open")
    yield visitor.get(f"{page}/invoices?customer={org['customers'][0]['id']}")
    yield visitor.get(f"{page}/invoices?customer={org['customers'][0]['id']}&status=open")
    line = {"lines__0__description": "Chair", "lines__0__quantity": "1", "lines__0__unit_price": "1"}
    draft = {"do": "save", "customer_id": org["customers"][0]["id"], "currency": "EUR", **line}
    yield (made := visitor.post(f"{page}/invoices/new", number=new_name(), **draft))
    invoice = made[1]["location"].partition("?")[0]
    yield visitor.post(f"{invoice}/edit", number=new_name(), **draft)
    yield visitor.get(invoice)
    email = f"{new_name()}.canary@example.com"
    yield visitor.post(f"{page}/members", do="invite", email=email, role="viewer")
    yield (listed := visitor.get(f"{page}/members"))
    # The youngest comes first.
    yield visitor.post(f"{page}/members", do="remove", member=re.search(r'name="member" value="([^"]+)"', listed[2])[1])
    yield visitor.post(f"{page}/members", do="invite", email=email, role="viewer")
    yield (made := visitor.post(f"{page}/integrations", do="add", provider="stripe"))
    yield visitor.post(f"{page}/integrations", do="rotate", endpoint=re.search(r"/webhooks/stripe/(whe_\w+)", made[2])[1])
    other = Visitor(stack, {"__Host-plixo-access": token(stack, member(stack, "controller", 1))})
    payments = f"/orgs/{stack.orgs[1]['id']}/integrations"
    for key in stripe_keys(stack):
        yield other.post(payments, do="connect", restricted_key=key)
    yield other.post(payments, do="disconnect")
    order = erps.source(stack, name=new_name())
    yield other.post(payments, do="connect_source", **order)
    yield (shown := other.get(payments))
    source = re.search(rf'id="name-(\w+)"><bdi>{order["name"]}<', shown[2])[1]
    again = {name: order[name] for name in ("client_id", "client_secret")}
    yield other.post(payments, do="reconnect_source", source=source, **again)
    yield other.post(payments, do="disconnect_source", source=source)
    yield visitor.post(f"{page}/invoices/{issued(stack, staff)['id']}", do="email_link")
    yield visitor.get(f"{page}/audit")
    customer = staff.make("/customers", {"name": f"Held {new_name()}"})["id"]
    yield visitor.post(f"{page}/legal-holds/new", on="customer", customer_id=customer, reason="A dispute")
    with Past(stack, org["id"]).old_customer(org["customers"][0]["id"]):
        yield visitor.get(f"{page}/retention?customer_personal_data=30")
    yield visitor.post(f"{page}/privacy-requests/new", kind="access", customer=customer)
    yield (listed := visitor.get(f"{page}/legal-holds"))
    # The youngest comes first.
    yield visitor.post(re.search(r'/orgs/\w+/legal-holds/hld_\w+', listed[2])[0], do="release")
    paid = {"source": "bank", "amount": "1.00", "currency": "EUR", "received_on": "2026-11-01", "customer_id": org["customers"][0]["id"]}
    yield visitor.post(f"{page}/payments/new", **paid)
    # It shows also where suggestions are not to be had.
    yield visitor.get(f"{page}/cash")
    assert tell(org["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 10, "work")
    yield visitor.get(f"{page}/webhook-events")
    yield visitor.post(f"{page}/webhook-events/{came(stack, provider_event_id=sent['id'])}", do="replay")
    endpoint = erp_endpoint(stack)
    tell_as_erp(stack, endpoint, erps.invoice(new_name(), new_name(), 100))
    yield visitor.post(f"{page}/webhook-events/{came(stack, endpoint_id=endpoint['id'])}", do="replay")


# What the functions for staff do, each request's answer; the first that fails is the last.
WORK = {"ApiAudit": work_on_the_audit_log, "ApiAuth": sign_in_and_out, "ApiExports": work_on_exports, "ApiLedger": work_on_the_ledger,
        "ApiOrganisations": work_on_organisations, "ApiPortalLinks": work_on_portal_links, "ApiPrivacy": work_on_privacy, "ApiWebhooks": work_on_webhooks,
        "PagesConsole": work_on_the_console, "PagesPortal": work_on_paying, "PagesSignIn": work_on_signing_in}


def denied(stack, log, action):
    """Whether a log says that the right to an action was missing."""
    silent = SILENT.get(action.partition(":")[0])
    return re.search(rf"{silent} refused: AccessDenied" if silent else rf"AccessDenied.* not authorized to perform: {action}\b", stack.log(log))


# What is missed only where a data source is read.
OF_SOURCES = re.compile(r"WorkerErp:(secretsmanager:.*|dynamodb:Query@.*)$")


def miss(stack, right, log):
    """Has the work done that needs the right, which the function lacks, and waits until its log says so."""
    function, action, _ = parts(right)

    def is_told():
        return denied(stack, log, action)

    def wait_until_told():
        wait_for(is_told, 30, f"sign that {right} is missing")

    if function in WORK:
        # Its log tells also of what nobody is answered.
        for _ in range(3):
            # What fails may fail for the busy emulator, and then nothing after it is done.
            any(answer[0] >= 500 for answer in WORK[function](stack))
            if is_told():
                break
        wait_until_told()
    elif function == "WorkerTotals":
        staff, currency = Staff(stack, "controller"), next(stack.currencies)
        is_counted = lambda: currency in [of["currency"] for of in staff.get("/overview")["currencies"]]  # noqa: E731
        invoice = issued(stack, staff, currency)
        is_of_what_is_gone = action == "dynamodb:DeleteItem"
        if is_of_what_is_gone:
            wait_for(is_counted, 10, "sum")
            Past(stack, staff.org).gone("invoice", invoice["id"])
        wait_until_told()
        assert is_counted() == is_of_what_is_gone
    elif function == "WorkerPortalLinks":
        settle_from_elsewhere(stack)
        wait_until_told()
    elif function == "JobAuditSeal":
        # What was just sealed is looked at once more, for what came late.
        for _ in range(2):
            Staff(stack, "controller").ask("GET", "/invoices")
            seal(stack)
        wait_until_told()
    elif function == "JobRetention":
        # Without some right, one was not released.
        release_all(Staff(stack, "compliance"))
        past = Past(stack, stack.orgs[0]["id"])
        past.everything(Staff(stack, "controller"), Staff(stack, "controller"), Staff(stack, "cfo"))
        past.webhook_event(stack.orgs[0]["webhook_endpoints"][0])
        past.set(lambda row: row["settings"].update(retention={"audit_event": 365}))
        past.log(400, 1)
        if right.startswith("JobRetention:s3:PutObject@"):
            close(stack)
        retain(stack)
        wait_until_told()
    elif function == "WorkerExport":
        # When somebody was last active is asked of those only whose time seems to be over.
        with Past(stack, stack.orgs[0]["id"]).old_customer(stack.orgs[0]["customers"][0]["id"]):
            write_exports(stack)
            wait_until_told()
    elif function == "WorkerPrivacy":
        do_privacy_requests(stack, is_told)
        wait_until_told()
    elif function == "JobLinkKeyRotation":
        vault, keys = stack.aws("secretsmanager"), stack.resources.LinkKeys
        before = vault.get_secret_value(SecretId=keys)["VersionId"]
        begun = vault.rotate_secret(SecretId=keys)["VersionId"]
        wait_for(lambda: "failed" in [line["outcome"] for line in stack.lines(log)], 30, "failed rotation")
        wait_until_told()
        assert vault.get_secret_value(SecretId=keys)["VersionId"] == before, f"{right} is not needed"
        # The next one begins anew.
        vault.update_secret_version_stage(SecretId=keys, VersionStage="AWSPENDING", RemoveFromVersionId=begun)
    elif function == "JobDataSources" or OF_SOURCES.match(right):
        kept_up(stack)
        wait_until_told()
    elif function in ("WebhookErp", "WorkerErp", "WorkerCash"):
        invoice, number, customer = new_name(), new_name(), new_name()
        events = (
            erps.invoice(invoice, new_name(), 100, customer=customer),
            erps.invoice(invoice, number, 100, customer=customer, at="2026-11-21T09:00:00Z"),
            erps.payment(new_name(), 70, customer=customer, remittance="thanks"),
            erps.payment(new_name(), 100, customer=customer, remittance=number),
        )
        statuses = tell_as_erp(stack, erp_endpoint(stack), *events, log=log if function == "WorkerErp" else "worker-erp")
        assert any(status >= 500 for status in statuses) == (function == "WebhookErp"), statuses
        wait_until_told()
    else:
        # Only a payment that names no invoice is to be applied by somebody.
        invoice = None if right.endswith("@CashQueue") else stack.orgs[0]["invoices"][0]["id"]
        made = event("payment_intent.succeeded", invoice=invoice, amount=100)
        status = (tell if function == "WorkerStripe" else deliver)(stack.orgs[0]["webhook_endpoints"][0], made)
        assert status == 200 if function == "WorkerStripe" else status >= 500
        wait_until_told()
        assert not [line for it in ("worker-stripe", log) for line in stack.lines(it) if line.get("event_id") == made["id"] and line["outcome"] == "applied"]


def close(stack):
    """An organisation that was closed long ago."""
    order = {"name": f"Weber {new_name()}", "residency": "eu", "controller_email": f"{new_name()}.canary@example.com"}
    past = Past(stack, call(stack, "/v1/orgs", order, token(stack, stack.json["operator"]))[2]["id"])
    member = json.loads(past.items("LedgerTable", "member-pointer")[0]["row"]["S"])["id"]
    past.set(lambda row: row.update(closed={"by": member, "at": ago(40).isoformat()}))


def kept_up(stack):
    """Has a data source kept up that needs a new token."""
    staff, order = Staff(stack, "controller"), erps.source(stack, "business_central")
    endpoint = {"provider": "business_central", "account": order["account"]}
    assert staff.ask("POST", "/webhook-endpoints", endpoint)[0] == 201
    assert staff.ask("POST", "/data-sources", order)[0] == 201
    erps.double(stack, "POST", "tokens", {"access": "expire"})
    erps.keep_up(stack)


def missed(template, rights, directory):
    """Takes one right after the other away on one stack."""
    stack = Lane(directory)
    try:
        for right in rights:
            with stack.without(template, right) as log:
                try:
                    miss(stack, right, log)
                except BaseException as error:
                    error.add_note(f"without {right}, of which {stack.dir}/logs/{log}.log tells")
                    raise
    finally:
        stack.close()


@pytest.fixture(name="template")
def deployable(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return planned(ROOT / "template.yaml")


def test_each_right_is_missed_when_it_is_taken_away(template, tmp_path):
    known = set(rights(template))
    assert NOT_ASKED_HERE < known
    tried = sorted(right for right in known - NOT_ASKED_HERE if not OF_ALL_NOT_ASKED_HERE.fullmatch(right) and not NOT_TRIED.fullmatch(right))
    missed(template, tried, tmp_path / "stack")
