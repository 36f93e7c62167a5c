"""Enters succeeded payments in a ledger: one read for the batch, and for each event one transaction of seven conditional
puts, among them the event's text sealed under the organisation's data key."""

import hashlib
import json
import os
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from threading import Lock

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ddb = boto3.client("dynamodb", config=Config(max_pool_connections=10))
kms = boto3.client("kms")
LEDGER_TABLE = os.environ["LEDGER_TABLE"]
WEBHOOK_EVENTS_TABLE = os.environ["WEBHOOK_EVENTS_TABLE"]
AUDIT_TABLE = os.environ["AUDIT_TABLE"]
ENVELOPE_KEY_ARN = os.environ["ENVELOPE_KEY_ARN"]
KEEP_SECONDS = 300
EVENT_SECONDS = 35 * 86_400
PAYLOAD_SECONDS = 30 * 86_400
pool = ThreadPoolExecutor(max_workers=10)
keys = {}
keys_lock = Lock()


def s(text):
    return {"S": text}


def n(number):
    return {"N": str(number)}


def money(amount, currency):
    return {"M": {"amount": n(amount), "currency": s(currency)}}


def data_key(org):
    with keys_lock:
        key, until = keys.get(org, (None, 0.0))
        if time.monotonic() >= until:
            row = ddb.get_item(TableName=LEDGER_TABLE, Key={"pk": s(org), "sk": s("data-key")}, ConsistentRead=True)
            opened = kms.decrypt(
                KeyId=ENVELOPE_KEY_ARN, CiphertextBlob=row["Item"]["wrapped"]["B"], EncryptionContext={"org": org}
            )
            key = AESGCM(opened["Plaintext"])
            keys[org] = key, time.monotonic() + KEEP_SECONDS
        return key


def seal(key, text, bound):
    iv = os.urandom(12)
    return iv + key.encrypt(iv, text.encode(), bound.encode())


def fingerprint(text):
    """Of what the event says: Stripe counts `pending_webhooks` down from delivery to delivery."""
    return hashlib.sha256(re.sub(r'"pending_webhooks":\s*[0-9]+', "", text, count=1).encode()).digest()


def read(record):
    task = json.loads(record["messageAttributes"]["plixo"]["stringValue"])
    event = json.loads(record["body"])
    payment = event["data"]["object"]
    org, endpoint = task["org"], task["endpoint"]
    task_keys = {
        "event": {"pk": s(f"{org}#{endpoint}#{event['id']}"), "sk": s("event")},
        "payment": {"pk": s(f"{org}#stripe#{payment['id']}"), "sk": s("payment")},
        "invoice": {"pk": s(f"{org}#{payment['metadata']['plixo_invoice_id']}"), "sk": s("invoice")},
    }
    text = record["body"]
    own = {"event": event, "payment": payment, "text": text, "fingerprint": fingerprint(text), "keys": task_keys}
    return task | own


def name(key):
    return key["pk"]["S"], key["sk"]["S"]


def read_rows(tasks):
    rows = {}
    wanted = {
        LEDGER_TABLE: {"Keys": [t["keys"][k] for t in tasks for k in ("payment", "invoice")], "ConsistentRead": True},
        WEBHOOK_EVENTS_TABLE: {"Keys": [t["keys"]["event"] for t in tasks], "ConsistentRead": True},
    }
    while wanted:
        answer = ddb.batch_get_item(RequestItems=wanted)
        for items in answer["Responses"].values():
            rows.update((name(item), item) for item in items)
        wanted = answer.get("UnprocessedKeys")
    return rows


def listed(index, partition, sort):
    return {f"{index}_pk": s(partition), f"{index}_sk": s(sort)}


def put(table, item, version=None):
    if version is None:
        return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}
    values = {":version": version}
    condition = {"ConditionExpression": "version = :version", "ExpressionAttributeValues": values}
    return {"Put": {"TableName": table, "Item": item, **condition}}


def work(task, rows):
    org, endpoint, event, payment = task["org"], task["endpoint"], task["event"], task["payment"]
    seen = rows.get(name(task["keys"]["event"]))
    if seen and seen["fingerprint"]["B"] != task["fingerprint"]:
        raise ValueError("the same id with other bytes")
    if seen or name(task["keys"]["payment"]) in rows:
        return
    invoice = rows[name(task["keys"]["invoice"])]

    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    event_id, payment_id, allocation_id = str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())
    currency, received = payment["currency"].upper(), payment["amount_received"]
    total = int(invoice["total"]["M"]["amount"]["N"])
    claims = invoice.get("claims", {"L": []})["L"]
    open_ = total - sum(int(claim["M"]["applied"]["N"]) for claim in claims)
    applied = min(received, open_) if invoice["total"]["M"]["currency"]["S"] == currency else 0
    status = "paid" if applied == open_ else "partially_paid"
    received_at = int(datetime.fromisoformat(task["received_at"]).timestamp())
    text = seal(data_key(org), task["text"], f"{org}#{event_id}#payload")
    claim = {
        "payment": s(payment["id"]),
        "received_at": n(event["created"]),
        "wanted": n(received),
        "applied": n(applied),
        "allocation": s(allocation_id),
    }
    allocation = {
        "id": s(allocation_id),
        "invoice_id": invoice["id"],
        "amount": n(applied),
        "applied_by": s(endpoint),
    }

    def audit(action, kind, id, fields):
        audit_id = uuid.uuid4()
        item = {
            "pk": s(f"{org}#{now[:10]}#{audit_id.int % 16}"),
            "sk": s(f"{now}#{audit_id}"),
            "at": s(now),
            "actor": {"M": {"kind": s("provider"), "id": s(endpoint)}},
            "ip": s(task["ip"]),
            "action": s(action),
            "object": {"M": {"kind": s(kind), "id": s(id)}},
            "outcome": s("allowed"),
            "fields": {"L": [s(field) for field in fields]},
            "request_id": s(task["request_id"]),
        }
        return put(AUDIT_TABLE, item)

    event_item = task["keys"]["event"] | {
        "id": s(event_id),
        "provider": s("stripe"),
        "type": s(event["type"]),
        "status": s("applied"),
        "received_at": s(task["received_at"]),
        "applied_at": s(now),
        "fingerprint": {"B": task["fingerprint"]},
        "expires_at": n(received_at + EVENT_SECONDS),
        "version": n(1),
        **listed("kind", f"{org}#webhook-events", event_id),
    }
    payload_item = {
        "pk": task["keys"]["event"]["pk"],
        "sk": s("payload"),
        "sealed": {"B": text},
        "expires_at": n(received_at + PAYLOAD_SECONDS),
    }
    payment_item = task["keys"]["payment"] | {
        "id": s(payment_id),
        "reference": s(payment["id"]),
        "status": s("succeeded"),
        "amount": money(received, currency),
        "unapplied": money(received - applied, currency),
        "received_at": n(event["created"]),
        "customer": s(payment["customer"]),
        "invoice_id": invoice["id"],
        "version": n(1),
        "allocations": {"L": [{"M": allocation}]},
        **listed("kind", f"{org}#payments", payment_id),
    }
    if received > applied:
        payment_item |= listed("state", f"{org}#payments#unapplied", payment_id)
    pointer_item = {
        "pk": s(f"{org}#{payment_id}"),
        "sk": s("payment-pointer"),
        "reference": s(payment["id"]),
        "version": n(1),
    }
    invoice_item = invoice | {
        "claims": {"L": [*claims, {"M": claim}]},
        "balance": n(open_ - applied),
        "status": s(status),
        "version": n(int(invoice["version"]["N"]) + 1),
        **listed("kind", f"{org}#invoices", invoice["id"]["S"]),
        **listed("state", f"{org}#invoices#{status}", f"{invoice['due_on']['S']}#{invoice['id']['S']}"),
        **listed("customer", f"{org}#{invoice['customer_id']['S']}#invoices", invoice["id"]["S"]),
    }
    ddb.transact_write_items(
        TransactItems=[
            put(WEBHOOK_EVENTS_TABLE, event_item),
            put(WEBHOOK_EVENTS_TABLE, payload_item),
            put(LEDGER_TABLE, payment_item),
            put(LEDGER_TABLE, pointer_item),
            put(LEDGER_TABLE, invoice_item, invoice["version"]),
            audit("payment.create", "payment", payment_id, ["amount", "status"]),
            audit("invoice.update", "invoice", invoice["id"]["S"], ["allocations"]),
        ]
    )


def logged(task, record, rows):
    began = time.perf_counter()
    line = {
        "level": "INFO",
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "function": "worker-stripe",
        "request_id": task["request_id"],
        "message_id": record["messageId"],
        "org": task["org"],
        "endpoint": task["endpoint"],
        "event_id": task["event"]["id"],
        "event_type": task["event"]["type"],
    }
    try:
        work(task, rows)
    except Exception as error:
        line |= {"level": "ERROR", "error": repr(error)}
        raise
    finally:
        line["duration_ms"] = (time.perf_counter() - began) * 1000
        print(json.dumps(line))


def handler(batch, context):
    tasks = [read(record) for record in batch["Records"]]
    rows = read_rows(tasks)
    done = [pool.submit(logged, task, record, rows) for task, record in zip(tasks, batch["Records"])]
    failed = [record for record, future in zip(batch["Records"], done) if future.exception() is not None]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}
