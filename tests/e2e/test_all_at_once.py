"""Webhooks, staff, exports, sealing, retention and an erasure, all at once: the books balance and no event is lost."""

import itertools
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import BUSY, wait_for
from events import event, tell
from exports import download, ready
from past import Past
from people import Staff, release_all, seal

CUSTOMERS, INVOICES, TOTAL = 4, 2, 10_000


@pytest.fixture(scope="module")
def people(stack):
    return {role: Staff(stack, role) for role in ("controller", "billing_admin", "compliance")}


def owed(admin, customer, number):
    line = {"description": f"Delivery {number}", "quantity": "1", "unit_price": {"amount": TOTAL, "currency": "EUR"}}
    made = admin.make("/invoices", {"customer_id": customer["id"], "lines": [line], "memo": f"For {customer['name']}"})
    status, _, told = admin.ask("POST", f"/invoices/{made['id']}/finalize")
    assert (status, told["status"]) == (200, "open"), told
    return told


def pages(person, path):
    """All of a list."""
    cursor = ""
    while cursor is not None:
        part = person.get(f"{path}?limit=100{cursor and f'&cursor={cursor}'}")
        yield from part["data"]
        cursor = part["next_cursor"]


def run(stack, function):
    answer = stack.aws("lambda").invoke(FunctionName=getattr(stack.resources, function), Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_the_books_balance_and_no_event_is_lost(stack, people):
    admin, controller, compliance = people["billing_admin"], people["controller"], people["compliance"]
    endpoint, dice = stack.orgs[0]["webhook_endpoints"][0], random.Random(6)
    customers = [admin.make("/customers", {"name": f"Busy {number}", "email": f"busy{number}@example.com"}) for number in range(CUSTOMERS)]
    invoices = [owed(admin, customer, number) for customer in customers for number in range(INVOICES)]
    # Nobody pays it but staff, so that they do not all come too late.
    by_hand = owed(admin, customers[-1], INVOICES)
    forgotten = customers[0]["id"]
    # And what is due has to go meanwhile, but for what a hold keeps.
    release_all(compliance)
    past, link = Past(stack, compliance.org), admin.make(f"/invoices/{by_hand['id']}/portal-links", {"send_email": False})["id"]
    due = [past.again("portal-link", link, 60, lambda row, at: row.update(expires_at=at)) for _ in range(30)]

    # Twice what is owed is paid, in parts, told of by intent and charge, some of it refunded.
    events, paid = [], {}
    for invoice, part in itertools.product(invoices, range(4)):
        intent, amount = f"pi_{invoice['id']}_{part}", TOTAL // 2
        events += [event(kind, invoice=invoice["id"], intent=intent, amount=amount) for kind in ("payment_intent.succeeded", "charge.succeeded")]
        if part == 3:
            events.append(event("charge.refunded", invoice=invoice["id"], intent=intent, amount=amount, amount_refunded=1_000))
        paid[intent] = amount - (1_000 if part == 3 else 0)
    deliveries = events * 2
    dice.shuffle(deliveries)

    over, applied, released = threading.Event(), set(), []

    def until_over(work):
        for number in itertools.count():
            if over.is_set():
                return number
            work(number)

    def staff(number):
        invoice = [by_hand, *invoices][number % (1 + len(invoices))]
        money = {"amount": 500, "currency": "EUR"}
        status, _, payment = admin.ask("POST", "/payments", {"source": "bank", "amount": money, "received_on": "2026-11-20"})
        if status in BUSY:
            # So much at once is more than this machine's emulator may have time for.
            return
        assert status == 201, payment
        share = {"allocations": [{"invoice_id": invoice["id"], "amount": money}]}
        status, _, told = admin.ask("POST", f"/payments/{payment['id']}/allocations", share)
        # It may be paid by then, or its customer erased.
        assert status in (201, 409, 422, *BUSY), told
        applied.update({invoice["id"]} if status == 201 else ())
        controller.get("/invoices?limit=100")
        compliance.get("/audit-events?limit=50")

    def holds(number):
        if len(released) >= 3:
            # Whatever deletes or erases starts anew where a hold is placed meanwhile: a few are enough.
            return over.wait()
        status, _, placed = compliance.ask("POST", "/legal-holds", {"customer_id": customers[-1]["id"], "reason": f"Matter {number}"})
        if status not in BUSY:
            assert status == 201, placed
            status, _, told = compliance.ask("POST", f"/legal-holds/{placed['id']}/release")
            assert status in BUSY or (status, "released_at" in told) == (200, True), told
            released.extend([placed["id"]] if status == 200 else [])

    def jobs(number):
        if number >= 8:
            # A log of many checkpoints is long to export, and there are no more in hours of work.
            return over.wait()
        assert seal(stack)
        run(stack, "JobRetention")

    with ThreadPoolExecutor(16) as pool:
        working = [pool.submit(until_over, work) for work in (staff, holds, jobs)]
        sent = [pool.submit(tell, endpoint, made) for made in deliveries]
        request = compliance.make("/privacy-requests", {"kind": "erasure", "customer_id": forgotten})
        export = pool.submit(ready, admin, controller, kind="invoices", format="csv")
        try:
            assert {it.result() for it in sent} == {200}
            ours = {it["id"] for it in events}
            wait_for(lambda: ours <= {it.get("event_id") for it in stack.lines("worker-stripe") if "error" not in it}, 60, "end of work")
            wait_for(lambda: compliance.get(f"/privacy-requests/{request['id']}")["status"] == "done", 120, "erasure")
            # An erasure takes the files away that may hold what it erased; another one is asked for then.
            export.exception()
            wait_for(lambda: applied and released or any(it.done() for it in working), 30, "work of staff that was not in vain")
        finally:
            over.set()
        assert all(it.result() > 0 for it in working), "each of them was at it"

    # No event is lost, and none counts twice.
    told = [it for it in pages(admin, "/webhook-events") if it["provider_event_id"] in ours]
    assert len(told) == len(ours) and {it["status"] for it in told} <= {"applied", "superseded"}

    # The books balance: what invoices say they got is what payments say they gave.
    shown = [controller.get(f"/invoices/{it['id']}") for it in invoices]
    payments = {it["id"]: it for it in pages(controller, "/payments")}
    ledger = stack.ledger(stack.orgs[0], *(word for it in [by_hand, *invoices] for word in ("--invoice", it["id"])))
    given = [share for invoice in ledger["invoices"] for share in invoice["allocations"]]
    for invoice in [controller.get(f"/invoices/{by_hand['id']}"), *shown]:
        got = sum(share["amount"]["amount"] for share in given if share["invoice_id"] == invoice["id"])
        assert invoice["balance"]["amount"] == TOTAL - got and (got == TOTAL or invoice["id"] == by_hand["id"]), invoice
    ours = [it for it in payments.values() if it.get("external_id") in paid]
    assert {it["external_id"] for it in ours} == set(paid) and len(ours) == len(paid)
    for payment in ours:
        net = paid[payment["external_id"]]
        allocated = sum(share["amount"]["amount"] for share in given if share["payment_id"] == payment["id"])
        assert 0 <= payment["unapplied"]["amount"] == net - allocated, payment

    # What was due is gone, once no hold keeps it whose release was too much at once.
    release_all(compliance)
    run(stack, "JobRetention")
    assert not [id for id in due if past.item("portal-link", id)] and past.item("portal-link", link)

    # The log of all that is whole and sealed, and the erased customer's invoices are without words.
    assert seal(stack)
    stored = {it["sk"]["S"] for it in past.items("AuditTable", "aud_")}
    exported = ready(compliance, controller, kind="audit", format="json")
    told = json.loads(stack.plixoctl("audit", "key", "--org", compliance.org).stdout)
    (file := stack.dir / "all-at-once.jsonl").write_text(download(compliance, exported["id"])[1])
    verified = stack.run("plixoctl", "audit", "verify", str(file), "--key", told["key"], env={})
    assert verified.returncode == 0, verified.stdout + verified.stderr
    events, unsealed = ([json.loads(line) for line in part.splitlines() if line.startswith('{"id":')]
                        for part in file.read_text().split('{"unsealed":true}\n'))
    assert stored and stored <= {it["id"] for it in [*events, *unsealed]}
    sealed_to = json.loads(verified.stdout)["sealed_to"]
    assert all(it["at"][:19] >= sealed_to[:19] for it in unsealed), "what came before is sealed, whoever wrote at once"
    erased = [it for it in shown if it["customer_id"] == forgotten]
    assert len(erased) == INVOICES and not any("memo" in it for it in erased)
    assert all("memo" in it for it in shown if it["customer_id"] != forgotten)
