"""Payers: a link by email, one invoice, a payment at the Stripe double, and what nobody gets in by."""

import concurrent.futures
import json
import re
import time
import urllib.parse
import urllib.request

import pytest
from browser import Browser, Visitor, send
from conftest import ANSWERS_WITHIN, ROOT, heard, wait_for
from people import call, letters, member, token

SHOTS = ROOT / "target" / "shots" / "portal"
SESSION = "__Host-plixo-portal"
LOGO = ROOT / "plixoctl" / "src" / "demo" / "nordlicht.png"
CARD = {"card_number": "4242424242424242", "expiry": "12/34", "cvc": "123", "name": "Erika Mustermann", "email": "erika@example.com"}


@pytest.fixture(scope="module")
def admin(stack):
    return token(stack, member(stack, "billing_admin"))


@pytest.fixture(scope="module")
def org(stack, admin):
    """An organisation whose payers can pay, whatever other tests did with its Stripe account."""
    org = stack.orgs[0]
    [account] = [account for account in stack.json["stripe"]["accounts"] if account["org"] == org["id"]]
    path = f"/v1/orgs/{org['id']}/stripe-account"
    status, _, told = call(stack, path, {"restricted_key": account["key"]}, admin, "PUT")
    assert (status, told["state"]) == (200, "connected"), told
    return org


def test_a_key_that_stripe_refuses_is_not_connected(stack, admin, org):
    path = f"/v1/orgs/{org['id']}/stripe-account"
    before = call(stack, path, token=admin, method="GET")[2]
    status, _, told = call(stack, path, {"restricted_key": "rk_test_51OfNobodyAtAll0001"}, admin, "PUT")
    assert (status, told["errors"][0]["pointer"]) == (400, "/restricted_key"), told
    assert call(stack, path, token=admin, method="GET")[2] == before


@pytest.fixture(scope="module")
def chromium(stack):
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser = Browser(stack.base_url)
    yield browser
    browser.close()


def payer(stack, admin, org, country="DE"):
    """A customer of their own, whose mailbox is nobody else's."""
    email = f"payer-{time.time_ns()}@customer.example"
    address = {"line1": "Lindenallee 1", "city": "Weimar", "postal_code": "99423", "country": country}
    body = {"name": "Erika Mustermann", "email": email, "address": address}
    status, _, told = call(stack, f"/v1/orgs/{org['id']}/customers", body, admin)
    assert status == 201, told
    return told


def bill(stack, admin, org, customer, net=10_000):
    """An open invoice of so much before 19 % tax."""
    line = {"description": "Wartung Teigknetmaschine", "quantity": "1", "unit_price": {"amount": net, "currency": "EUR"}, "tax_percent": "19"}
    path = f"/v1/orgs/{org['id']}/invoices"
    status, _, told = call(stack, path, {"customer_id": customer["id"], "lines": [line], "due_on": "2099-12-31"}, admin)
    assert status == 201, told
    status, _, told = call(stack, f"{path}/{told['id']}/finalize", None, admin)
    assert status == 200, told
    return told


def link(stack, admin, org, invoice, **body):
    status, _, told = call(stack, f"/v1/orgs/{org['id']}/invoices/{invoice['id']}/portal-links", body or None, admin)
    assert status == 201, told
    return told


def path_of(stack, url):
    assert url.startswith(f"{stack.base_url}/p/"), url
    return url.removeprefix(stack.base_url)


def session_cookie(answer):
    return re.search(rf"{SESSION}=([^;]+)", answer[1]["set-cookie"])[1]


def opened(stack, url):
    """The headers with which a browser comes that has opened a link."""
    answer = send(stack.base_url, "POST", path_of(stack, url))
    assert (answer[0], answer[1]["location"]) == (303, "/p/session"), answer
    return {"cookie": f"{SESSION}={session_cookie(answer)}"}


def sessions(stack, org):
    """The organisation's Checkout Sessions at the double, the youngest first."""
    [account] = [account for account in stack.json["stripe"]["accounts"] if account["org"] == org["id"]]
    request = urllib.request.Request(f"{stack.json['stripe']['base_url']}/v1/checkout/sessions?limit=100",
                                     headers={"authorization": f"Bearer {account['key']}"})
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
        return json.load(answer)["data"]


def of_invoice(stack, org, invoice):
    return [one for one in sessions(stack, org) if one["metadata"].get("plixo_invoice_id") == invoice["id"]]


def pay(url):
    """Pays on the double's page as a browser without a screen would; where it leads then."""
    form = urllib.parse.urlencode({"method": "card", **CARD}).encode()

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    try:
        with urllib.request.build_opener(Stay).open(urllib.request.Request(url, form), timeout=ANSWERS_WITHIN) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("location")


def status_of(stack, admin, org, invoice):
    return call(stack, f"/v1/orgs/{org['id']}/invoices/{invoice['id']}", token=admin, method="GET")[2]["status"]


# ---- The way of a payer --------------------------------------------------------------------------------------------------


def test_a_payer_pays_on_a_phone(stack, admin, org, chromium):
    customer = payer(stack, admin, org, country="FR")
    invoice = bill(stack, admin, org, customer)
    made = link(stack, admin, org, invoice)
    assert (made["state"], "emailed_at" in made) == ("issued", True)
    # One that SES took too long to answer for is sent again.
    [(subject, text)] = {(letter["Subject"], letter["BodyText"]) for letter in letters(stack, customer["email"])}
    [url] = re.findall(r"^\s*(http\S+/p/\S+)$", text, re.M)
    assert url == made["url"] and org["name"] in subject

    browser = chromium
    browser.start(width=390)
    shown = browser.goto(path_of(stack, url))
    assert shown.status == 200 and org["name"] in shown.text and "119" not in shown.text
    assert browser.axe() == []
    browser.shot(SHOTS / "1-door.png")
    shown = browser.press("Open the invoice")
    assert (shown.status, shown.path) == (200, "/p/session")
    for text in ("Wartung Teigknetmaschine", "EUR 119.00", invoice["number"], "Due in"):
        assert text in shown.text, shown.text
    assert browser.axe() == []
    cookie = browser.cookies()[SESSION]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    browser.shot(SHOTS / "2-invoice.png")

    shown = browser.press("Pay EUR 119.00")
    assert shown.url.startswith(stack.json["stripe"]["base_url"]) and "119.00" in shown.text
    browser.shot(SHOTS / "3-stripe.png")
    browser.fill(**CARD)
    [pay_button] = [button for button in shown.buttons if button.startswith("Pay ")]
    shown = browser.press(pay_button)
    assert shown.path.startswith("/p/session?paid")
    wait_for(lambda: status_of(stack, admin, org, invoice) == "paid", 20, "paid invoice")
    shown = browser.goto("/p/session")
    assert shown.status == 200 and "This invoice is paid" in shown.text and "Pay EUR" not in shown.text
    assert browser.axe() == []
    browser.shot(SHOTS / "4-paid.png")

    # The link is gone for whoever finds it later; whoever is inside is led in.
    assert browser.goto(path_of(stack, url)).path == "/p/session"
    browser.start(width=390)
    shown = browser.goto(path_of(stack, url))
    assert shown.status == 410 and "Nothing is left to pay" in shown.text
    assert browser.axe() == []
    browser.shot(SHOTS / "5-gone.png")
    _, _, listed = call(stack, f"/v1/orgs/{org['id']}/invoices/{invoice['id']}/portal-links", token=admin, method="GET")
    assert [one["state"] for one in listed["data"]] == ["revoked"]
    [session] = of_invoice(stack, org, invoice)
    assert (session["status"], session["amount_total"]) == ("complete", 11_900)


def test_the_console_shows_the_links_and_that_it_is_paid(stack, admin, org, chromium):
    customer = payer(stack, admin, org)
    invoice = bill(stack, admin, org, customer)
    url = link(stack, admin, org, invoice)["url"]
    headers = opened(stack, url)
    sent = send(stack.base_url, "POST", "/p/session/checkout", headers)
    assert pay(sent[1]["location"])[0] == 303
    wait_for(lambda: status_of(stack, admin, org, invoice) == "paid", 20, "paid invoice")
    browser = chromium
    browser.start()
    browser.sign_in(member(stack, "controller"))
    shown = browser.goto(f"/orgs/{org['id']}/invoices/{invoice['id']}")
    assert "Paid" in shown.text and "Portal links" in shown.text and "Settled" in shown.text
    assert browser.axe() == []
    browser.shot(SHOTS / "6-console.png")


def test_payers_see_the_logo_that_their_sellers_people_chose(stack, admin, org, chromium):
    url = link(stack, admin, org, bill(stack, admin, org, payer(stack, admin, org)))["url"]
    browser = chromium
    browser.start()
    browser.sign_in(member(stack, "controller"), f"/orgs/{org['id']}/settings")
    shown = browser.press("Show this logo", logo=str(ROOT / "Cargo.toml"))
    assert len(shown.errors) == 1 and "PNG" in shown.errors[0], shown.errors
    browser.press("Show this logo", logo=str(LOGO))
    assert browser.axe() == []
    browser.shot(SHOTS / "7-settings.png")
    assert "monogram" not in send(stack.base_url, "GET", path_of(stack, url))[2]
    browser.press("Remove the logo")
    assert "monogram" in send(stack.base_url, "GET", path_of(stack, url))[2]
    browser.press("Show this logo", logo=str(LOGO))
    browser.start(width=390)
    browser.goto(path_of(stack, url))
    [path] = re.findall(r'src="(/logos/[^"]+)"', browser.html(".logo-image"))
    browser.shot(SHOTS / "8-logo.png")
    with urllib.request.urlopen(stack.base_url + path, timeout=ANSWERS_WITHIN) as answer:
        assert (answer.headers["content-type"], answer.read(8)) == ("image/png", b"\x89PNG\r\n\x1a\n")
        assert "immutable" in answer.headers["cache-control"]


def test_the_email_and_the_page_speak_german(stack, admin, org, chromium):
    customer = payer(stack, admin, org, country="AT")
    url = link(stack, admin, org, bill(stack, admin, org, customer))["url"]
    [subject] = {letter["Subject"] for letter in letters(stack, customer["email"])}
    assert "Rechnung" in subject
    answer = send(stack.base_url, "GET", path_of(stack, url), {"accept-language": "de-AT, de;q=0.9"})
    assert '<html lang="de">' in answer[2]
    headers = opened(stack, url)
    answer = send(stack.base_url, "GET", "/p/session", {**headers, "accept-language": "de"})
    assert "119,00 €" in answer[2]


def test_a_page_is_small_and_tells_no_referrer(stack, admin, org):
    headers = opened(stack, link(stack, admin, org, bill(stack, admin, org, payer(stack, admin, org)))["url"])
    status, told, body = send(stack.base_url, "GET", "/p/session", headers)
    assert (status, told["referrer-policy"], told["cache-control"]) == (200, "no-referrer", "no-store")
    policy = told["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script" not in policy
    assert f"form-action 'self' {stack.json['stripe']['base_url']};" in policy
    files = re.findall(r'(?:href|src)="(/assets/[^"]+)"', body)
    assert len(files) >= 2
    assert len(body.encode()) + sum(len(send(stack.base_url, "GET", file)[2].encode()) for file in set(files)) < 30_000


def test_a_german_payer_without_a_screen_cancels_and_pays_later(stack, admin, org):
    invoice = bill(stack, admin, org, payer(stack, admin, org))
    headers = opened(stack, link(stack, admin, org, invoice)["url"])
    first = send(stack.base_url, "POST", "/p/session/checkout", headers)
    assert first[0] == 303 and first[1]["location"].startswith(stack.json["stripe"]["base_url"])
    answer = send(stack.base_url, "GET", "/p/session?cancelled", headers)
    assert "Nothing was charged" in answer[2]
    again = send(stack.base_url, "POST", "/p/session/checkout", headers)
    assert again[1]["location"] == first[1]["location"], "the same session"
    assert len(of_invoice(stack, org, invoice)) == 1


# ---- What settles an invoice closes what is open ------------------------------------------------------------------------


def test_money_from_elsewhere_closes_links_and_session(stack, admin, org):
    invoice = bill(stack, admin, org, payer(stack, admin, org))
    used, other = link(stack, admin, org, invoice), link(stack, admin, org, invoice, send_email=False)
    headers = opened(stack, used["url"])
    page = send(stack.base_url, "POST", "/p/session/checkout", headers)[1]["location"]
    money = {"amount": 11_900, "currency": "EUR"}
    base = f"/v1/orgs/{org['id']}/payments"
    status, _, payment = call(stack, base, {"source": "bank", "amount": money, "received_on": "2026-11-28"}, admin)
    assert status == 201, payment
    status, _, told = call(stack, f"{base}/{payment['id']}/allocations", {"allocations": [{"invoice_id": invoice["id"], "amount": money}]}, admin)
    assert status == 201, told
    assert send(stack.base_url, "POST", path_of(stack, other["url"]))[0] == 410, "in that moment"
    wait_for(lambda: of_invoice(stack, org, invoice)[0]["status"] == "expired", 20, "expired session")
    assert pay(page)[0] != 303
    # Taking the allocation back makes it owed again; the links, which were closed before the session, stay closed.
    [allocation] = told["data"] if isinstance(told, dict) and "data" in told else told["allocations"]
    status, _, _ = call(stack, f"{base}/{payment['id']}/allocations/{allocation['id']}", token=admin, method="DELETE")
    assert status in (200, 204) and status_of(stack, admin, org, invoice) == "open"
    assert send(stack.base_url, "POST", path_of(stack, other["url"]))[0] == 410
    fresh = link(stack, admin, org, invoice, send_email=False)
    assert send(stack.base_url, "GET", path_of(stack, fresh["url"]))[0] == 200


# ---- What nobody gets in by ----------------------------------------------------------------------------------------------


def test_of_fifty_who_open_a_link_at_once_one_does(stack, admin, org):
    path = path_of(stack, link(stack, admin, org, bill(stack, admin, org, payer(stack, admin, org)))["url"])
    payers = [Visitor(stack) for _ in range(50)]

    def opens(one):
        # Whoever opened it and did not hear of it may open it again in the next minute, and nobody else may.
        return heard(lambda: one.post(path))

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        # So that fifty environments are there. Their starting at once would be the emulator's trial, not the link's.
        for some in range(10, 51, 10):
            wait_for(lambda: {answer[0] for answer in pool.map(lambda one: one.get(path), payers[:some])} == {200}, 60, f"{some} environments")  # noqa: B023
        answers = list(pool.map(opens, payers))
    statuses = sorted(answer[0] for answer in answers)
    assert statuses == [303] + [410] * 49
    assert sum("set-cookie" in answer[1] for answer in answers) == 1


def test_mail_scanners_use_no_link_up(stack, admin, org):
    path = path_of(stack, link(stack, admin, org, bill(stack, admin, org, payer(stack, admin, org)))["url"])
    agents = ("BarracudaCentral", "Mozilla/5.0 (compatible; SafeLinks)", "Slackbot-LinkExpanding 1.0", "GoogleImageProxy",
              "Mozilla/5.0 AppleWebKit Outlook-iOS preview")

    def look(n):
        method, agent = "HEAD" if n % 2 else "GET", {"user-agent": agents[n % len(agents)]}
        return heard(lambda: send(stack.base_url, method, path, agent))[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(1000))) == {200}
    assert send(stack.base_url, "POST", path)[0] == 303


def test_forged_tokens_are_refused_without_a_call(stack, admin, org):
    token_text = path_of(stack, link(stack, admin, org, bill(stack, admin, org, payer(stack, admin, org)))["url"]).removeprefix("/p/")
    letters_of = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    forged = []
    for place, letter in enumerate(token_text):
        for bit in range(6):
            changed = letters_of[letters_of.index(letter) ^ (1 << bit)]
            forged.append(token_text[:place] + changed + token_text[place + 1:])
    forged += [token_text[:length] for length in range(1, len(token_text))]
    forged += [token_text + more for more in ("A", "=", "AAAA", "%20", "%3D")]
    send(stack.base_url, "GET", f"/p/{token_text}")
    before = len(stack.lines("pages-portal"))

    def tried(one):
        return heard(lambda: send(stack.base_url, "POST" if len(one) % 2 else "GET", f"/p/{one}"))[0]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(tried, forged)) == {404}
    lines = wait_for(lambda: found if len(found := stack.lines("pages-portal")[before:]) >= len(forged) else None, 30, "lines")
    forged_lines = [line for line in lines if line["outcome"] == "not_found"]
    assert len(forged_lines) == len(forged)
    # But for the keys, which each of the four environments reads again every 300 s.
    assert sum(line["aws_calls"] for line in forged_lines) <= 4
    assert send(stack.base_url, "POST", f"/p/{token_text}")[0] == 303


def test_a_revoked_link_is_gone_and_so_is_its_session(stack, admin, org):
    invoice = bill(stack, admin, org, payer(stack, admin, org))
    made = link(stack, admin, org, invoice)
    headers = opened(stack, made["url"])
    assert send(stack.base_url, "GET", "/p/session", headers)[0] == 200
    status, _, _ = call(stack, f"/v1/orgs/{org['id']}/portal-links/{made['id']}", token=admin, method="DELETE")
    assert status == 204
    assert send(stack.base_url, "GET", "/p/session", headers)[0] == 410
    assert send(stack.base_url, "POST", "/p/session/checkout", headers)[0] == 410
    assert send(stack.base_url, "GET", path_of(stack, made["url"]))[0] == 410


def test_a_fresh_link_goes_to_the_customer_alone(stack, admin, org, chromium):
    customer = payer(stack, admin, org)
    url = link(stack, admin, org, bill(stack, admin, org, customer))["url"]
    opened(stack, url)
    browser = chromium
    browser.start(width=390, scheme="dark")
    shown = browser.goto(path_of(stack, url))
    assert shown.status == 410 and customer["email"] not in shown.text
    browser.shot(SHOTS / "7-used.png")
    [button] = [one for one in shown.buttons if "link" in one.lower()]
    shown = browser.press(button)
    assert shown.status == 200 and customer["email"] not in shown.text
    browser.shot(SHOTS / "8-asked.png")
    assert browser.axe() == []
    fresh = wait_for(lambda: [letter for letter in letters(stack, customer["email"]) if url not in letter["BodyText"]], 10, "second email")[0]
    [again] = re.findall(r"^\s*(http\S+/p/\S+)$", fresh["BodyText"], re.M)
    assert again != url and send(stack.base_url, "POST", path_of(stack, again))[0] == 303
    assert send(stack.base_url, "POST", f"{path_of(stack, url)}/fresh-link")[0] == 429
    assert len({letter["BodyText"] for letter in letters(stack, customer["email"])}) == 2


def test_links_of_the_previous_key_hold(stack, admin, org):
    invoice = bill(stack, admin, org, payer(stack, admin, org))
    before = link(stack, admin, org, invoice)["url"]
    secrets, name = stack.aws("secretsmanager"), stack.resources.LinkKeys
    keys = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    secrets.rotate_secret(SecretId=name)

    def rotated():
        now = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
        return now if now["key"] != keys["key"] else None

    now = wait_for(rotated, 30, "new key")
    assert keys["key"] in [older["key"] for older in now["older"]]
    assert send(stack.base_url, "GET", path_of(stack, before))[0] == 200
    after = link(stack, admin, org, invoice)["url"]
    assert send(stack.base_url, "GET", path_of(stack, after))[0] == 200
    assert send(stack.base_url, "POST", path_of(stack, before))[0] == 303


# ---- What is kept, and where ---------------------------------------------------------------------------------------------


def test_no_secret_of_a_payment_is_in_a_log_a_table_or_the_audit_log(stack, admin, org):
    customer = payer(stack, admin, org)
    invoice = bill(stack, admin, org, customer)
    url = link(stack, admin, org, invoice)["url"]
    headers = opened(stack, url)
    page = send(stack.base_url, "POST", "/p/session/checkout", headers)[1]["location"]
    send(stack.base_url, "GET", f"/p/{'x' * 120}", headers)
    pay(page)
    wait_for(lambda: status_of(stack, admin, org, invoice) == "paid", 20, "paid invoice")
    [account] = [account for account in stack.json["stripe"]["accounts"] if account["org"] == org["id"]]
    secrets = [url.rsplit("/", 1)[1], headers["cookie"].split("=", 1)[1], account["key"], page.rsplit("#", 1)[-1], customer["email"]]
    for file in (stack.dir / "logs").glob("*.log"):
        if file.name in ("stripe-double.log", "emulator.log"):
            continue
        text = file.read_text()
        assert [secret for secret in secrets if secret in text] == [], file.name
    dynamodb = stack.aws("dynamodb")
    for name in ("LedgerTable", "AuditTable", "WebhookEventsTable", "PeopleTable"):
        for found in dynamodb.get_paginator("scan").paginate(TableName=getattr(stack.resources, name)):
            text = repr(found["Items"])
            assert [secret for secret in secrets if secret in text] == [], name
