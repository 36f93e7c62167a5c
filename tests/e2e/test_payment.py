"""A signed Stripe event pays an invoice, and counts once."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

from conftest import PATIENCE, wait_for
from events import event, post, sign, tell
import json


def free_invoice(org, number):
    return next(invoice for invoice in org["invoices"] if invoice["number"].endswith(number))


def test_an_event_signed_by_stripes_library_pays_an_invoice_within_three_seconds(stack):
    org = stack.orgs[0]
    endpoint, invoice = org["webhook_endpoints"][0], free_invoice(org, "0002")
    total = invoice["total"]["amount"]
    made = event("checkout.session.completed", invoice=invoice["id"], amount=total)
    began = time.monotonic()
    assert tell(endpoint, made) == 200
    answered = time.monotonic()
    received = wait_for(lambda: [line for line in stack.lines("webhook-stripe") if line.get("event_id") == made["id"]], 1, "line")[0]
    assert received["outcome"] == "queued" and received["message_id"], "it was answered when SQS had it"
    worked = wait_for(lambda: stack.worked(made["id"]), 3, "work")
    assert (worked["outcome"], worked["message_id"]) == ("applied", received["message_id"])
    assert worked["request_id"] == received["request_id"]
    assert time.monotonic() - answered < PATIENCE * 3
    shown = stack.invoice(org, invoice["id"])
    assert (shown["status"], shown["balance"]["amount"]) == ("paid", 0)
    assert [share["amount"]["amount"] for share in shown["allocations"]] == [total]
    assert time.monotonic() - began < PATIENCE * 5


def test_a_refund_reopens_what_it_takes_back(stack):
    org = stack.orgs[0]
    endpoint, invoice = org["webhook_endpoints"][0], free_invoice(org, "0004")
    total, intent = invoice["total"]["amount"], "pi_refunded"
    for made in (event("payment_intent.succeeded", invoice=invoice["id"], intent=intent, amount=total),
                 event("charge.refunded", invoice=invoice["id"], intent=intent, amount=total, amount_refunded=1_000)):
        assert tell(endpoint, made) == 200
        wait_for(lambda: stack.worked(made["id"]), 5, "work")
    shown = stack.invoice(org, invoice["id"])
    assert (shown["status"], shown["balance"]["amount"]) == ("partially_paid", 1_000)
    assert shown["payments"][0]["status"] == "partially_refunded"


def test_500_deliveries_of_50_events_count_once_each(stack):
    org = stack.orgs[1]
    endpoint, dice = org["webhook_endpoints"][0], random.Random(2026)
    first, second, _ = org["invoices"]
    events, paid = [], {first["id"]: 0, second["id"]: 0, None: 0}
    for number in range(17):
        invoice = [first["id"], second["id"], None][number % 3]
        intent, amount = f"pi_many_{number}", 1_000 + number
        paid[invoice] += amount
        for kind in ("payment_intent.succeeded", "charge.succeeded", "checkout.session.completed"):
            events.append(event(kind, invoice=invoice, intent=intent, amount=amount, currency="usd"))
    events = events[:50]
    deliveries = [made for made in events for _ in range(10)]
    dice.shuffle(deliveries)
    with ThreadPoolExecutor(32) as senders:
        assert set(senders.map(lambda made: tell(endpoint, made), deliveries)) == {200}
    wait_for(lambda: all(stack.worked(made["id"]) for made in events), 60, "end of work")
    names = [word for made in events for word in ("--events", f"{endpoint['id']}:{made['id']}")]
    shown = stack.ledger(org, "--invoice", first["id"], "--invoice", second["id"], *names)
    assert {made["status"] for made in shown["events"]} == {"applied"}
    for invoice in shown["invoices"]:
        assert invoice["total"]["amount"] - invoice["balance"]["amount"] == min(paid[invoice["id"]], invoice["total"]["amount"])
        assert sum(share["amount"]["amount"] for share in invoice["allocations"]) == invoice["total"]["amount"] - invoice["balance"]["amount"]
    lonely = [word for number in range(2, 17, 3) for word in ("--payment", f"pi_many_{number}")]
    assert sum(one["unapplied"]["amount"] for one in stack.ledger(org, *lonely)["payments"]) == paid[None]

    items = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.resources.LedgerTable)
    payments = [item for page in items for item in page["Items"] if "pi_many_" in item["pk"]["S"] and item["sk"]["S"] == "payment"]
    assert len(payments) == 17


def test_an_id_that_comes_again_with_other_bytes_changes_nothing(stack):
    org = stack.orgs[0]
    endpoint, invoice = org["webhook_endpoints"][0], free_invoice(org, "0003")
    made = event("payment_intent.succeeded", invoice=invoice["id"], amount=700)
    assert tell(endpoint, made) == 200
    wait_for(lambda: stack.worked(made["id"]), 5, "work")
    made["data"]["object"]["amount_received"] = 900
    assert tell(endpoint, made) == 200
    line = wait_for(lambda: [it for it in stack.lines("worker-stripe") if it["outcome"] == "conflict" and it["event_id"] == made["id"]], 5, "conflict")[0]
    assert line["conflicts"] == 1
    shown = stack.invoice(org, invoice["id"])
    assert shown["total"]["amount"] - shown["balance"]["amount"] == 700


def test_what_is_wrong_gets_a_clear_status_and_never_a_500(stack):
    endpoint = stack.orgs[0]["webhook_endpoints"][0]
    url, secret = endpoint["url"], endpoint["secret"]
    valid = json.dumps(event("payout.paid"))
    full = json.dumps({"id": "evt_full", "object": "event", "type": "x", "pad": ""})
    full = full.replace('""', '"' + "a" * (1_048_576 - len(full)) + '"')
    now = int(time.time())
    for name, target, body, header, expected in [
        ("no signature", url, valid, None, 400),
        ("another secret", url, valid, sign(valid, "whsec_other"), 400),
        ("another body", url, valid + " ", sign(valid, secret), 400),
        ("too old", url, valid, sign(valid, secret, now - 301), 400),
        ("from the future", url, valid, sign(valid, secret, now + 400), 400),
        ("not JSON", url, "hello", sign("hello", secret), 400),
        ("empty", url, "", sign("", secret), 400),
        ("deep", url, "[" * 100_000, sign("[" * 100_000, secret), 400),
        ("doubled key", url, valid.replace("{", '{"id":"evt_x",', 1), sign(valid.replace("{", '{"id":"evt_x",', 1), secret), 400),
        ("1 MiB", url, full, sign(full, secret), 200),
        ("over 1 MiB", url, full + " ", sign(full + " ", secret), 413),
        ("unknown endpoint", url[:-26] + "01ke6jq300e00r40r40m30ezzz", valid, sign(valid, secret), 404),
        ("malformed endpoint", url[:-26] + "nothing", valid, sign(valid, secret), 404),
        ("another organisation's secret", stack.orgs[1]["webhook_endpoints"][0]["url"], valid, sign(valid, secret), 400),
        ("not UTF-8", url, b'{"id":"evt_\xff"}', "t=1,v1=00", 400),
    ]:
        status, headers, answer = post(target, body, header)
        assert status == expected, name
        assert headers["x-request-id"] and headers["strict-transport-security"] and headers["x-content-type-options"] == "nosniff", name
        if status != 200:
            problem = json.loads(answer)
            assert headers["content-type"] == "application/problem+json" and problem["status"] == status, name
            assert problem["instance"] == headers["x-request-id"] and problem["code"], name
