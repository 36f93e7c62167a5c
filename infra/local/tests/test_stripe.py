"""The Stripe double, held to Stripe's own Python and Node clients and to the fixtures of its events."""

import concurrent.futures
import http.client
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest
import stripe
from browser import Browser

from infra.local.stripe import Double

ROOT = pathlib.Path(__file__).resolve().parents[3]
INVOICE = {"plixo_invoice_id": "inv_01kv2vf200eqk8kdny1yvq6gsw"}
PAYER = {"name": "Ada Byron", "email": "ada@example.com"}
CARD = {"method": "card", "card_number": "4242 4242 4242 4242", "expiry": "12/34", "cvc": "123", **PAYER}
DEBIT = {"method": "sepa_debit", "iban": "DE89 3704 0044 0532 0130 00", **PAYER}


class Receiver(http.server.ThreadingHTTPServer):
    """A seller's webhook endpoint: keeps what comes, and answers with `statuses`, then 200."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Taking)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"
        self.got, self.statuses, self.lock = [], [], threading.Lock()

    class Taking(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            with self.server.lock:
                self.server.got.append((body, self.headers["stripe-signature"]))
                status = self.server.statuses.pop(0) if self.server.statuses else 200
            self.send_response(status)
            self.end_headers()

        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Thanks</title><h1>Thanks</h1>")

        def log_message(self, *_):
            pass

    def events(self, secret):
        """What came, as Stripe's library reads it."""
        return [stripe.Webhook.construct_event(body, signature, secret) for body, signature in self.got]


class Seller:
    """An account with its key, its client, and its webhook endpoint; and what tests do at the double."""

    def __init__(self, double, receiver):
        self.double, self.receiver = double, receiver
        self.account = self.door("POST", "accounts", name="Nordlicht GmbH & Co")
        self.key = self.account["keys"][0]["key"]
        self.client = self.client_of(self.key)
        self.api = self.client.v1
        endpoint = self.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
        self.endpoint, self.secret = endpoint.id, endpoint.secret

    def client_of(self, key, **more):
        return stripe.StripeClient(key, base_addresses={"api": self.double.base_url}, **{"max_network_retries": 0, **more})

    def door(self, method, path, /, fails=None, **body):
        """Asks the control door."""
        status, _, answer = send(self.double, method, f"/_double/{path}", json.dumps(body), {"content-type": "application/json"})
        assert status == (fails or 200), answer
        return json.loads(answer)

    def session(self, amount=12500, currency="eur", **more):
        price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Invoice <RE-2026-0117>"}}
        given = {"mode": "payment", "line_items": [{"price_data": price, "quantity": 1}], "metadata": INVOICE}
        given |= {"success_url": "https://pay.example/done?s={CHECKOUT_SESSION_ID}", "cancel_url": "https://pay.example/back?a=1&b=2"}
        return self.api.checkout.sessions.create(given | {"payment_intent_data": {"metadata": INVOICE}} | more)

    def intent(self, method="pm_card_visa", amount=12500, **more):
        given = {"amount": amount, "currency": "eur", "confirm": True, "payment_method": method, "metadata": INVOICE}
        return self.api.payment_intents.create(given | more)

    def post_form(self, session, fields, step=None):
        """Sends the page's form, as a browser does."""
        path = step or urllib.parse.urlsplit(session.url).path
        return send(self.double, "POST", path, urllib.parse.urlencode(fields), {"content-type": "application/x-www-form-urlencoded"})

    def get_page(self, session):
        return send(self.double, "GET", urllib.parse.urlsplit(session.url).path)

    def told(self):
        """The events that were delivered, checked by Stripe's library."""
        self.door("POST", "wait", seconds=60)
        return self.receiver.events(self.secret)

    def types(self):
        return sorted(event.type for event in self.told())


def price(currency, amount=500):
    return {"price_data": {"currency": currency, "unit_amount": amount, "product_data": {"name": "Invoice"}}}


def send(double, method, path, body=None, headers=None):
    """Status, headers and text of an answer."""
    target = urllib.parse.urlsplit(double.base_url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=90)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module", name="double")
def running():
    with Double(unit=0.005) as double:
        yield double


@pytest.fixture(name="seller")
def selling(double):
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, args=(0.01,), daemon=True).start()
    yield Seller(double, receiver)
    receiver.shutdown()
    receiver.server_close()


@pytest.fixture(autouse=True)
def clean(double):
    yield
    send(double, "POST", "/_double/reset", "{}", {"content-type": "application/json"})


# ---- The API, through the Python client --------------------------------------------------------------------------------


def test_a_session_is_made_and_read_back(seller):
    made = seller.session(payment_method_types=["card"], client_reference_id="r-1")
    assert (made.object, made.status, made.payment_status, made.amount_total, made.currency) == (
        "checkout.session",
        "open",
        "unpaid",
        12500,
        "eur",
    )
    assert made.url.startswith(seller.double.base_url) and made.metadata.to_dict() == INVOICE and made.payment_intent is None
    assert made.expires_at - made.created == 86400
    assert seller.api.checkout.sessions.retrieve(made.id).to_dict() == made.to_dict()
    [item] = seller.api.checkout.sessions.line_items.list(made.id).data
    assert (item.description, item.amount_total, item.quantity, item.price.unit_amount) == ("Invoice <RE-2026-0117>", 12500, 1, 12500)


def test_an_intent_is_paid_and_expanded(seller):
    made = seller.intent(expand=["latest_charge"])
    assert (made.status, made.amount_received, made.latest_charge.status) == ("succeeded", 12500, "succeeded")
    assert made.latest_charge.metadata.to_dict() == INVOICE and made.latest_charge.payment_method_details.card.last4 == "4242"
    assert seller.types() == ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]
    listed = seller.api.payment_intents.list({"expand": ["data.latest_charge"]})
    assert listed.data[0].latest_charge.id == made.latest_charge.id


def test_an_intent_is_reserved_captured_in_part_and_not_twice(seller):
    made = seller.intent(capture_method="manual")
    assert (made.status, made.amount_capturable, made.amount_received) == ("requires_capture", 12500, 0)
    assert seller.api.charges.retrieve(made.latest_charge).amount_captured == 0
    with pytest.raises(stripe.InvalidRequestError, match="More than"):
        seller.api.payment_intents.capture(made.id, {"amount_to_capture": 12501})
    assert seller.api.payment_intents.capture(made.id, {"amount_to_capture": 10000}).amount_received == 10000
    with pytest.raises(stripe.InvalidRequestError) as caught:
        seller.api.payment_intents.capture(made.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_an_intent_is_confirmed_later_or_cancelled(seller):
    made = seller.intent(confirm=False)
    assert made.status == "requires_confirmation"
    assert seller.api.payment_intents.confirm(made.id).status == "succeeded"
    other = seller.api.payment_intents.create({"amount": 500, "currency": "eur"})
    gone = seller.api.payment_intents.cancel(other.id, {"cancellation_reason": "abandoned"})
    assert (gone.status, gone.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        seller.api.payment_intents.confirm(other.id, {"payment_method": "pm_card_visa"})
    assert caught.value.code == "payment_intent_unexpected_state"


def test_the_same_key_and_parameters_replay_the_first_answer(seller):
    given = {"mode": "payment", "success_url": "https://pay.example/", "line_items": [price("eur")]}
    first = seller.api.checkout.sessions.create(given, {"idempotency_key": "k-1"})
    again = seller.api.checkout.sessions.create(given, {"idempotency_key": "k-1"})
    assert first.to_dict() == again.to_dict() and again.last_response.headers["idempotent-replayed"] == "true"
    assert again.last_response.headers["original-request"] == first.last_response.request_id != again.last_response.request_id
    assert len(seller.api.checkout.sessions.list().data) == 1
    with pytest.raises(stripe.IdempotencyError):
        seller.api.checkout.sessions.create({**given, "success_url": "https://pay.example/other"}, {"idempotency_key": "k-1"})
    with pytest.raises(stripe.IdempotencyError):
        seller.api.customers.create({}, {"idempotency_key": "k-1"})
    seller.door("POST", "clock", advance=86400)
    assert seller.api.checkout.sessions.create(given, {"idempotency_key": "k-1"}).id != first.id


def test_two_requests_at_once_with_one_key_are_a_conflict(seller):
    seller.door("POST", "faults", path="/v1/customers", answer="delay", seconds=5)
    options = {"idempotency_key": "k-2"}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(seller.api.customers.create, {"name": "A"}, options)
        wait_until(lambda: not seller.door("GET", "faults")["data"])
        with pytest.raises(stripe.APIError) as caught:
            seller.api.customers.create({"name": "A"}, options)
        assert (caught.value.http_status, caught.value.error.code) == (409, "idempotency_key_in_use")
        made = slow.result()
    assert seller.api.customers.create({"name": "A"}, options).id == made.id


def test_declines_are_kept_for_their_key_and_mistakes_are_not(seller):
    given, options = (
        {"amount": 500, "currency": "eur", "confirm": True, "payment_method": "pm_card_chargeDeclined"},
        {"idempotency_key": "k-3"},
    )
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            seller.api.payment_intents.create(given, options)
    assert len(seller.api.charges.list().data) == 1
    with pytest.raises(stripe.InvalidRequestError):
        seller.api.customers.create({"email": "none"}, {"idempotency_key": "k-4"})
    assert seller.api.customers.create({"email": "a@example.com"}, {"idempotency_key": "k-4"}).email == "a@example.com"


def test_lists_are_paged_through_both_ways(seller):
    made = [seller.api.customers.create({"name": f"C {number}"}).id for number in range(25)]
    listed = seller.api.customers.list({"limit": 10})
    assert listed.has_more and [one.id for one in listed.auto_paging_iter()] == made[::-1]
    assert not seller.api.customers.list({"limit": 25}).has_more and seller.api.customers.list({"limit": 24}).has_more
    back = seller.api.customers.list({"limit": 10, "ending_before": made[0]})
    assert [one.id for one in back.auto_paging_iter()] == made[1:]
    assert [one.id for one in seller.api.customers.list({"starting_after": made[2]}).data] == made[1::-1]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        seller.api.customers.list({"starting_after": "cus_none"})
    assert (caught.value.code, caught.value.param) == ("resource_missing", "starting_after")
    with pytest.raises(stripe.InvalidRequestError):
        seller.api.customers.list({"limit": 101})


def test_lists_are_filtered_by_what_and_when(seller):
    first = seller.intent()
    seller.door("POST", "clock", advance=100)
    second = seller.intent()
    assert [one.id for one in seller.api.charges.list({"payment_intent": first.id}).data] == [first.latest_charge]
    later = seller.api.payment_intents.list({"created": {"gt": first.created}})
    assert [one.id for one in later.data] == [second.id]
    types = seller.api.events.list({"types": ["charge.succeeded", "payment_intent.succeeded"]})
    assert {one.type for one in types.data} == {"charge.succeeded", "payment_intent.succeeded"} and len(types.data) == 4
    assert len(seller.api.events.list({"type": "charge.succeeded"}).data) == 2
    seller.door("POST", "clock", advance=30 * 86400)
    assert seller.api.events.list().data == [], "events are shown for 30 days"


def test_customers_change_and_go(seller):
    made = seller.api.customers.create(
        {"name": "A", "email": "a@example.com", "address": {"city": "Hamburg"}, "metadata": {"a": "1", "b": "2"}}
    )
    assert made.address.city == "Hamburg" and made.address.country is None
    changed = seller.api.customers.update(made.id, {"name": "B", "metadata": {"a": "", "c": "3"}})
    assert (changed.name, changed.metadata.to_dict()) == ("B", {"b": "2", "c": "3"})
    seller.api.customers.update(made.id, {"name": "B"})
    assert seller.api.customers.delete(made.id).deleted
    assert seller.types() == ["customer.created", "customer.deleted", "customer.updated"]
    [updated] = [event for event in seller.told() if event.type == "customer.updated"]
    assert updated.data.previous_attributes.to_dict() == {"name": "A", "metadata": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"line_items": [{"quantity": 1}]}, "parameter_missing", "line_items[0][price_data]"),
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"line_items": [{"price_data": {"hue": 1}}]}, "parameter_unknown", "line_items[0][price_data][hue]"),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"customer_email": "none"}, "email_invalid", "customer_email"),
        ({"success_url": "/done"}, "url_invalid", "success_url"),
        ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"mode": "subscription"}, None, "mode"),
        ({"metadata": {"name": "x" * 501}}, None, "metadata[name]"),
        ({"line_items": [price("eur"), price("usd")]}, None, "line_items"),
        ({"payment_method_types": ["sepa_debit"], "line_items": [price("usd")]}, None, "payment_method_types"),
    ],
)
def test_wrong_parameters_are_named(seller, change, code, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        seller.session(**change)
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize(
    "body",
    ["metadata=x", "metadata[a][b]=c", "expand=x", "expand[0][a]=b", "line_items=1", "line_items[0]=x", "line_items[a]=x", "email[]=1",
     "name[a]=1&name=2",
     "name=2&name[a]=1", "[]=1", "=1", "name=%ff", "a[b", "address=x", "address[city][x]=1", "preferred_locales=x", "name=" + "x" * 5001,
     "metadata[" + "x" * 41 + "]=1", "&".join(f"metadata[{i}]=1" for i in range(51))],
)  # fmt: skip
def test_odd_forms_are_refused_or_taken_and_break_nothing(seller, body):
    headers = {"authorization": f"Bearer {seller.key}", "content-type": "application/x-www-form-urlencoded"}
    for path in ("/v1/customers", "/v1/checkout/sessions", "/v1/payment_intents"):
        assert send(seller.double, "POST", path, body, headers)[0] in (200, 400), path
    assert send(seller.double, "GET", f"/v1/customers?{body}", headers=headers)[0] in (200, 400)
    assert send(seller.double, "POST", "/v1/customers", "{}", {**headers, "content-type": "application/json"})[0] == 400


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(12500, "eur", "125.00 EUR"), (500, "jpy", "500 JPY"), (50_000, "isk", "500.00 ISK"), (700, "mga", "700 MGA"), (1230, "kwd", "1.230 KWD")],
)  # fmt: skip
def test_the_page_shows_amounts_as_stripe_counts_them(seller, amount, currency, shown):
    assert f"Pay {shown}" in seller.get_page(seller.session(amount, currency))[2]


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [(49, "eur", "amount_too_small"), (29, "gbp", "amount_too_small"), (100_000_000, "eur", "amount_too_large"),
     (1005, "kwd", "parameter_invalid_integer"), (150, "isk", "parameter_invalid_integer")],
)  # fmt: skip
def test_amounts_are_chargeable(seller, amount, currency, code):
    for make in (
        lambda: seller.session(amount, currency),
        lambda: seller.api.payment_intents.create({"amount": amount, "currency": currency}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            make()
        assert caught.value.code == code


def test_errors_are_those_of_the_client(seller):
    for key in ("sk_test_wrong", ""):
        with pytest.raises(stripe.AuthenticationError):
            seller.client_of(key or "x").v1.customers.list()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        seller.api.checkout.sessions.retrieve("cs_test_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.CardError) as declined:
        seller.intent("pm_card_chargeDeclinedInsufficientFunds")
    error = declined.value
    assert (error.http_status, error.code, error.error.decline_code) == (402, "card_declined", "insufficient_funds")
    assert error.error.payment_intent.status == "requires_payment_method"
    assert seller.types() == ["charge.failed", "payment_intent.created", "payment_intent.payment_failed"]
    assert send(seller.double, "GET", "/v1/customers")[0] == 401
    assert send(seller.double, "GET", "/v1/none", headers={"authorization": f"Bearer {seller.key}"})[0] == 404


def test_a_restricted_key_may_what_it_may(seller):
    key = seller.door("POST", f"accounts/{seller.account['id']}/keys", permissions=["checkout_session_write", "event_read"])["key"]
    theirs, made = seller.client_of(key).v1, seller.session()
    assert theirs.checkout.sessions.retrieve(made.id).id == made.id
    assert theirs.checkout.sessions.expire(made.id).status == "expired"
    assert theirs.events.list().data
    for refused in (theirs.payment_intents.list, theirs.refunds.create, theirs.webhook_endpoints.list):
        with pytest.raises(stripe.PermissionError, match="rak_"):
            refused()
    seller.door("DELETE", f"keys/{key}")
    with pytest.raises(stripe.AuthenticationError) as caught:
        theirs.events.list()
    assert caught.value.error.code == "api_key_expired"


def test_accounts_see_nothing_of_each_other(seller, double):
    other, made = Seller(double, seller.receiver), seller.session()
    with pytest.raises(stripe.InvalidRequestError, match="No such"):
        other.api.checkout.sessions.retrieve(made.id)
    assert other.api.checkout.sessions.list().data == [] and other.api.events.list().data == []
    assert (other.api.accounts.retrieve_current().id, seller.api.accounts.retrieve_current().id) == (
        other.account["id"],
        seller.account["id"],
    )
    with pytest.raises(stripe.PermissionError):
        seller.api.customers.list(options={"stripe_account": other.account["id"]})


# ---- The page ----------------------------------------------------------------------------------------------------------


def test_the_page_shows_seller_items_and_amount_and_no_script(seller):
    status, headers, text = seller.get_page(seller.session(custom_text={"submit": {"message": "Danke & bis bald"}}))
    assert status == 200 and "<script" not in text and "default-src 'none'" in headers["Content-Security-Policy"]
    for shown in (
        "Nordlicht GmbH &amp; Co",
        "Invoice &lt;RE-2026-0117&gt;",
        "125.00 EUR",
        'href="https://pay.example/back?a=1&amp;b=2"',
        "Danke &amp;",
    ):
        assert shown in text
    fields = set(re.findall(r'<input id="(\w+)"', text))
    assert fields == set(re.findall(r'<label for="(\w+)"', text)) == {"card_number", "expiry", "cvc", "iban", "email", "name"}


def test_a_card_pays(seller):
    made = seller.session()
    status, headers, _ = seller.post_form(made, CARD)
    assert (status, headers["Location"]) == (303, f"https://pay.example/done?s={made.id}")
    paid = seller.api.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent.latest_charge"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.payment_intent.latest_charge.billing_details.email == paid.customer_details.email == "ada@example.com"
    assert paid.payment_intent.metadata.to_dict() == paid.payment_intent.latest_charge.metadata.to_dict() == INVOICE
    assert seller.types() == ["charge.succeeded", "checkout.session.completed", "payment_intent.created", "payment_intent.succeeded"]
    assert "paid. There is nothing more" in seller.get_page(made)[2]
    assert "4242424242424242" not in json.dumps([event.to_dict() for event in seller.told()], default=str)


def test_fifty_forms_at_once_make_one_charge(seller):
    made, gate = seller.session(), threading.Barrier(50)

    def post(_):
        gate.wait()
        return seller.post_form(made, CARD)[:2]

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert {(status, headers["Location"]) for status, headers in answers} == {(303, f"https://pay.example/done?s={made.id}")}
    assert len(seller.api.charges.list({"limit": 100}).data) == 1
    assert seller.types().count("checkout.session.completed") == 1


def test_a_declined_card_pays_nothing_and_another_then_does(seller):
    made = seller.session()
    status, _, text = seller.post_form(made, {**CARD, "card_number": "4000000000000002"})
    assert status == 402 and 'role="alert"' in text and 'aria-invalid="true"' in text and "4000000000000002" not in text
    assert seller.api.checkout.sessions.retrieve(made.id).payment_status == "unpaid"
    assert seller.post_form(made, CARD)[0] == 303
    [intent] = seller.api.payment_intents.list().data
    assert intent.status == "succeeded"
    assert [charge.status for charge in seller.api.charges.list().data] == ["succeeded", "failed"]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"card_number": "4242424242424241"}, "card_number"), ({"expiry": "01/20"}, "expiry"), ({"expiry": "1334"}, "expiry"),
     ({"cvc": "1"}, "cvc"),
     ({"email": "none"}, "email"), ({"name": " "}, "name"), ({**DEBIT, "iban": "DE89370400440532013001"}, "iban"),
     ({"method": "cash"}, "method")],
)  # fmt: skip
def test_what_is_typed_wrong_is_said_at_its_field(seller, change, field):
    status, _, text = seller.post_form(seller.session(), {**CARD, **change})
    assert status == 422 and f'href="#{field}"' in text and seller.api.payment_intents.list().data == []


@pytest.mark.parametrize(("answer", "paid"), [("yes", True), ("no", False)])
def test_a_bank_asks_who_pays(seller, answer, paid):
    made = seller.session()
    status, headers, _ = seller.post_form(made, {**CARD, "card_number": "4000002500003155"})
    assert status == 303 and headers["Location"].startswith("/authenticate/pi_")
    assert seller.api.payment_intents.list().data[0].status == "requires_action"
    assert "Your bank asks" in send(seller.double, "GET", headers["Location"])[2]
    status, after, text = seller.post_form(made, {"answer": answer}, headers["Location"])
    assert (status, "Location" in after) == ((303, True) if paid else (402, False))
    assert paid or f'action="{urllib.parse.urlsplit(made.url).path}"' in text
    assert seller.api.checkout.sessions.retrieve(made.id).payment_status == ("paid" if paid else "unpaid")
    assert seller.post_form(made, {"answer": "yes"}, headers["Location"])[0] == 409
    assert len(seller.api.charges.list().data) == paid


@pytest.mark.parametrize(("end", "status", "told"), [("settle", "paid", "succeeded"), ("fail", "unpaid", "failed")])
def test_a_debit_is_on_its_way_and_then_settles_or_fails(seller, end, status, told):
    made = seller.session()
    assert seller.post_form(made, DEBIT)[0] == 303
    waiting = seller.api.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert (waiting.status, waiting.payment_status, waiting.payment_intent.status) == ("complete", "unpaid", "processing")
    assert "on its way" in seller.get_page(made)[2]
    assert seller.types() == ["charge.pending", "checkout.session.completed", "payment_intent.created", "payment_intent.processing"]
    seller.door("POST", f"money/{waiting.payment_intent.id}/{end}")
    seller.door("POST", f"money/{waiting.payment_intent.id}/{end}", fails=400)
    assert seller.api.checkout.sessions.retrieve(made.id).payment_status == status
    assert {f"checkout.session.async_payment_{told}", f"charge.{told}"} < set(seller.types())


def test_a_session_expires_by_itself(seller):
    made = seller.session(expires_at=int(time.time()) + 1800)
    seller.post_form(made, {**CARD, "card_number": "4000000000000002"})
    seller.door("POST", "clock", advance=1700)
    assert seller.get_page(made)[0] == 200
    seller.door("POST", "clock", advance=101)
    assert seller.api.checkout.sessions.retrieve(made.id).status == "expired"
    assert seller.get_page(made)[0] == 410 and seller.post_form(made, CARD)[0] == 410
    assert {"checkout.session.expired", "payment_intent.canceled"} < set(seller.types())
    with pytest.raises(stripe.InvalidRequestError):
        seller.api.checkout.sessions.expire(made.id)


def test_a_session_expires_in_its_own_time_without_being_asked(seller):
    made = seller.session(expires_at=int(time.time()) + 1800)
    with seller.double.world.lock:
        seller.double.world.offset += 1799.5
        seller.double.world.changed.notify_all()
    wait_until(lambda: seller.api.checkout.sessions.retrieve(made.id).status == "expired")


def test_a_customer_is_known_or_made(seller):
    known = seller.api.customers.create({"email": "known@example.com"})
    text = seller.get_page(seller.session(customer=known.id))[2]
    assert 'name="email"' not in text
    made = seller.session(customer_creation="always")
    seller.post_form(made, CARD)
    paid = seller.api.checkout.sessions.retrieve(made.id, {"expand": ["customer"]})
    assert (paid.customer.name, paid.customer.email) == ("Ada Byron", "ada@example.com")


@pytest.mark.parametrize("expiry", ["12/34", "1234", "12 / 2034", "1/34"])
def test_expiries_are_taken_as_they_are_typed(seller, expiry):
    assert seller.post_form(seller.session(), {**CARD, "expiry": expiry})[0] == 303


def test_an_intent_of_an_open_page_is_left_to_it(seller):
    made = seller.session()
    seller.post_form(made, {**CARD, "card_number": "4000000000000002"})
    [intent] = seller.api.payment_intents.list().data
    for refused in (seller.api.payment_intents.cancel, seller.api.payment_intents.confirm):
        with pytest.raises(stripe.InvalidRequestError, match="Checkout"):
            refused(intent.id)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_for_everybody_and_leads_through(seller, scheme):
    chromium = Browser(seller.double.base_url)
    try:
        chromium.start(width=390, scheme=scheme)
        made = seller.session(payment_method_types=["card"], success_url=seller.receiver.url)
        path = urllib.parse.urlsplit(made.url).path
        chromium.goto(path)
        assert chromium.axe() == []
        shown = chromium.press("Pay 125.00 EUR", card_number="4000002500003155")
        assert shown.status == 422 and shown.title.startswith("Error") and chromium.axe() == []
        shown = chromium.press(
            "Pay 125.00 EUR", card_number="4000002500003155", expiry="12/34", cvc="123", name="Ada", email="ada@example.com"
        )
        assert "Your bank asks" in shown.text and chromium.axe() == []
        shown = chromium.press("Yes, it is me: pay")
        assert (shown.title, shown.url) == ("Thanks", seller.receiver.url)
        assert chromium.goto(path).title == "Already paid" and chromium.axe() == []
    finally:
        chromium.close()


# ---- Refunds and disputes ----------------------------------------------------------------------------------------------


def test_never_more_is_refunded_than_is_left(seller):
    paid = seller.intent()
    part = seller.api.refunds.create({"payment_intent": paid.id, "amount": 2500, "reason": "requested_by_customer"})
    assert (part.status, part.charge) == ("succeeded", paid.latest_charge)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        seller.api.refunds.create({"charge": paid.latest_charge, "amount": 10001})
    assert caught.value.param == "amount"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(seller.api.refunds.create, {"charge": paid.latest_charge, "amount": 4000}) for _ in range(8)]
    assert sum(one.exception() is None for one in tries) == 2
    assert seller.api.refunds.create({"payment_intent": paid.id}).amount == 2000
    with pytest.raises(stripe.InvalidRequestError) as caught:
        seller.api.refunds.create({"payment_intent": paid.id})
    assert caught.value.code == "charge_already_refunded"
    charge = seller.api.charges.retrieve(paid.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (12500, True)
    assert seller.types().count("charge.refunded") == seller.types().count("refund.created") == 4


def test_a_refund_comes_back(seller):
    paid = seller.intent()
    made = seller.api.refunds.create({"payment_intent": paid.id})
    seller.door("POST", f"money/{made.id}/settle")
    seller.door("POST", f"money/{made.id}/fail")
    assert seller.api.refunds.retrieve(made.id).status == "failed"
    assert seller.api.charges.retrieve(paid.latest_charge).amount_refunded == 0
    assert {"refund.updated", "refund.failed"} < set(seller.types())


@pytest.mark.parametrize(
    ("status", "events"), [("won", {"funds_withdrawn", "funds_reinstated"}), ("lost", {"funds_withdrawn"}), ("warning_closed", set())]
)
def test_a_dispute_is_opened_and_closed(seller, status, events):
    paid = seller.intent()
    seller.door("POST", "disputes", fails=400, charge=paid.id, amount=12501)
    made = seller.door("POST", "disputes", charge=paid.id, amount=5000, warning=status == "warning_closed")
    seller.door("POST", "disputes", fails=400, charge=paid.id)
    assert seller.api.disputes.list({"payment_intent": paid.id}).data[0].id == made["id"]
    seller.door("POST", f"disputes/{made['id']}/close", status=status)
    seller.door("POST", f"disputes/{made['id']}/close", fails=400, status=status)
    closed = seller.api.disputes.retrieve(made["id"])
    assert (closed.status, closed.amount) == (status, 5000)
    assert sum(one.amount for one in closed.balance_transactions) == (-5000 if status == "lost" else 0)
    told = {kind.removeprefix("charge.dispute.") for kind in seller.types() if "dispute" in kind}
    assert told == {"created", "closed"} | events
    if status == "lost":
        with pytest.raises(stripe.InvalidRequestError) as caught:
            seller.api.refunds.create({"payment_intent": paid.id})
        assert caught.value.code == "charge_disputed"


# ---- Webhooks ----------------------------------------------------------------------------------------------------------


def test_what_is_not_taken_comes_again_with_a_signature_of_its_own(seller):
    seller.receiver.statuses = [500, 302, 404]
    made = seller.api.customers.create({"name": "A"})
    [event] = {event.id: event for event in seller.told()}.values()
    assert event.type == "customer.created" and event.data.object.id == made.id and len(seller.receiver.got) == 4
    [delivery] = seller.door("GET", "deliveries")["data"]
    assert delivery["state"] == "delivered" and [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 404, 200]
    assert event.pending_webhooks == 1 and seller.api.events.retrieve(event.id).pending_webhooks == 0
    with pytest.raises(stripe.SignatureVerificationError):
        seller.receiver.events("whsec_wrong")


def test_endpoints_get_what_they_want(seller):
    assert "secret" not in seller.api.webhook_endpoints.retrieve(seller.endpoint)
    seller.api.webhook_endpoints.update(seller.endpoint, {"enabled_events": ["charge.succeeded"]})
    seller.intent()
    assert seller.types() == ["charge.succeeded"]
    seller.api.webhook_endpoints.update(seller.endpoint, {"disabled": True})
    seller.intent()
    assert seller.types() == ["charge.succeeded"]
    seller.api.webhook_endpoints.delete(seller.endpoint)
    assert seller.api.webhook_endpoints.list().data == []


def test_deliveries_are_held_and_released_in_another_order_and_twice_or_dropped(seller):
    seller.door("POST", "webhooks", hold=True)
    names = [seller.api.customers.create({"name": name}).id for name in "ABC"]
    assert seller.told() == []
    seller.door("POST", "webhooks/release", order="reversed")
    assert [event.data.object.id for event in seller.told()] == names[::-1]
    seller.door("POST", "webhooks", hold=False, copies=2)
    seller.api.customers.create({"name": "D"})
    assert len({event.id for event in seller.told()}) == 4 and len(seller.receiver.got) == 5
    seller.door("POST", "webhooks", copies=1, drop=["customer.created"])
    seller.api.customers.create({"name": "E"})
    assert len(seller.told()) == 5 and seller.door("GET", "deliveries")["data"][-1]["state"] == "dropped"
    lost = seller.api.events.list({"limit": 1}).data[0]
    seller.door("POST", f"events/{lost.id}/resend")
    assert seller.told()[-1].id == lost.id


def test_a_rolled_secret_signs_beside_the_old_one(seller):
    rolled = seller.door("POST", f"webhook_endpoints/{seller.endpoint}/secret", overlap=60)["secret"]
    seller.api.customers.create({})
    seller.door("POST", "wait", seconds=60)
    assert [event.id for event in seller.receiver.events(rolled)] == [event.id for event in seller.receiver.events(seller.secret)]
    seller.door("POST", "clock", advance=61)
    seller.api.customers.create({})
    seller.door("POST", "wait", seconds=60)
    assert len(seller.receiver.events(rolled)) == 2
    with pytest.raises(stripe.SignatureVerificationError):
        seller.receiver.events(seller.secret)


def test_objects_have_the_shape_of_the_fixtures(seller):
    customer = seller.api.customers.create({"name": "A"})
    seller.api.customers.update(customer.id, {"name": "B"})
    made = seller.session(customer=customer.id)
    seller.post_form(made, {**CARD, "card_number": "4000000000000002"})
    seller.post_form(made, CARD)
    for end in ("settle", "fail"):
        seller.post_form(made := seller.session(), DEBIT)
        seller.door("POST", f"money/{seller.api.checkout.sessions.retrieve(made.id).payment_intent}/{end}")
    seller.post_form(made := seller.session(), {**CARD, "card_number": "4000000000000002"})
    seller.api.checkout.sessions.expire(made.id)
    paid = seller.intent()
    refund = seller.api.refunds.create({"payment_intent": paid.id, "amount": 100})
    seller.door("POST", f"money/{refund.id}/settle")
    dispute = seller.door("POST", "disputes", charge=paid.id)
    seller.door("POST", f"disputes/{dispute['id']}/close", status="lost")
    seller.api.customers.delete(customer.id)
    # As they were made: they are delivered in any order.
    told, order = seller.told(), [event.id for event in seller.api.events.list({"limit": 100}).auto_paging_iter()]
    last_by_card = sorted(told, key=lambda event: ("card" in str(event), -order.index(event.id)))
    came = {event.type: event.to_dict() for event in last_by_card}
    fixtures = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events" / "stripe").glob("*.json")}
    for kind in fixtures.keys() - {"payout.paid"}:
        assert shape(came[kind], fixtures[kind], kind) == [], kind


def shape(made, wanted, path):
    """Where one is not built like the other: fields, and types where both have a value."""
    if isinstance(wanted, dict) and isinstance(made, dict):
        if path.endswith(("metadata", "previous_attributes", "sepa_debit")):
            return []
        differing = [f"{path}.{name}" for name in made.keys() ^ wanted.keys()]
        return differing + [one for name in made.keys() & wanted.keys() for one in shape(made[name], wanted[name], f"{path}.{name}")]
    if made is None or wanted is None or isinstance(made, type(wanted)):
        return []
    return [f"{path}: {type(made).__name__}, not {type(wanted).__name__}"]


# ---- Errors on demand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_failure_is_kept_for_its_key_whether_or_not_it_had_its_effect(seller, when, made):
    seller.door("POST", "faults", path="/v1/customers", method="POST", answer=500, when=when)
    for replayed in (None, "true"):
        with pytest.raises(stripe.APIError) as caught:
            seller.api.customers.create({}, {"idempotency_key": "k-5"})
        assert caught.value.http_status == 500 and caught.value.headers.get("idempotent-replayed") == replayed
    assert len(seller.api.customers.list().data) == made


@pytest.mark.parametrize("answer", ["reset", "timeout"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_had_by_asking_again(seller, answer, when):
    seller.door("POST", "faults", path="/v1/customers", answer=answer, when=when, seconds=0.05)
    with pytest.raises(stripe.APIConnectionError):
        seller.api.customers.create({}, {"idempotency_key": "k-6"})
    again = seller.api.customers.create({}, {"idempotency_key": "k-6"})
    assert again.last_response.headers.get("idempotent-replayed") == (None if when == "before" else "true")
    assert [one.id for one in seller.api.customers.list().data] == [again.id]


def test_a_replayed_answer_is_lost_too(seller):
    made = seller.api.customers.create({}, {"idempotency_key": "k-8"})
    seller.door("POST", "faults", path="/v1/customers", answer="reset")
    with pytest.raises(stripe.APIConnectionError):
        seller.api.customers.create({}, {"idempotency_key": "k-8"})
    assert seller.api.customers.create({}, {"idempotency_key": "k-8"}).id == made.id


def test_what_is_refused_leaves_nothing_behind(seller):
    for given in ({"payment_method": "pm_none"}, {"customer": "cus_none"}):
        with pytest.raises(stripe.InvalidRequestError):
            seller.intent(**given)
    assert seller.api.payment_intents.list().data == [] and seller.told() == []


def test_the_client_tries_again_by_itself_and_makes_one_thing(seller):
    patient = seller.client_of(seller.key, max_network_retries=2).v1
    seller.door("POST", "faults", path="/v1/customers", answer="reset", when="after")
    seller.door("POST", "faults", path="/v1/customers", answer=503, when="after")
    patient.customers.create({})
    assert len(seller.api.customers.list().data) == 1


def test_limits_of_rate_count_by_request_and_keep_nothing(seller):
    seller.door("POST", "faults", path="/v1/customers", answer=429, times=2)
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            seller.api.customers.create({}, {"idempotency_key": "k-7"})
    assert seller.api.customers.create({}, {"idempotency_key": "k-7"})


def test_the_page_fails_on_demand_too(seller):
    made = seller.session()
    seller.door("POST", "faults", path="/c/pay/", answer="reset", when="after")
    with pytest.raises(OSError):
        seller.post_form(made, CARD)
    assert seller.post_form(made, CARD)[0] == 303 and len(seller.api.charges.list().data) == 1


def test_the_door_refuses_what_it_does_not_know(seller):
    seller.door("POST", "faults", fails=400, path="/", answer="maybe")
    seller.door("POST", "faults", fails=400, path="/", answer=500, colour="red")
    seller.door("POST", "clock", fails=400, back=1)
    seller.door("POST", "clock", fails=400, advance=-1)
    seller.door("GET", "none", fails=404)
    assert send(seller.double, "POST", "/_double/reset", "a=1", {"content-type": "text/plain"})[0] == 415


def test_a_reset_leaves_what_was_there_at_the_start(seller, double):
    before = double.accounts[0]
    double_key = before["keys"][0]["key"]
    seller.door("POST", "reset")
    assert double.accounts == [before] and seller.client_of(double_key).v1.customers.list().data == []
    with pytest.raises(stripe.AuthenticationError):
        seller.api.customers.list()


# ---- The command, and the Node client ----------------------------------------------------------------------------------


def test_the_command_writes_where_it_is_and_goes_with_its_input(tmp_path):
    state, accounts = tmp_path / "stripe.json", tmp_path / "accounts.json"
    accounts.write_text(json.dumps([{"id": "acct_1", "name": "A", "keys": [{"key": "sk_test_given"}]}]))
    command = [sys.executable, "-m", "infra.local.stripe", "--port", "0", "--state", state, "--accounts", accounts, "--stop-on-stdin-eof"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        told = json.loads(state.read_text()) if process.stdout.readline() else {}
        assert told["accounts"][0]["keys"] == [{"key": "sk_test_given"}] and state.stat().st_mode & 0o777 == 0o600
        client = stripe.StripeClient("sk_test_given", base_addresses={"api": told["base_url"]})
        assert client.v1.customers.list().data == []
    finally:
        process.stdin.close()
    assert process.wait(10) == 0 and not state.exists()


def test_the_node_client_finds_a_stripe(seller):
    script = {"base": seller.double.base_url, "key": seller.key, "amount": 12500}
    made = node(script | {"do": "call"})
    assert made == {
        "session": "open", "same": True, "replayed": "true", "reused": "StripeIdempotencyError", "listed": 12, "received": 700,
        "errors": ["StripeAuthenticationError", "StripeInvalidRequestError", "StripeInvalidRequestError", "StripeCardError",
                   "StripeRateLimitError",
                   "StripeAPIError", "StripeConnectionError"],
        "codes": [None, "parameter_unknown", "resource_missing", "card_declined", "rate_limit", None, None],
    }  # fmt: skip
    seller.door("POST", "wait", seconds=60)
    taken = [{"body": body.decode(), "signature": signature, "secret": seller.secret} for body, signature in seller.receiver.got]
    types = node({"do": "construct", "taken": taken})
    assert sorted(types) == seller.types() and len(types) > 12


def node(script):
    done = subprocess.run(
        ["node", "stripe_client.mjs"], cwd=ROOT / "tests", input=json.dumps(script), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.01)
