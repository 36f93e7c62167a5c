"""The audit log shows who did what."""

import datetime
from urllib.parse import urlencode

from conftest import wait_for
from events import event, tell
from people import Staff


def log(staff, **query):
    """All events that a query finds, over all its parts."""
    found, cursor = [], {}
    while True:
        part = staff.get(f"/audit-events?{urlencode({**query, **cursor})}")
        found += part["data"]
        if part["next_cursor"] is None:
            return found
        cursor = {"cursor": part["next_cursor"]}


def test_it_says_who_did_what(stack):
    began = datetime.datetime.now(datetime.UTC).isoformat()
    admin, reader = Staff(stack, "billing_admin"), Staff(stack, "compliance")
    status, headers, endpoint = admin.ask("POST", "/webhook-endpoints", {"provider": "stripe"})
    assert status == 201
    changed = admin.ask("PATCH", f"/webhook-endpoints/{endpoint['id']}", {"state": "disabled"})
    Staff(stack, "viewer").ask("POST", f"/webhook-endpoints/{endpoint['id']}/rotate")

    denied, patched, created = log(reader, object=endpoint["id"], **{"from": began})
    assert [one["action"] for one in (created, patched, denied)] == [f"webhook_endpoint.{verb}" for verb in ("create", "update", "rotate")]
    assert (created["outcome"], patched["outcome"], denied["outcome"]) == ("allowed", "allowed", "denied")
    assert (created["request_id"], patched["request_id"]) == (headers["x-request-id"], changed[1]["x-request-id"])
    assert (patched["fields"], denied["fields"]) == (["state"], [])
    assert patched["actor"] == created["actor"] == {"kind": "member", "id": admin.who["id"], "role": "billing_admin"}
    assert denied["actor"]["role"] == "viewer"
    assert patched["ip"] == "127.0.0.1" and patched["user_agent"].startswith("Python-urllib")
    assert patched["object"] == {"kind": "webhook_endpoint", "id": endpoint["id"]}

    mine = log(reader, action="audit.", actor=reader.who["id"], **{"from": began})
    assert mine and {one["action"] for one in mine} == {"audit.list"}


def test_filters_work_and_parts_go_on(stack):
    reader, org = Staff(stack, "controller"), stack.orgs[0]
    endpoint = org["webhook_endpoints"][0]
    now = datetime.datetime.now(datetime.UTC)
    began, before = now.isoformat(), (now - datetime.timedelta(minutes=1)).isoformat()
    sent = [event("payment_intent.succeeded", amount=100 + number) for number in range(5)]
    for one in sent:
        assert tell(endpoint, one) == 200
    wait_for(lambda: all(stack.worked(one["id"]) for one in sent), 10, "end of work")
    found = log(reader, actor="provider", action="payment.", limit=2, **{"from": began})
    assert len(found) == len({one["id"] for one in found}) == 5
    assert {(one["actor"]["id"], one["action"]) for one in found} == {(endpoint["id"], "payment.create")}
    by_id = log(reader, actor=endpoint["id"], action="payment.create", **{"from": began})
    assert by_id == found
    assert log(reader, actor="provider", action="payment", **{"from": began}) == []
    assert not {one["id"] for one in log(reader, actor="provider", to=began, **{"from": before})} & {one["id"] for one in found}
    assert log(reader, actor="member", object=found[0]["object"]["id"], **{"from": began}) == []
    made = datetime.datetime.fromtimestamp((stack.dir / "stack.json").stat().st_mtime, datetime.UTC).isoformat()
    assert {"plixoctl"} <= {one["actor"]["id"] for one in log(reader, limit=100, to=made)}, "from the first day on"


def test_the_history_of_an_invoice_is_its_own(stack):
    admin, reader = Staff(stack, "billing_admin"), Staff(stack, "cfo")
    order = {"customer_id": stack.orgs[0]["customers"][0]["id"], "lines": [
        {"description": "Chair", "quantity": "1", "unit_price": {"amount": 5_000, "currency": "EUR"}}]}
    invoice = admin.ask("POST", "/invoices", order)[2]["id"]
    assert admin.ask("POST", f"/invoices/{invoice}/finalize")[0] == 200
    bank = {"source": "bank", "amount": {"amount": 5_000, "currency": "EUR"}, "received_on": "2026-06-14"}
    payment = admin.ask("POST", "/payments", bank)[2]["id"]
    share = {"allocations": [{"invoice_id": invoice, "amount": {"amount": 5_000, "currency": "EUR"}}]}
    status, _, made = admin.ask("POST", f"/payments/{payment}/allocations", share)
    assert status == 201
    assert admin.ask("DELETE", f"/payments/{payment}/allocations/{made['data'][0]['id']}")[0] == 204
    for _ in range(3):
        admin.get(f"/invoices/{invoice}")
    history = log(reader, object=invoice, changes="true", expand="actors", limit=2)
    assert [one["action"] for one in history] == ["allocation.delete", "allocation.create", "invoice.finalize", "invoice.create"]
    assert {one["actor"]["email"] for one in history} == {admin.who["email"]}
    everything = log(reader, object=invoice, limit=2)
    assert [one["action"] for one in everything[:3]] == ["invoice.read"] * 3 and everything[3:] == [
        {**one, "actor": {name: value for name, value in one["actor"].items() if name != "email"}} for one in history]
    of_payment = [one["action"] for one in log(reader, object=payment, changes="true")]
    assert of_payment == ["allocation.delete", "allocation.create", "payment.record"]


def test_who_may_not_learns_nothing_of_what_is_wrong(stack):
    began = datetime.datetime.now(datetime.UTC).isoformat()
    viewer, admin = Staff(stack, "viewer"), Staff(stack, "billing_admin")
    for staff, status in ((viewer, 403), (admin, 400)):
        assert staff.ask("POST", "/invoices", {"nonsense": 1})[0] == status
    assert Staff(stack, "controller", org=1).ask("POST", "/invoices", {"nonsense": 1}, org=admin.org)[0] == 404
    tries = log(Staff(stack, "controller"), action="invoice.create", **{"from": began})
    assert [(one["outcome"], one["actor"]["id"]) for one in tries] == [("failed", admin.who["id"]), ("denied", viewer.who["id"])]


def test_what_is_wrong_is_refused(stack):
    reader = Staff(stack, "cfo")
    for query, pointer in [("from=today", "/from"), ("limit=101", "/limit"), ("who=me", "/who"), ("cursor=x", "/cursor")]:
        status, _, told = reader.ask("GET", f"/audit-events?{query}")
        assert (status, told["code"], told["errors"][0]["pointer"]) == (400, "invalid_request", pointer)
    for role in ("billing_admin", "viewer"):
        assert Staff(stack, role).ask("GET", "/audit-events")[0] == 403
    part = reader.get("/audit-events?limit=1")
    assert part["next_cursor"]
    stranger = Staff(stack, "controller", org=1)
    assert stranger.ask("GET", "/audit-events", org=reader.org)[0] == 404
    assert stranger.ask("GET", f"/audit-events?limit=1&cursor={part['next_cursor']}")[0] == 400
    assert reader.ask("GET", f"/audit-events?limit=1&actor=member&cursor={part['next_cursor']}")[0] == 400
