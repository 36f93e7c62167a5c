"""What is due is shown to nobody, and is gone when the job has come by; what a legal hold keeps stays."""

import datetime
import json

import pytest
from browser import send
from conftest import wait_for
from exports import address
from past import Past, ago, retain
from people import Person, Staff, founded, release_all


def audit(staff, action, since):
    """What the log tells of an action from a time on: of each kind of thing how many."""
    found, cursor = {}, None
    while True:
        page = staff.get(f"/audit-events?action={action}&from={since}&limit=100" + (f"&cursor={cursor}" if cursor else ""))
        for it in page["data"]:
            found[it["object"]["kind"]] = found.get(it["object"]["kind"], 0) + 1
        cursor = page["next_cursor"]
        if not cursor:
            return found


@pytest.fixture(scope="module")
def people(stack):
    return {role: Staff(stack, role) for role in ("controller", "cfo", "compliance", "billing_admin")}


@pytest.fixture(scope="module", autouse=True)
def nothing_is_held(people):
    release_all(people["compliance"])


def test_what_is_due_is_hidden_at_once_and_then_deleted(stack, people):
    controller, cfo, compliance = people["controller"], people["cfo"], people["compliance"]
    past, begun = Past(stack, controller.org), ago(0).strftime("%Y-%m-%dT%H:%M:%SZ")
    due = past.everything(controller, controller, cfo)
    event = past.webhook_event(stack.orgs[0]["webhook_endpoints"][0])

    for path in (f"/customers/{due['customer']}", f"/invoices/{due['invoice']}", f"/payments/{due['payment']}"):
        assert controller.ask("GET", path)[0] == 404, path
    assert due["customer"] not in json.dumps(controller.get("/customers?limit=100"))
    assert due["invoice"] not in json.dumps(controller.get("/invoices?limit=100"))
    assert due["payment"] not in json.dumps(controller.get("/payments?limit=100"))
    assert controller.ask("PATCH", f"/invoices/{due['invoice']}", {"memo": "as new"})[0] == 404
    assert send(stack.base_url, "GET", due["url"].removeprefix(stack.base_url))[0] >= 404
    assert "payload" not in people["billing_admin"].get(f"/webhook-events/{event}")
    assert cfo.get(f"/exports/{due['export']}")["status"] == "expired"
    assert address(cfo, due["export"])[0] != 303
    assert past.item("invoice", due["invoice"]) and past.item("portal-link", due["portal_link"])

    assert retain(stack)
    line = [it for it in stack.lines("job-retention") if it["outcome"] == "done"][-1]
    assert line["items"] >= 5 and line["span"] == "job"
    assert not past.item("invoice", due["invoice"]) and not past.item("portal-link", due["portal_link"])
    assert not past.item("payment-pointer", due["payment"])
    assert not [it for it in past.items("WebhookEventsTable", "payload#") if it["since_sk"]["S"] < ago(31).strftime("%Y-%m-%d")]
    files = stack.aws("s3").list_objects_v2(Bucket=stack.resources.ExportsBucket, Prefix=f"{controller.org}/{due['export']}")
    assert files["KeyCount"] == 0
    assert json.loads(past.item("export", due["export"])["row"]["S"])["gone"] is True
    # worker-privacy is told of the customer. This one is a copy that nobody's key opens: what it does then is for test_erasure to see.
    wait_for(lambda: [it for it in stack.lines("worker-privacy") if it["span"] == "message" and it["timestamp"] >= begun], 30, "task")
    told = audit(compliance, "retention.delete", begun)
    assert told == {"invoice": 1, "payment": 1, "portal_link": 1, "webhook_payload": 1, "export_file": 1}
    assert retain(stack)
    assert audit(compliance, "retention.delete", begun) == told, "nothing goes twice"


def test_days_of_the_log_go_and_nobody_is_shown_them_before(stack, people):
    compliance = people["compliance"]
    past = Past(stack, compliance.org)
    past.set(lambda row: row["settings"].update(retention={"audit_event": 365}))
    day = past.log(400, 20)
    of_day = lambda: [it for it in past.items("AuditTable", "aud_") if f"#{day}#" in it["pk"]["S"]]  # noqa: E731
    assert len(of_day()) == 20
    shown = compliance.get(f"/audit-events?from={day}T00:00:00Z&to={day}T23:59:59Z")
    assert (shown["data"], shown["next_cursor"]) == ([], None)
    oldest = lambda: (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=365)).strftime("%Y-%m-%d")  # noqa: E731
    before = oldest()
    assert retain(stack)
    assert not of_day()
    kept = json.loads(past.item("audit-kept")["row"]["S"])
    assert kept["from"] in (before, oldest()) and kept["is_gone"] is True
    past.set(lambda row: row["settings"].update(retention={}))


def test_a_closed_organisations_key_goes_after_its_entry_in_the_erasure_ledger(stack):
    person = founded(stack, "Zeitlos", "zeitlos.canary@example.com")
    assert isinstance(person, Person)
    past = Past(stack, person.org)
    member = json.loads(past.items("LedgerTable", "member-pointer")[0]["row"]["S"])["id"]
    past.set(lambda row: row.update(closed={"by": member, "at": ago(29).isoformat()}))
    assert retain(stack) and past.item("data-key")
    past.set(lambda row: row.update(closed={"by": member, "at": ago(30).isoformat()}))
    assert retain(stack) and not past.item("data-key")
    entry = stack.aws("s3").get_object(Bucket=stack.resources.CheckpointsBucket, Key=f"{person.org}/erasures/organisation")
    entry = json.loads(entry["Body"].read())
    assert (entry["org"], entry["authority"]) == (person.org, "closing")
    assert retain(stack), "it is done once"
