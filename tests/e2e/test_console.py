"""People at the console, in Chromium: they come in, write invoices, see money arrive, and read who did what."""

import re
import time

import pytest
from browser import Browser, send
from conftest import wait_for
from events import event, tell
from people import fresh_code, member, next_second, scanned

ACCESS, REFRESH = "__Host-plixo-access", "__Host-plixo-refresh"


@pytest.fixture(scope="module")
def chromium(stack):
    browser = Browser(stack.base_url)
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    chromium.start()
    return chromium


@pytest.fixture(scope="module")
def signed_in(stack):
    """Browsers of people who have signed in, one each: a code works once, and so signing in takes its time."""
    open_ones = {}

    def of(role, org=0):
        if (role, org) not in open_ones:
            one = open_ones[role, org] = Browser(stack.base_url)
            shown = one.sign_in(member(stack, role, org))
            assert (shown.status, shown.path) == (200, "/orgs"), shown
        return open_ones[role, org]

    yield of
    for one in open_ones.values():
        one.close()


def newcomer(stack, email, password):
    """Somebody who came by an invitation, with a temporary password."""
    stack.aws("cognito-idp").admin_create_user(
        UserPoolId=stack.json["env"]["USER_POOL_ID"], Username=email, TemporaryPassword=password, MessageAction="SUPPRESS",
        UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}])


def test_somebody_signs_in_with_a_code_and_out_again(stack, browser):
    who = member(stack, "cfo", org=1)
    org = stack.orgs[1]["id"]
    shown = browser.goto(f"/orgs/{org}/invoices?status=open")
    assert (shown.status, shown.path) == (200, f"/sign-in?next=%2Forgs%2F{org}%2Finvoices%3Fstatus%3Dopen")
    assert "Sign in to go on." in shown.text
    shown = browser.press("Continue", email=who["email"], password="not my password at all")
    assert shown.status == 400 and "are not right" in shown.text
    assert (browser.value("email"), browser.value("password")) == (who["email"], "")
    shown = browser.press("Continue", password=who["password"])
    assert "Enter your code" in shown.text and browser.cookies() == {}
    code = fresh_code(who["totp_secret"])
    shown = browser.press("Sign in", code=f"{(int(code) + 1) % 1_000_000:06}")
    assert shown.status == 400 and "Enter your code" in shown.text
    assert "not right, or was used before" in browser.html("#code-error")
    shown = browser.press("Sign in", code=code)
    assert (shown.status, shown.path) == (200, f"/orgs/{org}/invoices?status=open")

    cookies = browser.cookies()
    assert set(cookies) == {ACCESS, REFRESH}
    for cookie in cookies.values():
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["session"], cookie["path"]) == (True, True, "Lax", True, "/")
    shown = browser.press("Sign out")
    assert (shown.path, browser.cookies()) == ("/sign-in?why=out", {}) and "You are signed out." in shown.text
    assert browser.goto("/orgs").path == "/sign-in?next=%2Forgs"
    # What somebody copied before is of no use after.
    kept = "; ".join(f"{name}={cookie['value']}" for name, cookie in cookies.items())
    assert send(stack.base_url, "GET", "/orgs", {"cookie": kept})[1]["location"].startswith("/sign-in?")
    renewed = send(stack.base_url, "GET", "/sign-in/refresh?next=/orgs", {"cookie": f"{REFRESH}={cookies[REFRESH]['value']}"})
    assert renewed[1]["location"] == "/sign-in?next=%2Forgs"


def test_a_session_is_made_longer_and_a_form_is_not_lost(stack, browser):
    who = member(stack, "billing_admin", org=1)
    org = stack.orgs[1]["id"]
    browser.sign_in(who)
    before = browser.cookies()[ACCESS]["value"]
    # As after an hour, when the token is of no use any more.
    browser.forget(ACCESS)
    assert browser.goto(f"/orgs/{org}/customers/new").path == f"/orgs/{org}/customers/new"
    assert browser.cookies()[ACCESS]["value"] != before
    browser.forget(ACCESS)
    shown = browser.press("Save customer", name="Longer Session Ltd", email="rechnung@longer.example")
    assert shown.status == 200 and shown.path.endswith("?done=customer"), shown
    assert "The customer is saved." in shown.text and "Longer Session Ltd" in shown.text
    browser.forget(ACCESS)
    assert browser.press("Sign out").path == "/sign-in?why=out"


def test_a_newcomer_chooses_a_password_and_sets_a_second_factor_up(stack, browser):
    email, first, chosen = "pages.newcomer@example.com", "temporary 4711 pages password", "nine paper boats cross harbours"
    newcomer(stack, email, first)
    browser.goto("/sign-in")
    shown = browser.press("Continue", email=email, password=first)
    assert "Choose a password" in shown.text
    assert browser.axe() == []
    shown = browser.press("Save password", password=chosen, repeat="something else")
    assert shown.errors and "twice" in shown.errors[0]
    shown = browser.press("Save password", password="short", repeat="short")
    assert shown.errors and browser.value("password") == ""
    shown = browser.press("Save password", password=chosen, repeat=chosen)
    assert (shown.status, shown.path) == (200, "/orgs") and "You are in no organisation yet" in shown.text

    shown = browser.press("Second factor")
    assert shown.path == "/totp" and "Have your authenticator app at hand" in shown.text and browser.axe() == []
    assert "Scan this code" not in shown.text, "looking makes no secret"
    shown = browser.press("Begin")
    assert "Set up a second factor" in shown.text and browser.axe() == []
    url = scanned(browser.html(".qr svg"))
    secret = re.search(r"secret=([A-Z2-7]+)", url)[1]
    assert secret in browser.html(".secret").replace(" ", "")
    shown = browser.press("Turn on", code="000000")
    assert shown.status == 400 and secret in browser.html(".secret").replace(" ", "")
    shown = browser.press("Turn on", code=fresh_code(secret))
    assert shown.path == "/orgs?done=totp" and "Your second factor is set up." in shown.text

    shown = browser.press("Password")
    shown = browser.press("Save password", current="not this one, no", password=first, repeat=first)
    assert shown.status == 400 and shown.errors
    changed = "twelve copper kettles sing low"
    shown = browser.press("Save password", current=chosen, password=changed, repeat=changed)
    assert shown.path == "/orgs?done=password" and "Your password is changed." in shown.text
    browser.press("Sign out")
    next_second()
    browser.press("Continue", email=email, password=changed)
    assert browser.press("Sign in", code=fresh_code(secret)).path == "/orgs"


def test_forms_of_other_sites_and_of_nobody_do_nothing(stack, signed_in):
    org = stack.orgs[0]["id"]
    cookies = signed_in("controller").cookies()
    kept = {"cookie": "; ".join(f"{name}={cookie['value']}" for name, cookie in cookies.items())}
    host = stack.base_url.removeprefix("http://")
    typed = {"name": "Forged GmbH", "idempotency_key": "forged.save"}
    for path in (f"/orgs/{org}/customers/new", "/sign-out", "/sign-in", "/password", "/totp", "/sign-in/refresh"):
        for headers in ({}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"},
                        {"origin": "https://evil.example"}, {"origin": "null"},
                        {"sec-fetch-site": "cross-site", "origin": f"http://{host}"}):
            status, told, text = send(stack.base_url, "POST", path, {**kept, **headers}, typed)
            assert (status, "set-cookie" in told) == (400, False), (path, headers)
            assert "We could not read that" in text
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": f"http://{host}"}):
        status, told, _ = send(stack.base_url, "POST", f"/orgs/{org}/customers/new", {**kept, **headers}, typed)
        assert status == 303, "a browser of ours may; twice is once"
    listed = signed_in("controller").goto(f"/orgs/{org}/customers").text
    assert listed.count("Forged GmbH") == 1


def test_every_answer_of_a_page_has_its_headers(stack, signed_in):
    cookies = signed_in("controller").cookies()
    kept = {"cookie": f"{ACCESS}={cookies[ACCESS]['value']}"}
    org = stack.orgs[0]["id"]
    for path in ("/sign-in", "/orgs", f"/orgs/{org}/invoices", f"/orgs/{org}/invoices/inv_nothing", "/password"):
        status, told, text = send(stack.base_url, "GET", path, kept)
        assert told["content-type"] == "text/html; charset=utf-8", path
        policy = told["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "frame-ancestors 'none'" in policy
        assert told["x-content-type-options"] == "nosniff" and told["strict-transport-security"]
        assert told["cache-control"] == "no-store" and told["x-request-id"]
        asset = re.search(r'href="(/assets/[^"]+\.css)"', text)[1]
    status, told, text = send(stack.base_url, "GET", asset)
    assert (status, told["cache-control"], told["content-type"]) == (200, "public, max-age=31536000, immutable", "text/css; charset=utf-8")
    assert send(stack.base_url, "GET", "/assets/plixo-0.css")[0] == 404
    assert send(stack.base_url, "GET", "/")[1]["location"] == "/orgs"
    assert send(stack.base_url, "GET", "/sign-in?next=//evil.example")[2].count("evil.example") <= 1


def test_an_invoice_from_draft_to_paid_and_who_did_it(stack, signed_in):
    browser, org = signed_in("controller"), stack.orgs[0]
    base = f"/orgs/{org['id']}"
    name = f"Hafenwerk {time.time_ns()}"
    shown = browser.goto(f"{base}/customers/new")
    shown = browser.press("Save customer", name=name, line1="Kai 1", city="Hamburg", postal_code="20457", country="de")
    assert shown.status == 400 and any("ountry" in error or "etters" in error for error in shown.errors), shown
    shown = browser.press("Save customer", country="DE")
    assert f"{name}" in shown.text and "20457 Hamburg" in shown.text

    shown = browser.press("New invoice")
    assert browser.value("customer_id").startswith("cus_")
    number = f"HW-{time.time_ns()}"
    shown = browser.press("Save draft", number=number, lines__0__description="Quay crane", lines__0__quantity="two", lines__0__unit_price="1,2")
    assert shown.status == 400 and len(shown.errors) == 2, shown.errors
    assert (browser.value("lines.0.description"), browser.value("number")) == ("Quay crane", number)
    shown = browser.press("Add rows")
    assert shown.status == 200 and browser.value("lines.5.description") == ""
    shown = browser.press("Save draft", lines__0__quantity="2", lines__0__unit_price="1,250.00", lines__0__tax_percent="19", lines__4__description="Freight",
                          lines__4__quantity="1", lines__4__unit_price="25", memo="Thank you")
    assert shown.path.endswith("?done=invoice") and "The draft is saved." in shown.text, shown
    assert "3,000.00" in shown.text and "Not yet" in shown.text and "wrote the draft" in shown.text
    invoice = re.search(r"inv_\w+", shown.path)[0]

    shown = browser.press("Edit")
    shown = browser.press("Save draft", memo="Thank you very much")
    assert "Thank you very much" in shown.text
    # Somebody else is faster.
    browser.press("Edit")
    other = signed_in("billing_admin")
    other.goto(f"{base}/invoices/{invoice}/edit")
    assert other.press("Save draft", memo="Faster").path.endswith("?done=invoice")
    shown = browser.press("Save draft", memo="Slower")
    assert shown.status == 412 and "Somebody changed this meanwhile" in shown.text, shown
    assert browser.value("memo") == "Slower" and browser.axe() == []
    shown = browser.press("Save draft")
    assert shown.path.endswith("?done=invoice") and "Slower" in shown.text

    # Who looks at a draft issues that one, and none that somebody made of it meanwhile.
    other.goto(f"{base}/invoices/{invoice}/edit")
    assert other.press("Save draft", memo="Faster again").path.endswith("?done=invoice")
    shown = browser.press("Finalize")
    assert shown.status == 412 and "look again before you decide" in shown.text and "Faster again" in shown.text
    assert browser.axe() == []

    browser.goto(f"{base}/invoices/{invoice}")
    shown = browser.press("Finalize")
    assert shown.path.endswith("?done=finalized") and "Open" in shown.text and "finalized the invoice" in shown.text
    assert "Edit" not in shown.buttons and "Void" in shown.buttons
    assert browser.axe() == []

    paid = event("payment_intent.succeeded", invoice=invoice, amount=300_000)
    assert tell(org["webhook_endpoints"][0], paid) == 200
    wait_for(lambda: stack.worked(paid["id"]), 20, "applied payment")
    shown = browser.goto(f"{base}/invoices/{invoice}")
    assert "Paid" in shown.text and "Stripe" in shown.text and "Void" not in shown.buttons
    assert "The provider told of a payment" in shown.text and "allocations" not in shown.text
    assert "changed the draft: memo" in shown.text and "wrote the draft" in shown.text
    payment = next(link for link in shown.links if "/payments/pay_" in link)
    shown = browser.goto(payment)
    assert number in shown.text and "3,000.00" in shown.text and browser.axe() == []

    assert "invoice.read" in browser.goto(f"{base}/audit?object={invoice}").text
    changes = ""
    for action in ("invoice.create", "invoice.update", "invoice.finalize"):
        shown = browser.goto(f"{base}/audit?action={action}&object={invoice}")
        assert action in shown.text
        changes += browser.html("main").replace("<wbr>", "")
    for role in ("controller", "billing_admin"):
        assert member(stack, role)["email"] in changes
    shown = browser.goto(f"{base}/audit?action=invoice.finalize&object={invoice}")
    assert "invoice.finalize" in shown.text and "invoice.create" not in shown.text


def test_money_by_bank_is_recorded_applied_and_taken_back(stack, signed_in):
    browser, base = signed_in("billing_admin"), f"/orgs/{stack.orgs[0]['id']}"
    number = f"BK-{time.time_ns()}"
    browser.goto(f"{base}/customers/new")
    browser.press("Save customer", name=f"Bankkunde {time.time_ns()}")
    browser.press("New invoice")
    browser.press("Save draft", number=number, lines__0__description="Chair", lines__0__quantity="1", lines__0__unit_price="80")
    browser.press("Finalize")
    shown = browser.goto(f"{base}/payments/new")
    shown = browser.press("Record payment", amount="12,5")
    assert shown.status == 400 and shown.errors
    shown = browser.press("Record payment", amount="100", payer_name="Bankkunde", remittance=number)
    assert "The payment is recorded." in shown.text and "100.00" in shown.text
    payment = shown.path.split("?")[0]
    assert browser.goto(f"{base}/payments/unapplied").text.count("Bankkunde")
    browser.goto(payment)
    shown = browser.press("Apply", other_number="NO-SUCH", other_amount="5")
    assert shown.status == 400 and any("no invoice of this number" in error for error in shown.errors)
    shown = browser.press("Apply", other_number=number, other_amount="90")
    assert shown.status == 400 and shown.errors, "more than is open"
    shown = browser.press("Apply", other_amount="80")
    assert "The payment is applied." in shown.text and number in shown.text and "20.00" in shown.text
    shown = browser.press(f"Take back from {number}")
    assert "taken back" in shown.text and "100.00" in shown.text

    shown = signed_in("cfo").goto(f"{base}/audit?action=allocation.delete")
    for kind in ("alo_", "pay_", "inv_"):
        assert kind in shown.text, "what it was taken from, and what has less now"
    assert member(stack, "billing_admin")["email"] in shown.text, "who may read the log sees who acted"


def test_a_viewer_is_offered_and_allowed_to_read_only(stack, signed_in):
    browser, org = signed_in("viewer"), stack.orgs[0]["id"]
    shown = browser.goto(f"/orgs/{org}/invoices")
    assert "New invoice" not in shown.buttons
    assert not any("/members" in link or "/audit" in link or "/settings" in link or "/integrations" in link for link in shown.links)
    for path in ("/members", "/audit", "/settings", "/integrations", "/webhook-events", "/invoices/new", "/customers/new", "/payments/new",
                 "/privacy-requests", "/legal-holds", "/retention"):
        shown = browser.goto(f"/orgs/{org}{path}")
        assert (shown.status, "Your role does not allow this" in shown.text) == (403, True), path
    invoice = next(link for link in browser.goto(f"/orgs/{org}/invoices").links if "/invoices/inv_" in link)
    shown = browser.goto(invoice)
    assert shown.status == 200 and "History" not in shown.text and "Finalize" not in shown.buttons
    kept = {"cookie": f"{ACCESS}={browser.cookies()[ACCESS]['value']}", "sec-fetch-site": "same-origin"}
    status, _, text = send(stack.base_url, "POST", invoice, kept, {"do": "void"})
    assert status == 403 and "Your role does not allow this" in text


def test_another_organisation_is_not_there(stack, signed_in):
    browser, other = signed_in("controller"), stack.orgs[1]["id"]
    missing = "org_00000000000000000000000000"
    for path in ("", "/invoices", "/customers", "/payments", "/members", "/settings", "/integrations", "/webhook-events", "/audit",
                 "/privacy-requests", "/legal-holds", "/retention"):
        for org in (other, missing, "nonsense"):
            shown = browser.goto(f"/orgs/{org}{path}")
            assert (shown.status, "There is nothing here" in shown.text) == (404, True), (org, path)
    shown = browser.goto("/orgs")
    assert stack.orgs[0]["name"] in shown.text and stack.orgs[1]["name"] not in shown.text


def test_members_settings_and_integrations(stack, signed_in):
    browser, base = signed_in("controller", org=1), f"/orgs/{stack.orgs[1]['id']}"
    shown = browser.goto(f"{base}/members")
    assert member(stack, "viewer", org=1)["email"] in shown.text and "The last one stays" in shown.text
    email = f"guest{time.time_ns()}@example.com"
    shown = browser.press("Send invitation", email="not an email")
    assert shown.status == 400 and shown.errors and browser.value("email") == "not an email"
    shown = browser.press("Send invitation", email=email, role="viewer")
    assert "The invitation is sent." in shown.text and email in shown.text
    shown = browser.press("Send invitation", email=email, role="viewer")
    assert "The invitation is sent." in shown.text, "again, to who has not come in yet"
    shown = browser.press("Send invitation", email=member(stack, "viewer", org=1)["email"])
    assert shown.status == 400 and "already" in shown.text.lower()

    shown = browser.goto(f"{base}/settings")
    shown = browser.press("Save settings", ip_allow_list="203.0.113.0/24")
    assert shown.status == 400 and shown.errors, "it would lock the Controller out"
    shown = browser.press("Save settings", ip_allow_list="127.0.0.0/8\n2001:db8::/32")
    assert "The settings are saved." in shown.text and "127.0.0.0/8" in browser.value("ip_allow_list")
    assert "The settings are saved." in browser.press("Save settings", ip_allow_list="").text

    shown = browser.goto(f"{base}/integrations?provider=stripe")
    shown = browser.press("Add endpoint", account="not one")
    assert shown.status == 400 and shown.errors
    shown = browser.press("Add endpoint", account="acct_1Nv0FGQ9RKHgCVdK")
    assert shown.status == 200 and "The endpoint is ready" in shown.text and "whsec_" in shown.text
    assert browser.axe() == []
    shown = browser.goto(f"{base}/integrations")
    assert "whsec_" not in shown.text and "acct_1Nv0FGQ9RKHgCVdK" in shown.text


def test_a_hold_an_erasure_that_waits_and_a_policy_that_is_looked_at_first(stack, signed_in):
    browser, base, name = signed_in("compliance"), f"/orgs/{stack.orgs[0]['id']}", f"Löschwerk {time.time_ns()}"
    controller = signed_in("controller")
    controller.goto(f"{base}/customers/new")
    customer = re.search(r"cus_\w+", controller.press("Save customer", name=name).path)[0]
    assert "Privacy" in browser.goto(f"{base}/customers/{customer}").text

    browser.goto(f"{base}/legal-holds/new?customer={customer}")
    shown = browser.press("Place the hold")
    assert shown.status == 400 and shown.errors and browser.axe() == [], "why is not said"
    shown = browser.press("Place the hold", reason="A dispute about a delivery")
    assert "The hold is placed" in shown.text and name in shown.text and browser.axe() == []
    hold = next(link for link in shown.links if "/legal-holds/hld_" in link)

    browser.goto(f"{base}/privacy-requests/new?customer={customer}&kind=erasure")
    assert browser.axe() == []
    shown = browser.press("Erase this customer")
    assert shown.status == 400 and "A legal hold stands in its way" in shown.text and browser.axe() == []
    shown = browser.press("Erase this customer", sure="on")
    assert "Held since" in shown.text and "A dispute about a delivery" in shown.text and browser.axe() == []
    shown = browser.press("Refuse the request", reason="Nobody asked")
    assert "The request is refused." in shown.text and browser.axe() == []
    assert name in browser.goto(f"{base}/privacy-requests").text and browser.axe() == []

    browser.goto(hold)
    shown = browser.press("Release the hold")
    assert "The hold is released." in shown.text and "Released" in shown.text and browser.axe() == []

    browser.goto(f"{base}/retention")
    shown = browser.press("Preview", webhook_payload="0")
    assert shown.status == 400 and shown.errors and browser.axe() == []
    shown = browser.press("Preview", webhook_payload="29")
    assert "This deletes nothing at once" in shown.text and browser.axe() == []
    shown = browser.press("Save this policy")
    assert "The retention policy is saved." in shown.text and browser.value("webhook_payload") == "29" and browser.axe() == []
    assert signed_in("billing_admin").goto(f"{base}/retention").status == 403


def test_a_webhook_event_is_found_and_replayed(stack, signed_in):
    browser, org = signed_in("controller"), stack.orgs[0]
    sent = event("payout.paid")
    assert tell(org["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 20, "event")
    shown = wait_for(lambda: (lambda it: it if "payout.paid" in it.text else None)(browser.goto(f"/orgs/{org['id']}/webhook-events")), 20, "listed event")
    shown = browser.goto(next(link for link in shown.links if "/webhook-events/evt_" in link))
    assert "Ignored" in shown.text or "Applied" in shown.text
    shown = browser.press("Replay")
    assert "on its way again" in shown.text and browser.axe() == []


PAGES = ("", "/invoices", "/invoices?status=open", "/invoices/new", "/customers", "/customers/new", "/payments", "/payments/unapplied",
         "/payments/new", "/cash", "/members", "/settings", "/integrations", "/webhook-events", "/audit",
         "/privacy-requests", "/privacy-requests/new", "/legal-holds", "/legal-holds/new", "/retention", "/retention?notice=30")


def test_axe_finds_nothing_wrong_with_any_page(stack, signed_in, browser):
    controller, org = signed_in("controller"), stack.orgs[0]["id"]
    first = {}
    for path in PAGES:
        shown = controller.goto(f"/orgs/{org}{path}")
        assert (shown.status, controller.axe()) == (200, []), path
        for kind in ("invoices/inv_", "customers/cus_", "payments/pay_", "webhook-events/evt_"):
            first |= {kind: link for link in shown.links if kind in link and kind not in first}
    assert len(first) == 4, first
    for path in [*first.values(), "/orgs", "/password", f"/orgs/{org}/invoices/inv_nothing"]:
        controller.goto(path)
        assert controller.axe() == [], path
    browser.goto("/sign-in?why=out")
    assert browser.axe() == []


def test_every_page_has_one_line_that_says_who_and_where(stack, signed_in):
    browser, org = signed_in("controller"), stack.orgs[0]["id"]
    before = len(stack.lines("pages-console"))
    browser.goto(f"/orgs/{org}/payments")
    [line] = wait_for(lambda: [one for one in stack.lines("pages-console")[before:] if "/assets" not in one["route"]], 10, "line")
    assert (line["route"], line["status"], line["outcome"], line["org"]) == ("GET /orgs/{org}/payments", 200, "done", org)
    assert line["who"].startswith("user:") and line["aws_calls"] >= 4 and line["ip"]
    for function in ("pages-console", "pages-sign-in"):
        log = (stack.dir / "logs" / f"{function}.log").read_text()
        for cookie in browser.cookies().values():
            assert cookie["value"] not in log
        assert member(stack, "controller")["email"] not in log
