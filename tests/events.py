"""Stripe events, signed as Stripe signs them and by Stripe's own library."""

import copy
import json
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import stripe

from conftest import ANSWERS_WITHIN, BUSY, wait_for

FIXTURES = Path(__file__).resolve().parent.parent / "events" / "stripe"
AMOUNTS = ("amount", "amount_received", "amount_captured", "amount_total")


def event(kind, *, invoice=None, intent=None, amount=None, currency="eur", **fields):
    """The fixture of that type as an event of its own."""
    made = json.loads((FIXTURES / f"{kind}.json").read_text())
    made["id"] = f"evt_{uuid.uuid4().hex}"
    body = made["data"]["object"]
    body["id" if kind.startswith("payment_intent") else "payment_intent"] = intent or f"pi_{uuid.uuid4().hex}"
    body["metadata"] = {"plixo_invoice_id": invoice} if invoice else {}
    body["currency"] = currency
    for name in AMOUNTS:
        if amount is not None and isinstance(body.get(name), int):
            body[name] = amount
    body.update(copy.deepcopy(fields))
    return made


def sign(body, secret, at=None):
    """The header, by Stripe's library."""
    at = int(time.time()) if at is None else at
    return f"t={at},v1={stripe.WebhookSignature._compute_signature(f'{at}.{body}', secret)}"


def post(url, body, header=None, **headers):
    """Status, headers and body of the answer."""
    data = body if isinstance(body, bytes) else body.encode()
    headers = {"content-type": "application/json", **headers, **({"stripe-signature": header} if header else {})}
    request = urllib.request.Request(url, data=data, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


def deliver(endpoint, made, secret=None):
    """Posts an event as Stripe would; answers the status."""
    body = json.dumps(made)
    return post(endpoint["url"], body, sign(body, secret or endpoint["secret"]))[0]


def tell(endpoint, made, secret=None):
    """Posts an event as Stripe does, which sends again what could not be taken at the time, ever later; answers the last status."""
    return wait_for(lambda: status if (status := deliver(endpoint, made, secret)) not in BUSY else None, 30, "answer in time")
