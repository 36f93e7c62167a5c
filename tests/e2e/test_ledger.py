"""Staff work on the ledger, over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import BUSY, heard, wait_for
from events import event, tell
from people import Staff


def line(amount, **other):
    return {"description": "Chairs", "quantity": "1", "unit_price": {"amount": amount, "currency": "EUR"}, **other}


@pytest.fixture(scope="module")
def admin(stack):
    return Staff(stack, "billing_admin")


@pytest.fixture(scope="module")
def customer(admin):
    return admin.make("/customers", {"name": "Weber Office", "email": "ap@weber.example"})["id"]


def draft(admin, customer, amount=10_000):
    return admin.make("/invoices", {"customer_id": customer, "lines": [line(amount, tax_percent="19")]})["id"]


def test_an_invoice_is_issued_and_a_stripe_payment_arrives(stack, admin, customer):
    invoice = draft(admin, customer)
    status, headers, told = admin.ask("POST", f"/invoices/{invoice}/finalize")
    assert (status, told["status"], told["balance"]) == (200, "open", {"amount": 11_900, "currency": "EUR"})
    assert headers["etag"]
    made = event("payment_intent.succeeded", invoice=invoice, amount=11_900)
    assert tell(stack.orgs[0]["webhook_endpoints"][0], made) == 200
    paid = wait_for(lambda: (shown := admin.get(f"/invoices/{invoice}"))["status"] == "paid" and shown, 30, "paid invoice")
    assert paid["balance"]["amount"] == 0
    assert invoice in [row["id"] for row in admin.get(f"/invoices?customer_id={customer}")["data"]]


def test_fifty_edits_at_once_lose_nothing(admin, customer):
    invoice = draft(admin, customer)

    def edit(n):
        """Edits as a careful client does: reads, changes what it read, and anew if somebody was faster or it took too long. The tag, where it
        was told."""
        for _ in range(200):
            status, headers, shown = admin.ask("GET", f"/invoices/{invoice}")
            if status in BUSY:
                continue
            if n in [row["unit_price"]["amount"] for row in shown["lines"]]:
                return None
            lines = [*shown["lines"], line(n)]
            answer = admin.ask("PATCH", f"/invoices/{invoice}", {"lines": lines}, if_match=headers["etag"])
            if answer[0] == 200:
                return answer[1]["etag"]
            assert answer[0] in BUSY or (answer[0], answer[2]["code"]) in ((412, "stale"), (409, "overtaken")), answer
        raise AssertionError("never its turn")

    with ThreadPoolExecutor(16) as people:
        tags = [tag for tag in people.map(edit, range(1, 51)) if tag]
    shown = admin.get(f"/invoices/{invoice}")
    assert sorted(row["unit_price"]["amount"] for row in shown["lines"]) == sorted([10_000, *range(1, 51)])
    assert len(set(tags)) == len(tags) > 0


def test_fifty_requests_with_one_key_are_one(admin, customer):
    body = {"customer_id": customer, "lines": [line(777)]}
    with ThreadPoolExecutor(16) as people:
        answers = list(people.map(lambda _: heard(lambda: admin.ask("POST", "/invoices", body, idempotency_key="once")), range(50)))
    assert {answer[0] for answer in answers} == {201}
    assert len({answer[2]["id"] for answer in answers}) == 1
    status, _, told = admin.ask("POST", "/invoices", {**body, "memo": "another"}, idempotency_key="once")
    assert (status, told["code"]) == (422, "idempotency_key_reused")


def test_what_is_no_request_is_a_problem(admin, customer):
    deep, huge = "[" * 100_000, json.dumps({"name": "x" * 300_000})
    for body, wanted in [
        (b"\xff\xfe{}", 400), (b"", 400), (b"nul", 400), (deep, 400), (huge, 413), ({"name": "A", "nickname": "B"}, 400),
        ({"name": None}, 400), ({"name": "A" * 5_000}, 400), ({"name": "4242 4242 4242 4242"}, 400), ({"name": "\u0000"}, 400),
        ("{\"name\": \"A\", \"name\": \"B\"}", 400), ({"name": "A", "address": {"line1": "B"}}, 400),
    ]:
        status, headers, told = admin.ask("POST", "/customers", body)
        assert (status, headers["content-type"]) == (wanted, "application/problem+json"), (body, told)
        assert told["code"] in ("invalid_request", "body_too_large") and told["instance"] == headers["x-request-id"]
    for path in ("/invoices?limit=1000", "/invoices?cursor=%FF", "/invoices?status=lost", "/invoices?number=%2A",
                 f"/invoices?number={'a' * 2_100}"):
        assert admin.ask("GET", path)[0] == 400, path
    for path in ("/invoices/%00", "/invoices/inv_1", f"/invoices/{customer}"):
        assert admin.ask("GET", path)[0] == 404, path


def test_each_answer_has_its_line_and_no_line_has_a_name(stack, admin, customer):
    _, headers, _ = admin.ask("GET", f"/customers/{customer}")
    request = headers["x-request-id"]
    [said] = wait_for(lambda: [row for row in stack.lines("api-ledger") if row["request_id"] == request], 10, "log line")
    assert (said["org"], said["route"], said["status"]) == (admin.org, "GET /v1/orgs/{org}/customers/{id}", 200)
    assert said["who"].startswith("user:") and said["ip"] == "127.0.0.1"
    log = (stack.dir / "logs" / "api-ledger.log").read_text()
    assert not [word for word in ("Weber", "weber.example", "Chairs", admin.token) if word in log]
