"""Staff make webhook endpoints, rotate their secrets, disable them, and look at what came."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import wait_for
from events import deliver, event, tell
from people import Staff

SECRETS = set()


@pytest.fixture(scope="module")
def admin(stack):
    return Staff(stack, "billing_admin")


def made(admin, **more):
    endpoint = admin.make("/webhook-endpoints", {"provider": "stripe", **more})
    SECRETS.update([endpoint["secret"]] if "secret" in endpoint else [])
    return endpoint


def rotated(admin, endpoint):
    status, _, told = admin.ask("POST", f"/webhook-endpoints/{endpoint['id']}/rotate")
    assert status == 200, told
    SECRETS.add(told["secret"])
    return told["secret"]


def recorded(admin, event_id):
    """The event as it is listed, once it is: lists follow with some delay."""
    listed = lambda: [one for one in admin.get("/webhook-events")["data"] if one["provider_event_id"] == event_id]  # noqa: E731
    return wait_for(listed, 5, "webhook event")[0]


def test_an_event_to_an_endpoint_made_by_the_api_is_applied(stack, admin):
    endpoint = made(admin)
    assert endpoint["url"] == f"{stack.base_url}/webhooks/stripe/{endpoint['id']}"
    assert (endpoint["provider"], endpoint["state"]) == ("stripe", "enabled")
    sent = event("payment_intent.succeeded", amount=700)
    assert tell(endpoint, sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 5, "work")
    found = recorded(admin, sent["id"])
    assert (found["status"], found["endpoint_id"], found["type"]) == ("applied", endpoint["id"], "payment_intent.succeeded")
    shown = admin.get(f"/webhook-events/{found['id']}")
    assert shown == {**found, "payload": sent}

    status, headers, told = admin.ask("GET", f"/webhook-endpoints/{endpoint['id']}")
    assert (status, headers["etag"], "secret" in told) == (200, '"1"', False)
    assert told in admin.get("/webhook-endpoints")["data"]


def test_old_and_new_secret_verify_after_a_rotation(stack, admin):
    endpoint = made(admin)
    new = rotated(admin, endpoint)
    newest = rotated(admin, endpoint)
    assert len({endpoint["secret"], new, newest}) == 3
    for secret in (endpoint["secret"], new, newest):
        sent = event("payout.paid")
        assert tell(endpoint, sent, secret) == 200
        wait_for(lambda sent=sent: stack.worked(sent["id"]), 5, "work")
    assert deliver(endpoint, event("payout.paid"), "whsec_another") == 400


def test_rotations_at_once_lose_no_secret(admin):
    endpoint = made(admin)
    with ThreadPoolExecutor(4) as at_once:
        answers = list(at_once.map(lambda _: admin.ask("POST", f"/webhook-endpoints/{endpoint['id']}/rotate"), range(4)))
    # One that ends after a later one began and ended gives no secret, and says so; so does one that took too long.
    assert {(status, told.get("code")) for status, _, told in answers} <= {(200, None), (409, "rotation_overtaken"), (503, "unavailable")}
    secrets = [told["secret"] for status, _, told in answers if status == 200]
    assert secrets
    SECRETS.update(secrets)
    # One that took too long may have its secret in the vault all the same.
    unheard = sum(status == 503 for status, _, _ in answers)
    secrets += [rotated(admin, endpoint) for _ in range(4 - len(secrets) - unheard)]
    for secret in [endpoint["secret"], *secrets]:
        assert tell(endpoint, event("payout.paid"), secret) == 200
    refused = (admin.ask("POST", f"/webhook-endpoints/{endpoint['id']}/rotate") for _ in range(1 + unheard))
    assert (409, "too_many_rotations") in [(status, told.get("code")) for status, _, told in refused]


def test_a_disabled_endpoint_is_none(admin):
    endpoint = made(admin)
    path = f"/webhook-endpoints/{endpoint['id']}"
    status, headers, told = admin.ask("PATCH", path, {"state": "disabled"}, if_match='"1"')
    assert (status, headers["etag"], told["state"]) == (200, '"2"', "disabled")
    assert deliver(endpoint, event("payout.paid")) == 404
    assert admin.ask("PATCH", path, {"state": "enabled"}, if_match='"1"')[0] == 412
    other = made(admin)
    for state in ("disabled", "enabled"):
        assert admin.ask("PATCH", f"/webhook-endpoints/{other['id']}", {"state": state})[0] == 200
    assert tell(other, event("payout.paid")) == 200


def test_the_same_key_makes_one_endpoint(admin):
    keyed = lambda: admin.ask("POST", "/webhook-endpoints", {"provider": "stripe"}, idempotency_key="one-endpoint")  # noqa: E731
    first, again = keyed(), keyed()
    assert (first[0], again[0]) == (201, 201) and first[2] == again[2]
    SECRETS.add(first[2]["secret"])


def test_a_replayed_event_counts_no_second_time(stack, admin):
    endpoint = made(admin, secret="whsec_broughtAlongByTheCaller")
    SECRETS.add("whsec_broughtAlongByTheCaller")
    assert "secret" not in endpoint
    sent = event("charge.succeeded", amount=900)
    assert tell(endpoint, sent, "whsec_broughtAlongByTheCaller") == 200
    wait_for(lambda: stack.worked(sent["id"]), 5, "work")
    found = recorded(admin, sent["id"])
    status, _, told = admin.ask("POST", f"/webhook-events/{found['id']}/replay")
    assert (status, told) == (202, found)

    def again():
        return [line for line in stack.lines("worker-stripe") if line.get("event_id") == sent["id"] and line["outcome"] == "duplicate"]

    assert wait_for(again, 10, "second try")[0]["outcome"] == "duplicate"
    assert admin.get(f"/webhook-events/{found['id']}")["status"] == "applied"


def test_a_failed_event_counts_when_it_is_replayed(stack, admin):
    endpoint = made(admin)
    sent = event("payment_intent.succeeded", amount=1_100)
    assert tell(endpoint, sent) == 200
    wait_for(lambda: stack.worked(sent["id"]), 5, "work")
    found = recorded(admin, sent["id"])
    # As if the code of that time had not understood it.
    table, tables = stack.resources.WebhookEventsTable, stack.aws("dynamodb")
    key = {"pk": {"S": f"{admin.org}#{endpoint['id']}#{sent['id']}"}, "sk": {"S": "event"}}
    row = json.loads(tables.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["row"]["S"])
    row.pop("applied_at")
    tables.update_item(TableName=table, Key=key, UpdateExpression="SET #row = :row", ExpressionAttributeNames={"#row": "row"},
                       ExpressionAttributeValues={":row": {"S": json.dumps({**row, "status": "failed"})}})
    assert admin.get(f"/webhook-events/{found['id']}")["status"] == "failed"
    assert admin.ask("POST", f"/webhook-events/{found['id']}/replay")[0] == 202
    shown = wait_for(lambda: (now := admin.get(f"/webhook-events/{found['id']}"))["status"] != "failed" and now, 10, "second try")
    # The money was told before, so there was nothing new in it.
    assert (shown["status"], shown["id"], shown["received_at"]) == ("superseded", found["id"], found["received_at"])


def test_what_is_wrong_is_refused(stack, admin):
    for body, pointer in [({"provider": "xero", "account": "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f"}, "/secret"), ({"provider": "netsuite"}, "/provider"), ({"provider": "member"}, "/provider"),
                          ({"provider": "stripe", "secret": "whsec_x"}, "/secret"), ({"provider": "stripe", "url": "x"}, "/url")]:
        status, _, told = admin.ask("POST", "/webhook-endpoints", body)
        assert (status, told["code"], told["errors"][0]["pointer"]) == (400, "invalid_request", pointer)
    viewer = Staff(stack, "viewer")
    assert viewer.ask("GET", "/webhook-endpoints")[0] == 403
    stranger = Staff(stack, "controller", org=1)
    assert stranger.ask("GET", "/webhook-endpoints", org=admin.org)[0] == 404
    endpoint = stack.orgs[0]["webhook_endpoints"][0]
    assert stranger.ask("POST", f"/webhook-endpoints/{endpoint['id']}/rotate")[0] == 404


def test_no_secret_is_in_a_table_or_a_log(stack):
    assert len(SECRETS) > 5
    logs = [path.read_text(errors="replace") for path in (stack.dir / "logs").glob("*.log")]
    tables = stack.aws("dynamodb")
    for name in ("LedgerTable", "WebhookEventsTable", "AuditTable", "PeopleTable"):
        pages = tables.get_paginator("scan").paginate(TableName=getattr(stack.resources, name))
        logs += [str(item) for page in pages for item in page["Items"]]
    assert not [secret for secret in SECRETS if any(secret in text for text in logs)]
