"""ERPs' deliveries, signed by others' code, count once in the ledger; what is not authentic does not."""

import base64
import json
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import erps
from conftest import ROOT, wait_for
from people import Staff, founded

TENANT, REALM, COMPANY = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f", "1185883450", "b18aed47-c385-49d2-b954-dbdf8ad71780"
BROUGHT = "Aj7kd93nBroughtAlongByTheProvider29sk"
ORDERS = {
    "standard_webhooks": {},
    "generic_hmac": {"hmac": erps.GENERIC},
    "erpnext": {"account": "Plixo Demo"},
    "xero": {"secret": BROUGHT, "account": TENANT},
    "quickbooks": {"secret": BROUGHT, "account": REALM},
    "business_central": {"account": COMPANY},
}
REFUSED = {"business_central": 202}


@pytest.fixture(scope="module")
def admin(stack):
    return Staff(stack, "billing_admin")


@pytest.fixture(scope="module")
def endpoints(stack, admin):
    made = {}
    for provider, order in ORDERS.items():
        endpoint = admin.make("/webhook-endpoints", {"provider": provider, **order})
        assert endpoint["url"] == f"{stack.base_url}/webhooks/erp/{endpoint['id']}"
        made[provider] = {"secret": order.get("secret"), **endpoint}
    return made


def unique(text):
    return f"{text}-{uuid.uuid4().hex[:12]}"


def sample(name):
    return json.loads((ROOT / "events" / "webhook-erp" / f"{name}.json").read_text())


def notice(provider, id=None):
    """A delivery of a provider that only notifies."""
    id = id or str(uuid.uuid4())
    if provider == "xero":
        event = {"resourceId": id, "eventDateUtc": "2026-11-21T08:00:00.000", "eventType": "UPDATE", "eventCategory": "INVOICE",
                 "tenantId": TENANT}
        return {"events": [event], "firstEventSequence": 1, "lastEventSequence": 1}
    entity = {"name": "Invoice", "id": "77", "operation": "Update", "lastUpdated": "2026-11-21T08:00:00Z"}
    return {"eventNotifications": [{"realmId": REALM, "dataChangeEvent": {"entities": [entity]}}]}


def said(provider):
    """Something that the provider may say."""
    match provider:
        case "standard_webhooks" | "generic_hmac":
            return erps.invoice(unique("i"), unique("N"), 11900)
        case "erpnext":
            return {**sample("erpnext.sales_invoice"), "name": unique("ACC")}
        case "business_central":
            delivery = sample("business_central.delivery")
            delivery["value"] = delivery["value"][-1:]
            return delivery
        case _:
            return notice(provider)


def invoices(admin, number):
    return admin.get(f"/invoices?number={number}")["data"]


@pytest.mark.parametrize("provider", ["standard_webhooks", "generic_hmac"])
def test_a_signed_document_changes_the_ledger_once(stack, admin, endpoints, provider):
    number, id = unique("N"), unique("i")
    document = erps.invoice(id, number, 11900)
    document["id"] = unique("evt")
    for _ in range(3):
        assert erps.deliver(endpoints[provider], document, event_id=document["id"]) == 200
    [made] = wait_for(lambda: invoices(admin, number), 10, "invoice")
    assert (made["total"], made["status"]) == ({"amount": 11900, "currency": "EUR"}, "open")
    assert erps.deliver(endpoints[provider], erps.payment(unique("p"), 11900, "C-1", allocations=[
        {"invoice": id, "amount": {"amount": 11900, "currency": "EUR"}}])) == 200
    wait_for(lambda: invoices(admin, number)[0]["status"] == "paid", 10, "payment")
    lines = lambda: [it["outcome"] for it in stack.lines("worker-erp") if it.get("event_id") == document["id"]]  # noqa: E731
    wait_for(lambda: len(lines()) == 3, 10, "work on all three")
    assert sorted(lines()) == ["applied", "duplicate", "duplicate"]


def test_erpnexts_documents_count_by_their_bytes(stack, admin, endpoints):
    document = said("erpnext")
    for _ in range(2):
        assert erps.deliver(endpoints["erpnext"], document) == 200
    [made] = wait_for(lambda: invoices(admin, document["name"]), 10, "invoice")
    assert made["total"] == {"amount": 23800, "currency": "EUR"}
    foreign = {**said("erpnext"), "company": "Another Company"}
    assert erps.deliver(endpoints["erpnext"], foreign) == 400
    assert invoices(admin, foreign["name"]) == []


def test_v1a_is_verified_with_a_public_key_alone(admin):
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = f"whpk_{base64.b64encode(raw).decode()}"
    endpoint = admin.make("/webhook-endpoints", {"provider": "standard_webhooks", "public_key": public})
    assert "secret" not in endpoint
    number, at = unique("N"), int(time.time())
    body = json.dumps(erps.invoice(unique("i"), number, 500)).encode()

    def sent(signed):
        signature = base64.b64encode(key.sign(f"msg_{number}.{at}.".encode() + signed)).decode()
        return {"webhook-id": f"msg_{number}", "webhook-timestamp": str(at), "webhook-signature": f"v1,{base64.b64encode(bytes(32)).decode()} v1a,{signature}"}

    assert erps.post(endpoint["url"], body, sent(body + b" "))[0] == 401
    assert erps.post(endpoint["url"], body, sent(body))[0] == 200
    wait_for(lambda: invoices(admin, number), 10, "invoice")


@pytest.mark.parametrize("provider", [it for it in ORDERS if it != "business_central"])
def test_what_is_not_authentic_is_refused(stack, endpoints, provider):
    endpoint = endpoints[provider]
    body = json.dumps(said(provider)).encode()
    right = erps.headers(endpoint, body)
    assert erps.post(endpoint["url"], body, right)[0] == 200
    name = next(name for name in right if "signature" in name)
    wrong = [
        (body + b" ", right),
        (body, erps.headers({**endpoint, "secret": endpoint["secret"][:-4] + "AAA="}, body)),
        (body, {}),
        (body, {**right, name: ""}),
        (body, {**right, name: right[name].swapcase()}),
        (body, {**right, name: right[name][:-2]}),
    ]
    if provider in ("standard_webhooks", "generic_hmac"):
        wrong += [(body, erps.headers(endpoint, body, at=int(time.time()) + offset)) for offset in (-400, 400)]
    for sent, signed in wrong:
        status, told, text = erps.post(endpoint["url"], sent, signed)
        assert status == 401, signed
        assert endpoint["secret"].encode() not in text
        if provider == "xero":
            assert text == b"" and "set-cookie" not in told


def test_xeros_intent_to_receive_is_answered_with_nothing(endpoints):
    endpoint, body = endpoints["xero"], (ROOT / "events" / "webhook-erp" / "xero.intent_to_receive.json").read_bytes()
    status, told, text = erps.post(endpoint["url"], body, erps.headers(endpoint, body))
    assert (status, text, "set-cookie" in told) == (200, b"", False)
    status, _, text = erps.post(endpoint["url"], body, {"x-xero-signature": erps.base64_hmac("another secret", body)})
    assert (status, text) == (401, b"")


def test_business_central_is_greeted_and_never_sent_away(stack, endpoints):
    endpoint = endpoints["business_central"]
    status, told, text = erps.post(f"{endpoint['url']}?validationToken=a1b2-c3", b"", {})
    assert (status, told["content-type"].split(";")[0], text) == (200, "text/plain", b"a1b2-c3")
    delivery = said("business_central")
    for state, outcome in (("forged", 202), (endpoint["secret"], 200)):
        delivery["value"][0]["clientState"] = state
        assert erps.deliver(endpoint, delivery) == outcome
    queued = [line["outcome"] for line in stack.lines("webhook-erp") if line.get("endpoint") == endpoint["id"]]
    assert queued.count("queued") == 1, queued
    assert erps.post(endpoint["url"], b"not json", {})[0] == 202


@pytest.mark.parametrize("provider", ["xero", "quickbooks"])
def test_a_notification_of_another_account_is_refused(endpoints, provider):
    text = json.dumps(said(provider)).replace(TENANT, str(uuid.uuid4())).replace(REALM, "99")
    assert erps.deliver(endpoints[provider], text.encode()) in (400, 401)


def test_a_disabled_and_an_unknown_endpoint_are_none(stack, admin):
    endpoint = admin.make("/webhook-endpoints", {"provider": "erpnext"})
    assert admin.ask("PATCH", f"/webhook-endpoints/{endpoint['id']}", {"state": "disabled"})[0] == 200
    assert erps.deliver(endpoint, said("erpnext")) == 404
    assert erps.post(f"{stack.base_url}/webhooks/erp/whe_01h2xcejqtf2nbrexx3vqjhp41", b"{}", {})[0] == 404


def test_no_secret_is_in_a_log(stack, endpoints):
    secrets = [endpoint["secret"] for endpoint in endpoints.values()]
    for log in (stack.dir / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], log.name


def test_a_payment_that_names_its_invoice_is_applied_by_itself(stack, admin, endpoints):
    number = f"RG-2026-{uuid.uuid4().int % 10**8:08d}"
    assert erps.deliver(endpoints["standard_webhooks"], erps.invoice(unique("i"), number, 48123, customer=unique("C"))) == 200
    [made] = wait_for(lambda: invoices(admin, number), 10, "invoice")
    paid = admin.make("/payments", {"source": "bank", "amount": {"amount": 48123, "currency": "EUR"}, "received_on": "2026-11-01",
                                    "remittance": f"Rechnung {number} vielen Dank"})
    wait_for(lambda: invoices(admin, number)[0]["status"] == "paid", 15, "automatic application")
    shown = admin.get(f"/payments/{paid['id']}")
    [allocation] = shown["allocations"]
    assert (allocation["applied_by"]["kind"], allocation["applied_by"]["id"]) == ("function", "worker-cash")
    # What a person takes back stays with people, and everything is as it was.
    assert admin.ask("DELETE", f"/payments/{paid['id']}/allocations/{allocation['id']}")[0] == 204
    assert admin.get(f"/payments/{paid['id']}")["unapplied"] == paid["unapplied"]
    assert invoices(admin, number)[0]["balance"] == made["balance"]
    [best, *_] = admin.get(f"/payments/{paid['id']}/suggestions")["data"]
    assert best["allocations"] == [{"invoice_id": made["id"], "amount": {"amount": 48123, "currency": "EUR"}}]
    assert best["confidence"] >= 0.95 and any(number in reason for reason in best["reasons"]), best


def test_an_invoice_that_comes_after_its_payment_gets_it(stack):
    # Of its own, for only the youngest unapplied payments are looked through.
    owner = founded(stack, "Early Ltd", "owner@early.example")
    endpoint = owner.make("/webhook-endpoints", {"provider": "standard_webhooks"})
    number = f"RG-2026-{uuid.uuid4().int % 10**8:08d}"
    assert erps.deliver(endpoint, erps.payment(unique("p"), 51777, remittance=f"Invoice {number}")) == 200
    wait_for(lambda: owner.get("/payments?unapplied=true")["data"], 10, "payment")
    assert erps.deliver(endpoint, erps.invoice(unique("i"), number, 51777, customer=unique("C"))) == 200
    wait_for(lambda: [it for it in invoices(owner, number) if it["status"] == "paid"], 15, "automatic application")
