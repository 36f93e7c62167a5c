"""What ERPs only tell of is read from them, also where they did not tell; Business Central is reminded to."""

import datetime
import uuid

import pytest

import erps
from conftest import wait_for
from people import founded

KINDS = ("xero", "quickbooks", "business_central")
SETS = {"xero": "Invoices", "quickbooks": "Invoice", "business_central": "salesInvoices"}


class Books:
    """An organisation that reads its invoices from an account at an ERP."""

    def __init__(self, stack, kind, name="books", account=None):
        self.stack, self.kind = stack, kind
        self.owner = founded(stack, f"Books of {kind}", f"{name}@{kind.replace('_', '-')}.example")
        self.order = erps.source(stack, kind, account=account)
        self.source = self.owner.make("/data-sources", self.order)
        brought = {} if kind == "business_central" else {"secret": "Aj7kd93nBroughtAlongByTheProvider29sk"}
        made = self.owner.make("/webhook-endpoints", {"provider": kind, "account": self.order["account"], **brought})
        self.endpoint = {**brought, **made}

    def put(self, id, number, cents=11900):
        """An invoice of that number at the provider, changed now."""
        amount, at = cents / 100, datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        match self.kind:
            case "xero":
                stamp = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)
                line = {"Description": "Work", "Quantity": 1, "UnitAmount": amount, "LineAmount": amount, "TaxAmount": 0}
                document = {"Type": "ACCREC", "InvoiceID": id, "InvoiceNumber": number, "Status": "AUTHORISED", "LineAmountTypes": "NoTax",
                            "Contact": {"ContactID": str(uuid.uuid4()), "Name": "Coho Canary"}, "DueDateString": "2026-12-31T00:00:00",
                            "DateString": "2026-11-01T00:00:00", "LineItems": [line], "SubTotal": amount, "TotalTax": 0, "Total": amount,
                            "AmountDue": amount, "AmountPaid": 0, "AmountCredited": 0, "CurrencyCode": "EUR", "Payments": [],
                            "UpdatedDateUTC": f"/Date({stamp}+0000)/"}
            case "quickbooks":
                line = {"Id": "1", "Description": "Work", "Amount": amount, "DetailType": "SalesItemLineDetail",
                        "SalesItemLineDetail": {"UnitPrice": amount, "Qty": 1}}
                document = {"Id": id, "SyncToken": "0", "MetaData": {"CreateTime": f"{at}Z", "LastUpdatedTime": f"{at}Z"}, "DocNumber": number,
                            "TxnDate": "2026-11-01", "DueDate": "2026-12-31", "CurrencyRef": {"value": "EUR"}, "CustomerRef": {"value": "1", "name": "Coho Canary"},
                            "Line": [line], "TotalAmt": amount, "Balance": amount, "LinkedTxn": []}
            case "business_central":
                line = {"id": "l-1", "sequence": 10000, "lineType": "Item", "description": "Work", "quantity": 1, "unitPrice": amount, "discountAmount": 0,
                        "amountExcludingTax": amount, "totalTaxAmount": 0, "amountIncludingTax": amount}
                document = {"id": id, "number": number, "invoiceDate": "2026-11-01", "dueDate": "2026-12-31", "customerId": str(uuid.uuid4()),
                            "customerName": "Coho Canary", "currencyCode": "EUR", "remainingAmount": amount, "discountAmount": 0, "totalAmountExcludingTax": amount,
                            "totalTaxAmount": 0, "totalAmountIncludingTax": amount, "status": "Open", "pricesIncludeTax": False,
                            "lastModifiedDateTime": f"{at}Z", "salesInvoiceLines": [line]}
        erps.double(self.stack, "POST", "documents",
                    {"kind": self.kind, "account": self.order["account"], "set": SETS[self.kind], "document": document})

    def id(self):
        return str(uuid.uuid4().int % 10**8) if self.kind == "quickbooks" else str(uuid.uuid4())

    def notify(self, *ids):
        """Tells of changes of those invoices, in one delivery."""
        account, at = self.order["account"], datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        match self.kind:
            case "xero":
                events = [{"resourceId": id, "eventDateUtc": at, "eventType": "UPDATE", "eventCategory": "INVOICE", "tenantId": account} for id in ids]
                said = {"events": events, "firstEventSequence": 1, "lastEventSequence": len(events)}
            case "quickbooks":
                said = [{"specversion": "1.0", "id": str(uuid.uuid4()), "source": "intuit.test", "type": "qbo.invoice.updated.v1", "time": f"{at}Z",
                         "intuitentityid": id, "intuitaccountid": account, "data": {}} for id in ids]
            case "business_central":
                said = {"value": [{"subscriptionId": "invoices", "clientState": self.endpoint["secret"], "changeType": "updated",
                                   "resource": f"api/v2.0/companies({account})/salesInvoices({id})", "lastModifiedDateTime": f"{at}Z"} for id in ids]}
        return erps.deliver(self.endpoint, said)

    def invoices(self, number):
        return self.owner.get(f"/invoices?number={number}")["data"]

    def asked(self):
        """What the provider was asked of this account's, without tokens and sign-ins."""
        place = self.order["account"]
        told = erps.double(self.stack, "GET", "requests")["data"]
        return [it for it in told if place in it["path"] or (self.kind == "xero" and "/api.xro/" in it["path"])]


@pytest.fixture(scope="module")
def all_books(stack):
    return {kind: Books(stack, kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def books(all_books, request):
    return all_books[request.param]


def number():
    return f"S-{uuid.uuid4().hex[:10]}"


def test_a_notified_invoice_is_read_and_counts(books):
    id, name = books.id(), number()
    books.put(id, name)
    assert books.notify(id) == 200
    [made] = wait_for(lambda: books.invoices(name), 15, "invoice")
    assert (made["total"], made["status"]) == ({"amount": 11900, "currency": "EUR"}, "open")


def test_a_realm_that_could_be_a_card_number_is_one_all_the_same(stack):
    realm = "4620816365294876505"
    books = Books(stack, "quickbooks", "realm", realm)
    id, name = books.id(), number()
    books.put(id, name)
    assert books.notify(id) == 200
    wait_for(lambda: books.invoices(name), 15, "invoice")
    for log in (stack.dir / "logs").glob("*.log"):
        assert realm not in log.read_text(errors="replace"), log.name


def test_a_delivery_that_tells_of_many_is_one_question(books):
    told = {books.id(): number() for _ in range(12)}
    for id, name in told.items():
        books.put(id, name)
    before = len(books.asked())
    assert books.notify(*told, *told) == 200
    wait_for(lambda: all(books.invoices(name) for name in told.values()), 30, "all invoices")
    assert len(books.asked()) == before + 1


def test_a_token_that_ended_is_changed_for_a_new_one(stack, books):
    erps.double(stack, "POST", "tokens", {"access": "expire", "kind": books.kind})
    id, name = books.id(), number()
    books.put(id, name)
    assert books.notify(id) == 200
    wait_for(lambda: books.invoices(name), 15, "invoice")


def test_what_no_notification_told_of_is_read_by_the_schedule(stack, books):
    id, name = books.id(), number()
    books.put(id, name, 4321)
    assert erps.keep_up(stack)
    [made] = wait_for(lambda: books.invoices(name), 20, "invoice")
    assert made["total"] == {"amount": 4321, "currency": "EUR"}
    done = lambda: [line for line in stack.lines("worker-erp") if line.get("source") == books.source["id"]  # noqa: E731
                    and line["span"] == "message" and line["outcome"] == "kept_up"]
    wait_for(done, 10, "line")
    # Once more: nothing counts again, and nothing is recorded.
    events = len(books.owner.get("/webhook-events?limit=100")["data"])
    seen = len(done())
    assert erps.keep_up(stack)
    wait_for(lambda: len(done()) > seen, 20, "second line")
    assert len(books.owner.get("/webhook-events?limit=100")["data"]) == events


def test_business_central_is_subscribed_and_its_subscriptions_are_renewed(stack, all_books):
    books = all_books["business_central"]
    own = lambda: [it for it in erps.double(stack, "GET", "subscriptions")["data"] if books.order["account"] in it["resource"]]  # noqa: E731
    assert erps.keep_up(stack)
    wait_for(lambda: len(own()) == 3, 20, "subscriptions")
    assert {(it["notificationUrl"], it["clientState"]) for it in own()} == {(books.endpoint["url"], books.endpoint["secret"])}
    erps.double(stack, "POST", "subscriptions", {"hours": 20})
    assert erps.keep_up(stack)
    later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wait_for(lambda: all(it["expirationDateTime"] > later for it in own()), 20, "renewal")
    assert len(own()) == 3


def test_a_source_that_is_refused_shows_and_is_connected_again(stack, books):
    books.order["client_secret"] = str(uuid.uuid4())
    known = {name: value for name, value in books.order.items() if name != "name"}
    if books.kind == "quickbooks":
        known["refresh_token"] = books.order["refresh_token"] = str(uuid.uuid4())
    erps.double(stack, "POST", "connections", known)
    id, name = books.id(), number()
    books.put(id, name)
    assert books.notify(id) == 200
    failed = lambda: [it for it in books.owner.get("/webhook-events")["data"] if it["status"] == "failed"]  # noqa: E731
    [event, *_] = wait_for(failed, 20, "failed event")
    path = f"/data-sources/{books.source['id']}"
    again = {name: known[name] for name in ("client_id", "client_secret", "refresh_token") if name in known}
    status, _, shown = books.owner.ask("PATCH", path, again)
    assert (status, shown["state"]) == (200, "connected"), shown
    assert books.owner.ask("POST", f"/webhook-events/{event['id']}/replay")[0] == 202
    wait_for(lambda: books.invoices(name), 15, "invoice")
    secrets = [value for field, value in known.items() if field in ("client_secret", "refresh_token")]
    for log in (stack.dir / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text] and "Coho Canary" not in text, log.name
