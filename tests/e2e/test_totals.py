"""The overview's sums follow the ledger, and are counted anew where they did not."""

import datetime
import json
import os
import subprocess

import pytest

from conftest import wait_for
from events import event, tell
from people import Staff


@pytest.fixture(scope="module")
def staff(stack):
    return Staff(stack, "billing_admin")


def everything(staff, path):
    """All rows of a list."""
    rows, cursor = [], ""
    while cursor is not None:
        told = staff.get(f"{path}?limit=100" + (f"&cursor={cursor}" if cursor else ""))
        rows += told["data"]
        cursor = told["next_cursor"]
    return rows


def added_up(staff):
    """What the overview should show, by the invoices and payments themselves: open, overdue, received in the last 12 months, by currency."""
    date = datetime.datetime.now(datetime.UTC).date()
    today, first = date.isoformat(), f"{date.year - (date.month < 12)}-{date.month % 12 + 1:02}"
    sums = {}
    for invoice in everything(staff, "/invoices"):
        if invoice["status"] in ("open", "partially_paid"):
            of = sums.setdefault(invoice["balance"]["currency"], {"open": 0, "overdue": 0, "months": {}})
            of["open"] += invoice["balance"]["amount"]
            of["overdue"] += invoice["balance"]["amount"] if (invoice["due_on"] or "9999") < today else 0
    for payment in everything(staff, "/payments"):
        back = payment.get("refunded", {"amount": 0})["amount"]
        if (payment["received_on"] or "") >= first and payment["amount"]["amount"] > back:
            of = sums.setdefault(payment["amount"]["currency"], {"open": 0, "overdue": 0, "months": {}})
            month = payment["received_on"][:7]
            of["months"][month] = of["months"].get(month, 0) + payment["amount"]["amount"] - back
    return sums


def shown(staff):
    """What the overview shows, in the same form."""
    return {
        of["currency"]: {"open": of["open"]["amount"], "overdue": of["overdue"]["amount"],
                         "months": {month["month"]: month["received"]["amount"] for month in of["months"] if month["received"]["amount"]}}
        for of in staff.get("/overview")["currencies"]
    }


def agree(staff):
    """Waits until the overview is what the ledger says, and answers it."""
    return wait_for(lambda: (now := shown(staff)) == added_up(staff) and now, 20, "overview that is the ledger's")


def of_totals(stack, org):
    return {"TableName": stack.resources.LedgerTable, "Key": {"pk": {"S": org}, "sk": {"S": "totals"}}}


def write_totals(stack, org, text):
    stack.aws("dynamodb").update_item(**of_totals(stack, org), UpdateExpression="SET #row = :row", ExpressionAttributeNames={"#row": "row"},
                                      ExpressionAttributeValues={":row": {"S": text}})


def recounted(stack, org):
    done = stack.plixoctl("totals", "recount", "--org", org)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.splitlines()


def issued(stack, staff):
    """An open invoice of its own."""
    org = next(org for org in stack.orgs if org["id"] == staff.org)
    price = {"amount": 50_000, "currency": org["invoices"][0]["total"]["currency"]}
    lines = [{"description": "Chairs", "quantity": "1", "unit_price": price}]
    made = staff.make("/invoices", {"customer_id": org["customers"][0]["id"], "lines": lines, "due_on": "2020-01-31"})
    status, _, told = staff.ask("POST", f"/invoices/{made['id']}/finalize")
    assert status == 200, told
    return org, told


def paid(stack, issued, amount):
    """A payment of an invoice, worked on."""
    org, invoice = issued
    sent = event("payment_intent.succeeded", invoice=invoice["id"], amount=amount, currency=invoice["total"]["currency"].lower())
    assert tell(org["webhook_endpoints"][0], sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 10, "work")


def test_the_overview_is_what_the_ledger_says_after_a_payment(stack, staff):
    invoice = issued(stack, staff)
    before = agree(staff)
    paid(stack, invoice, 1_234)
    after = agree(staff)
    assert after["EUR"]["open"] == before["EUR"]["open"] - 1_234
    assert after["EUR"]["overdue"] == before["EUR"]["overdue"] - 1_234 > 0
    assert sum(after["EUR"]["months"].values()) == sum(before["EUR"]["months"].values()) + 1_234


def test_sums_that_are_wrong_are_counted_anew(stack, staff):
    own = issued(stack, staff)
    right = agree(staff)
    tables = stack.aws("dynamodb")
    row = json.loads(tables.get_item(**of_totals(stack, staff.org), ConsistentRead=True)["Item"]["row"]["S"])
    row["currencies"]["EUR"]["later"] += 777_000
    write_totals(stack, staff.org, json.dumps(row))
    assert shown(staff)["EUR"]["open"] == right["EUR"]["open"] + 777_000
    # What a row was counted as is forgotten too, as if it were older than the stream.
    invoice = everything(staff, "/invoices")[0]["id"]
    tables.delete_item(TableName=stack.resources.LedgerTable, Key={"pk": {"S": f"{staff.org}#{invoice}"}, "sk": {"S": "counted"}})

    done, told = recounted(stack, staff.org)
    invoices, payments = (len(everything(staff, what)) for what in ("/invoices", "/payments"))
    assert done == {"org": staff.org, "invoices": invoices, "payments": payments}
    assert told[-1] == f"{invoices} invoices, {payments} payments"
    assert shown(staff) == right
    recounted(stack, staff.org)
    assert shown(staff) == right
    paid(stack, own, 55)
    agree(staff)


def test_sums_that_cannot_be_read_hold_up_no_other_organisation(stack, staff):
    other = Staff(stack, "billing_admin", org=1)
    own, others = issued(stack, staff), issued(stack, other)
    agree(other)
    write_totals(stack, other.org, "{}")
    paid(stack, others, 150)
    left = lambda: [line for line in stack.lines("worker-totals") if line.get("org") == other.org and line["outcome"] == "left_out"]  # noqa: E731
    wait_for(left, 20, "sign that it was left out")
    paid(stack, own, 60)
    agree(staff)
    recounted(stack, other.org)
    agree(other)


def test_a_recount_goes_on_though_nobody_reads_how_far_it_is(stack, staff):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed:
        command = [stack.bin / "plixoctl", "totals", "recount", "--org", staff.org]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=closed, env={**os.environ, **stack.json["env"]})
    assert done.returncode == 0 and json.loads(done.stdout)["org"] == staff.org


def test_nobody_is_counted_who_is_not_there(stack):
    nobody = "org_01ke6jq300e00r40r40m30ezzz"
    done = stack.plixoctl("totals", "recount", "--org", nobody)
    assert done.returncode != 0 and f"there is no organisation {nobody}" in done.stderr
    assert "Item" not in stack.aws("dynamodb").get_item(**of_totals(stack, nobody))
