"""What ERPs send, signed as each documents it: by Python's own hmac, and the official library of Standard Webhooks."""

import base64
import datetime
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
import uuid

from standardwebhooks.webhooks import Webhook

from conftest import ANSWERS_WITHIN


def base64_hmac(secret, body):
    """Base64 HMAC-SHA256 under the secret's own bytes."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def headers(endpoint, body, at=None, event_id=None):
    """The headers by which the endpoint's sender shows that it sent `body`."""
    provider, secret, at = endpoint["provider"], endpoint["secret"], int(time.time()) if at is None else at
    match provider:
        case "standard_webhooks":
            event_id = event_id or f"msg_{uuid.uuid4().hex}"
            signed = Webhook(secret).sign(event_id, datetime.datetime.fromtimestamp(at, datetime.UTC), body.decode())
            return {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": signed}
        case "xero":
            return {"x-xero-signature": base64_hmac(secret, body)}
        case "quickbooks":
            return {"intuit-signature": base64_hmac(secret, body)}
        case "erpnext":
            return {"x-frappe-webhook-signature": base64_hmac(secret, body)}
        case "generic_hmac":
            # Hexadecimal, with SHA-512, over the time and the body.
            digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha512).hexdigest()
            return {"x-signature": f"v0={digest}", "x-timestamp": str(at)}
        case "business_central":
            return {}


GENERIC = {"header": "x-signature", "prefix": "v0=", "encoding": "hex", "digest": "sha512", "timestamp_header": "x-timestamp"}


def post(url, body, sent):
    """Status, headers (lower case) and body of the answer."""
    request = urllib.request.Request(url, body, {"content-type": "application/json", **sent}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


def deliver(endpoint, said, **how):
    """Posts what an ERP says, signed; the status."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return post(endpoint["url"], body, headers(endpoint, body, **how))[0]


def invoice(id, number, amount, customer="C-1", at="2026-11-21T08:00:00Z"):
    """An invoice in Plixo's canonical schema."""
    total = {"amount": amount, "currency": "EUR"}
    line = {"description": "Work", "quantity": "1", "unit_price": total}
    data = {"id": id, "number": number, "customer": customer, "state": "open", "total": total, "due_on": "2026-12-20", "lines": [line]}
    return {"type": "invoice.upserted", "timestamp": at, "data": data}


def payment(id, amount, customer=None, remittance=None, at="2026-11-21T08:00:00Z", **more):
    """A payment in Plixo's canonical schema."""
    data = {"id": id, "amount": {"amount": amount, "currency": "EUR"}, "received_on": "2026-11-20", **more}
    data |= {"customer": customer} if customer else {}
    data |= {"remittance": remittance} if remittance else {}
    return {"type": "payment.recorded", "timestamp": at, "data": data}


def double(stack, method, path, said=None):
    """What the control door of the ERPs' double answers."""
    body = None if said is None else json.dumps(said).encode()
    request = urllib.request.Request(f"{stack.json['erps']['base_url']}/_double/{path}", body, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
        return json.load(answer)


def source(stack, kind="xero", name="Books", account=None):
    """What a data source is connected with that the double knows from now on."""
    # No card number that is masked begins with 1.
    account = account or (f"1{uuid.uuid4().int % 10**14:014}" if kind == "quickbooks" else str(uuid.uuid4()))
    known = {"kind": kind, "account": account, "client_id": f"client-{uuid.uuid4()}", "client_secret": str(uuid.uuid4())}
    if kind == "quickbooks":
        known["refresh_token"] = str(uuid.uuid4())
    if kind == "business_central":
        known |= {"tenant": str(uuid.uuid4()), "environment": "production"}
    double(stack, "POST", "connections", known)
    return {"name": name, **known}


def keep_up(stack):
    """Runs the job that has data sources kept up, now."""
    answer = stack.aws("lambda").invoke(FunctionName=stack.resources.JobDataSources, Payload=b"{}")
    return "FunctionError" not in answer
