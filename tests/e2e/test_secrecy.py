"""What must not be seen is nowhere to be seen."""

import base64
import json
import re

from conftest import wait_for
from events import deliver, event, tell

CARD = "4242 4242 4242 4242"
PERSONAL = ["Caspian Canary", "caspian.canary@example.com", "+49 151 23456780"]


def everything_stored(stack):
    """All items of all tables, as text; binary fields, and what is base64 in a row, decoded as well."""
    tables = stack.resources
    for name in (tables.LedgerTable, tables.WebhookEventsTable, tables.AuditTable):
        for page in stack.aws("dynamodb").get_paginator("scan").paginate(TableName=name):
            for item in page["Items"]:
                yield repr(item)
                for encoded in re.findall(r'"([A-Za-z0-9+/]{16,}={0,2})"', item.get("row", {}).get("S", "")):
                    if len(encoded) % 4 == 0:
                        yield repr(base64.b64decode(encoded))


def test_canaries_are_in_no_log_no_item_and_no_dead_letter(stack):
    org = stack.orgs[0]
    endpoint = org["webhook_endpoints"][0]
    name, email, phone = PERSONAL
    who = {"name": name, "email": email, "phone": phone}
    charge = event("charge.succeeded", billing_details={**who, "address": None}, receipt_email=email, description=f"card {CARD}")
    customer = event("customer.created", **who, description=f"paid with {CARD}")
    # An amount in no currency: it fails, and its message goes to the dead letters.
    broken = event("charge.succeeded", currency="zzz", description=CARD, billing_details={**who, "address": None})
    queues, sqs = stack.resources, stack.aws("sqs")
    sqs.set_queue_attributes(QueueUrl=queues.StripeEventsQueue, Attributes={"VisibilityTimeout": "5"})
    for made in (charge, customer, broken):
        assert tell(endpoint, made) == 200
    # Signed with the secret of another: refused, and the header it came with is in no log either.
    assert deliver(endpoint, charge, secret="whsec_forgedcanary") == 400
    for made in (charge, customer):
        wait_for(lambda: stack.worked(made["id"]), 10, "work")

    def dead():
        received = sqs.receive_message(QueueUrl=queues.StripeEventsDeadLetterQueue, MaxNumberOfMessages=10,
                                       MessageAttributeNames=["All"], VisibilityTimeout=0)
        return [message for message in received.get("Messages", []) if broken["id"] in message["Body"]]

    [letter] = wait_for(dead, 60, "dead letter")
    assert "4242 4242 4242" not in letter["Body"] and "4242" in letter["Body"]
    sqs.set_queue_attributes(QueueUrl=queues.StripeEventsQueue, Attributes={"VisibilityTimeout": "180"})
    attempts = lambda: sorted(line["receive_count"] for line in stack.lines("worker-stripe") if line.get("event_id") == broken["id"])  # noqa: E731
    wait_for(lambda: attempts() == [1, 2, 3, 4, 5], 10, "fifth attempt")
    shown = stack.ledger(org, "--events", f"{endpoint['id']}:{broken['id']}")["events"][0]
    assert shown["status"] == "failed"

    secrets = [e["secret"] for o in stack.orgs for e in o["webhook_endpoints"]] + ["forgedcanary"]
    logs = "".join(file.read_text() for file in (stack.dir / "logs").glob("*.log"))
    assert broken["id"] in logs, "the logs are those of these deliveries"
    hidden_from_logs = [*PERSONAL, *secrets, CARD, CARD.replace(" ", ""), "canary"]
    assert [it for it in hidden_from_logs if it.lower() in logs.lower()] == []
    stored = "\n".join(everything_stored(stack))
    assert charge["id"] in stored and customer["id"] in stored
    assert [it for it in [*PERSONAL, *secrets, CARD, CARD.replace(" ", "")] if it.lower() in stored.lower()] == []
    assert [it for it in secrets if it in json.dumps(letter)] == []

    paid = stack.ledger(org, "--payment", charge["data"]["object"]["payment_intent"])["payments"][0]
    assert paid["payer_name"] == name, "and whoever may see it, sees it"
