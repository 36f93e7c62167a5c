"""Retention, legal holds and privacy requests over the API, as far as they are asked for: who does them is not looked at here."""

import json

import pytest
from conftest import wait_for
from past import Past
from people import Staff, founded

CLASSES = ["webhook_payload", "portal_link", "notice", "export_file", "customer_personal_data", "invoice", "payment", "audit_event"]


@pytest.fixture(scope="module")
def compliance(stack):
    return Staff(stack, "compliance")


@pytest.fixture(scope="module")
def controller(stack):
    return Staff(stack, "controller")


def days(shown):
    return {of["class"]: of["days"] for of in shown["data"]}


def test_a_policy_is_changed_in_part_and_counts_in_the_settings(compliance, controller):
    status, headers, before = compliance.ask("GET", "/retention")
    assert status == 200 and [of["class"] for of in before["data"]] == CLASSES
    status, _, after = compliance.ask("PUT", "/retention", {"export_file": 5, "audit_event": 400}, if_match=headers["etag"])
    assert status == 200 and days(after) == {**days(before), "export_file": 5, "audit_event": 400}
    status, _, problem = compliance.ask("PUT", "/retention", {"export_file": 6}, if_match=headers["etag"])
    assert (status, problem["code"]) == (412, "stale")
    assert controller.get("")["settings"]["retention"] == days(after)
    status, _, problem = compliance.ask("PUT", "/retention", {"audit_event": 364, "export_file": 8})
    assert (status, problem["errors"][0]["pointer"]) == (400, "/audit_event")
    usual = {of["class"]: of["usual_days"] for of in before["data"]}
    status, _, organisation = controller.ask("PATCH", "", {"settings": {"retention": usual}})
    assert (status, organisation["settings"]["retention"]) == (200, usual)
    [seen] = [row for row in controller.get("/audit-events?action=retention.update")["data"] if row["outcome"] == "allowed"][:1]
    assert (seen["actor"]["role"], seen["fields"]) == ("compliance", ["retention"])


def test_a_preview_says_what_would_go_and_changes_nothing(stack):
    owner = founded(stack, "Previewed Ltd", "owner@previewed.example")
    customer = owner.make("/customers", {"name": "Long Ago Ltd"})["id"]
    Past(stack, owner.org).again("customer", customer, 800)
    before = owner.get("/retention")

    def counted(query, **wanted):
        shown = owner.get(f"/retention/preview?{query}")
        assert [of["class"] for of in shown["data"]] == CLASSES
        nothing = {"due": 0, "held": 0, "or_more": False}
        assert {of["class"]: of for of in shown["data"]} == {
            name: {"class": name, "days": days(shown)[name], **nothing, **wanted.get(name, {})} for name in CLASSES}
        return days(shown)

    wait_for(lambda: owner.get("/retention/preview")["data"][4]["due"], 10, "customer whose time is over")
    asked = {"webhook_payload": 1, "customer_personal_data": 700, "audit_event": 365}
    query = "&".join(f"{name}={number}" for name, number in asked.items())
    assert counted(query, customer_personal_data={"due": 1}) == {**days(before), **asked}
    counted("customer_personal_data=3650")
    owner.make("/legal-holds", {"reason": "A dispute"})
    counted(query, customer_personal_data={"held": 1})
    assert owner.get("/retention") == before


def test_a_hold_is_placed_found_and_released(compliance, controller):
    customer = controller.make("/customers", {"name": "Held Ltd"})["id"]
    reason = "Held Ltd sues: keep all of it"
    made = compliance.make("/legal-holds", {"customer_id": customer, "reason": reason})
    assert (made["customer_id"], made["reason"]) == (customer, reason)
    wait_for(lambda: made["id"] in [hold["id"] for hold in compliance.get("/legal-holds?expand=members")["data"]], 10, "hold in the list")
    status, _, released = controller.ask("POST", f"/legal-holds/{made['id']}/release")
    assert status == 200 and released["released_by"] != made["placed_by"]
    assert compliance.get(f"/legal-holds/{made['id']}") == released
    status, _, problem = compliance.ask("POST", f"/legal-holds/{made['id']}/release")
    assert (status, problem["code"]) == (409, "hold_released")


def test_reasons_are_nowhere_to_be_read(stack, compliance, controller):
    customer = controller.make("/customers", {"name": "Told Of Ltd"})["id"]
    for path in ("/legal-holds", "/privacy-requests"):
        order = {"customer_id": customer, **({"kind": "access"} if "requests" in path else {"reason": "Frau Kanarienvogel klagt"})}
        compliance.make(path, order)
    status, _, problem = compliance.ask("POST", "/legal-holds", {"customer_id": customer, "reason": "card 4242 4242 4242 4242"})
    assert (status, problem["errors"][0]["pointer"]) == (400, "/reason") and "4242" not in json.dumps({**problem, "instance": ""})
    for page in stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.resources.LedgerTable):
        assert "Kanarienvogel" not in str(page["Items"])
    assert "Kanarienvogel" not in json.dumps([line for line in stack.lines("api-privacy")])


def test_an_erasure_under_a_hold_is_held_and_one_is_enough(compliance, controller):
    customer = controller.make("/customers", {"name": "Wants To Go Ltd"})["id"]
    hold = compliance.make("/legal-holds", {"customer_id": customer, "reason": "A dispute"})
    made = compliance.make("/privacy-requests", {"kind": "erasure", "customer_id": customer})
    assert {"id": hold["id"], "reason": "A dispute"} in made["held_by"]
    assert (made["status"], made["is_late"]) == ("held", False) and made["held_since"] and "certificate_url" not in made

    def again():
        status, _, problem = compliance.ask("POST", "/privacy-requests", {"kind": "erasure", "customer_id": customer})
        return status == 409 and problem

    problem = wait_for(again, 10, "refusal of a second one")
    assert problem["code"] == "already_requested" and made["id"] in problem["detail"]
    for what, told in (("certificate", (409, "privacy_request_not_done")), ("download", (404, "not_found"))):
        status, _, problem = compliance.ask("GET", f"/privacy-requests/{made['id']}/{what}")
        assert (status, problem["code"]) == told
    status, _, refused = controller.ask("POST", f"/privacy-requests/{made['id']}/refuse", {"reason": "It is not the person"})
    assert (status, refused["status"], refused["refused"]["reason"]) == (200, "refused", "It is not the person")
    assert compliance.get(f"/privacy-requests/{made['id']}") == refused
    seen = compliance.get(f"/audit-events?object={made['id']}&changes=true")["data"]
    assert [row["action"] for row in seen] == ["privacy_request.refuse", "privacy_request.create"]


def test_the_same_key_makes_one_request(compliance, controller):
    customer = controller.make("/customers", {"name": "Asks Twice Ltd"})["id"]
    order = {"kind": "access", "customer_id": customer}
    one, other = (compliance.ask("POST", "/privacy-requests", order, idempotency_key="asked-twice") for _ in range(2))
    assert one[0] == other[0] == 201 and one[2] == other[2]
    status, _, problem = compliance.ask("POST", "/privacy-requests", {**order, "kind": "erasure"}, idempotency_key="asked-twice")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


def test_who_may_not_learns_nothing(stack, compliance, controller):
    hold = compliance.make("/legal-holds", {"customer_id": controller.make("/customers", {"name": "Seen By Few Ltd"})["id"], "reason": "A dispute"})
    for role in ("billing_admin", "cfo", "viewer"):
        for path in ("/retention", "/legal-holds", f"/legal-holds/{hold['id']}", "/privacy-requests"):
            status, _, problem = Staff(stack, role).ask("GET", path)
            assert (status, problem["code"]) == (403, "forbidden"), (role, path)
    other = Staff(stack, "controller", 1)
    assert other.ask("GET", f"/legal-holds/{hold['id']}")[0] == 404
    assert other.ask("POST", f"/legal-holds/{hold['id']}/release")[0] == 404


def test_an_organisation_is_closed_goes_on_and_is_opened_again(stack):
    owner = founded(stack, "Closing Ltd", "owner@closing.example")
    status, _, problem = owner.ask("POST", "/close", {"name": "Closing"})
    assert (status, problem["errors"][0]["pointer"]) == (400, "/name")
    status, _, closed = owner.ask("POST", "/close", {"name": "Closing Ltd"})
    assert status == 200 and closed["closed"]["by"] == closed["you"]["member_id"] and closed["closed"]["until"] > closed["closed"]["at"]
    assert owner.make("/customers", {"name": "Goes On Ltd"})["name"] == "Goes On Ltd"
    assert owner.get("")["closed"] == closed["closed"]
    status, _, problem = owner.ask("POST", "/close", {"name": "Closing Ltd"})
    assert (status, problem["code"]) == (409, "organisation_closed")
    status, _, opened = owner.ask("POST", "/reopen")
    assert status == 200 and "closed" not in opened
    status, _, problem = owner.ask("POST", "/reopen")
    assert (status, problem["code"]) == (409, "organisation_not_closed")
