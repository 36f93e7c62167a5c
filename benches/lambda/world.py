"""What the measured functions find: one organisation with its data key and endpoint, and the events that come for it."""

import base64
import hashlib
import hmac
import json
import pathlib
import struct
import time
import uuid

ORG = "org_01h2xcejqtf2nbrexx3vqjhp41"
ENDPOINT = "whe_01h2xcejqtf2nbrexx3vqjhp42"
ERP_ENDPOINT = "whe_01h2xcejqtf2nbrexx3vqjhp45"
CUSTOMER = "cus_01h2xcejqtf2nbrexx3vqjhp43"
SECRET = "whsec_aBenchmarkSecretOfTheUsualLen00"
# Base64 after `whsec_`, of 32 bytes.
ERP_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SECRETS_PREFIX = "plixo/bench/webhook-endpoints/"
ENVELOPE_KEY_ARN = "arn:aws:kms:eu-central-1:000000000000:key/3f2b8c1e-0000-4000-8000-000000000001"
# What staff make stays, so that they find it: the fake keeps what is put into this table.
KEPT_TABLE = "kept-ledger"
LINK_KEYS = "plixo/bench/link-keys"
MEMBER, USER = "mem_01h2xcejqtf2nbrexx3vqjhp44", "0190c5e3-0000-4000-8000-000000000001"
LIST = 25
TABLES = {"PEOPLE_TABLE": "people", "LEDGER_TABLE": "ledger", "WEBHOOK_EVENTS_TABLE": "webhook-events", "AUDIT_TABLE": "audit"}
BATCH = 10
BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


def variables(endpoint_url: str) -> dict[str, str]:
    """The environment that the template gives the functions; the peers read the same names."""
    return {
        "STRIPE_EVENTS_QUEUE_URL": f"{endpoint_url}/000000000000/stripe-events",
        "ERP_EVENTS_QUEUE_URL": f"{endpoint_url}/000000000000/erp-events",
        "CASH_QUEUE_URL": f"{endpoint_url}/000000000000/cash",
        "WEBHOOK_ENDPOINTS_PREFIX": SECRETS_PREFIX,
        "ENVELOPE_KEY_ARN": ENVELOPE_KEY_ARN,
        "LINK_KEYS_SECRET": LINK_KEYS,
        "STRIPE_KEYS_PREFIX": "plixo/bench/stripe-keys/",
        # Nothing that is measured asks Stripe.
        "STRIPE_API_URL": "https://stripe.invalid",
        "STRIPE_CHECKOUT_ORIGIN": "https://checkout.stripe.com",
        "SENDER_EMAIL": "billing@example.com",
        **TABLES,
    }


def contents() -> dict:
    """What the fake AWS holds."""
    data_key, wrapped = hashlib.sha256(b"a data key").digest(), b"a wrapped data key, as long as the real one is".ljust(184, b".")
    entry = {"v": 1, "org": ORG, "provider": "stripe", "state": "enabled", "secrets": [{"secret": SECRET}]}
    erp_entry = {**entry, "provider": "standard_webhooks", "secrets": [{"secret": ERP_SECRET}]}
    link_keys = {"v": 1, "key": "aBenchmarkKeyOfTheLengthThatSecretsManagerMakes00"}
    return {
        "org": ORG,
        "dataKey": _text(data_key),
        "secrets": {
            SECRETS_PREFIX + ENDPOINT: json.dumps(entry),
            SECRETS_PREFIX + ERP_ENDPOINT: json.dumps(erp_entry),
            LINK_KEYS: json.dumps(link_keys),
        },
        "dataKeyItem": _data_key_item(data_key, wrapped),
        "invoiceItem": _invoice_item(),
        "invoiceRow": _invoice_row(),
        "kept": {KEPT_TABLE: [_organisation_item(), _member_item(), _stripe_account_item()]},
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _data_key_item(data_key: bytes, wrapped: bytes) -> dict:
    """The row of an organisation's data key, with the commitment that docs/adr/0004-envelope-format.md describes."""
    number = 0
    for letter in ORG.removeprefix("org_"):
        number = number << 5 | BASE32.index(letter)
    key_id, version = number.to_bytes(16, "big"), 1
    info = b"".join(
        struct.pack(">H", len(part)) + part
        for part in (b"plixo-envelope/1/check", ORG.encode(), key_id, version.to_bytes(4, "big"))
    )
    extracted = hmac.digest(bytes(64), data_key, "sha512")
    check = hmac.digest(extracted, info + b"\x01", "sha512")[:32]
    row = {"id": _text(key_id), "newest": version, "wrapped": _text(wrapped), "check": _text(check), "older": []}
    return {
        "pk": {"S": ORG},
        "sk": {"S": "data-key"},
        "kind": {"S": "data_key"},
        "v": {"N": "1"},
        "version": {"N": "1"},
        "row": {"S": json.dumps(row)},
        "wrapped": {"B": _text(wrapped)},
    }


def _framed(kind: str, pk: str, sk: str, row: dict) -> dict:
    frame = {"kind": {"S": kind}, "v": {"N": "1"}, "version": {"N": "1"}}
    return {"pk": {"S": pk}, "sk": {"S": sk}, **frame, "row": {"S": json.dumps(row)}}


def _organisation_item() -> dict:
    row = {"id": ORG, "name": "Bench", "residency": "eu", "controllers": [MEMBER]}
    return _framed("organisation", ORG, "organisation", row)


def _member_item() -> dict:
    """A Controller; nobody opens the email."""
    row = {"id": MEMBER, "user": USER, "role": "controller", "state": "active", "email": _text(bytes(range(128)))}
    return _framed("member", f"{ORG}#{USER}", "member", row)


def _stripe_account_item() -> dict:
    """That payers can pay. Only the payers' function reads it, and nobody the key."""
    row = {"key_hint": "rk_test_…A1b2", "connected_at": "2026-06-01T08:00:00Z", "fingerprint": "5a" * 32}
    return _framed("stripe_account", ORG, "stripe-account", row)


def _invoice_row() -> dict:
    """An open invoice of 125 EUR, without its id. Nobody opens its body."""
    return {
        "number": "RE-2026-0117",
        "customer_id": CUSTOMER,
        "state": "open",
        "status": "open",
        "total": {"amount": 12500, "currency": "EUR"},
        "balance": 12500,
        "issued_on": "2026-06-01",
        "due_on": "2026-06-15",
        "body": _text(bytes(range(256)) * 2),
    }


def _invoice_item() -> dict:
    """The same as attributes, as the peers keep it."""
    total = {"amount": {"N": "12500"}, "currency": {"S": "EUR"}}
    special = {"total": {"M": total}, "balance": {"N": "12500"}, "version": {"N": "1"}}
    return {name: {"S": value} for name, value in _invoice_row().items() if name not in special} | special


class Events:
    """Events as Stripe and AWS would send them: each of another payment of another invoice."""

    def __init__(self, examples: pathlib.Path):
        event = json.loads((examples / "payment_intent.succeeded.json").read_text())
        event["id"], payment = "evt_3Bench{n:018d}", event["data"]["object"]
        payment["id"] = "pi_3Bench{n:018d}"
        payment["client_secret"] = payment["id"] + "_secret_Qp5Nf2Xa8Jt0Rv7Bk3Ey6Hw1C"
        payment["latest_charge"] = "ch_3Bench{n:018d}"
        # A shop's payment has more to say than the example: its own notes, an address, the settings of four methods.
        payment["metadata"] = {
            "plixo_invoice_id": "inv_{invoice}",
            "order_id": "100482913",
            "cart_id": "7d0c5a3e-1b64-4f0e-9a57-2c8e41d6b0f4",
            "sales_channel": "web",
            "storefront": "de-DE",
            "coupon": "SUMMER26",
            "warehouse": "HAM-2",
            "delivery_window": "2026-06-18T08:00/2026-06-18T12:00",
            "customer_note": "Bitte beim Nachbarn abgeben, falls niemand öffnet.",
            "erp_document": "SO-2026-0048821",
            "campaign": "newsletter-24-06",
            "checkout_version": "4.18.2",
        }
        payment["shipping"] = {
            "address": {
                "city": "Lüneburg",
                "country": "DE",
                "line1": "Marktplatz 3",
                "line2": None,
                "postal_code": "21335",
                "state": "Niedersachsen",
            },
            "carrier": "DHL",
            "name": "Bäckerei Sonnenschein GmbH",
            "phone": "+49 4131 5550117",
            "tracking_number": None,
        }
        payment["payment_method_options"] |= {
            "klarna": {"preferred_locale": None, "capture_method": None},
            "paypal": {"preferred_locale": None, "reference": None, "capture_method": None},
            "sepa_debit": {"mandate_options": {"reference_prefix": "PLX"}, "target_date": None},
        }
        payment["payment_method_types"] = ["card", "klarna", "paypal", "sepa_debit"]
        # As Stripe sends it: indented by two.
        text = json.dumps(event, indent=2, ensure_ascii=False)
        self._pieces = text.replace("{n:018d}", "\0n\0").replace("{invoice}", "\0i\0").split("\0")

    def text(self, n: int) -> str:
        """The `n`th event."""
        invoice = "01kv2vf200eqk8" + "".join(BASE32[n >> shift & 31] for shift in range(55, -1, -5))
        fill = {"n": f"{n:018d}", "i": invoice}
        return "".join(fill.get(piece, piece) for piece in self._pieces)

    def delivery(self, n: int, secret: str = SECRET) -> dict:
        """The `n`th event as API Gateway hands it to the receiver (payload 2.0), signed now."""
        body, at = self.text(n), int(time.time())
        signature = hmac.digest(secret.encode(), f"{at}.{body}".encode(), "sha256").hex()
        host, path = "bench.execute-api.eu-central-1.amazonaws.com", f"/webhooks/stripe/{ENDPOINT}"
        agent = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"
        return {
            "version": "2.0",
            "routeKey": "POST /webhooks/stripe/{endpoint}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {
                "accept": "*/*; q=0.5, application/xml",
                "cache-control": "no-cache",
                "content-length": str(len(body.encode())),
                "content-type": "application/json; charset=utf-8",
                "host": host,
                "stripe-signature": f"t={at},v1={signature}",
                "user-agent": agent,
                "x-amzn-trace-id": "Root=1-6920aa00-000000000000000000000000",
                "x-forwarded-for": "3.18.12.63",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
            },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "bench",
                "domainName": host,
                "domainPrefix": "bench",
                "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "3.18.12.63", "userAgent": agent},
                "requestId": f"Bench{n:010d}=",
                "routeKey": "POST /webhooks/stripe/{endpoint}",
                "stage": "$default",
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at)),
                "timeEpoch": at * 1000,
            },
            "pathParameters": {"endpoint": ENDPOINT},
            "body": body,
            "isBase64Encoded": False,
        }

    def forged(self, n: int) -> dict:
        """The same, signed with another secret."""
        return self.delivery(n, SECRET[::-1])

    def erp(self, n: int, secret: str = ERP_SECRET) -> dict:
        """The `n`th invoice that an ERP tells of by Standard Webhooks, of 20 lines, as API Gateway hands it to the receiver, signed now."""
        price = {"amount": 12_500, "currency": "EUR"}
        lines = [{"description": f"Beratung vor Ort, Tag {day}", "quantity": "1", "unit_price": price, "tax_percent": "19"} for day in range(20)]
        document = {"id": f"INV-{n:012d}", "number": f"RE-2026-{n:08d}", "customer": "C-1001", "state": "open", "lines": lines,
                    "total": {"amount": 297_500, "currency": "EUR"}, "issued_on": "2026-11-20", "due_on": "2026-12-20"}
        at, event_id = int(time.time()), f"msg_{n:024d}"
        told = {"type": "invoice.upserted", "timestamp": time.strftime("%FT%TZ", time.gmtime(at)), "data": document}
        body = json.dumps(told, indent=2)
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = base64.b64encode(hmac.digest(key, f"{event_id}.{at}.{body}".encode(), "sha256")).decode()
        headers = {"content-type": "application/json", "webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signed}"}
        return _gateway_request("POST /webhooks/erp/{endpoint}", headers, endpoint=ERP_ENDPOINT) | {"body": body}

    def erp_forged(self, n: int) -> dict:
        """The same, signed with another secret."""
        return self.erp(n, "whsec_" + base64.b64encode(bytes(32)).decode())

    def batch(self, n: int) -> dict:
        """The `n`th ten events as SQS hands them to the worker."""
        return {"Records": [self._message(n * BATCH + at) for at in range(BATCH)]}

    def _message(self, n: int) -> dict:
        body, now = self.text(n), time.time()
        envelope = {
            "v": 1,
            "org": ORG,
            "endpoint": ENDPOINT,
            "received_at": time.strftime("%FT%T", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z",
            "request_id": f"Bench{n:010d}=",
            "ip": "3.18.12.63",
            "encoding": "identity",
        }
        attribute = {"stringValue": json.dumps(envelope), "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        return {
            "messageId": str(uuid.UUID(int=n)),
            "receiptHandle": "AQEB" + "r" * 360,
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": str(int(now * 1000)),
                "SenderId": "AROAEXAMPLE:webhook-stripe",
                "ApproximateFirstReceiveTimestamp": str(int(now * 1000) + 1),
            },
            "messageAttributes": {"plixo": attribute},
            "md5OfMessageAttributes": "0" * 32,
            "md5OfBody": hashlib.md5(body.encode()).hexdigest(),
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:stripe-events",
            "awsRegion": "eu-central-1",
        }


class Staff(Events):
    """Requests of a Controller, as API Gateway hands them over."""

    invoice = customer = ""

    def open(self, ask):
        """Makes a customer and as many invoices as a list shows, unless they are there."""
        if self.invoice:
            return
        person = {"name": "Bäckerei Sonnenschein GmbH", "email": "ap@example.com"}
        self.customer = _told(ask("ledger", self._request("POST", "customers", person)))["id"]
        for _ in range(LIST):
            self.invoice = self._draft(ask)

    def read(self, n: int) -> dict:
        """One invoice."""
        return self._request("GET", "invoices/{id}", id=self.invoice)

    def list(self, n: int) -> dict:
        """A page of invoices."""
        return self._request("GET", "invoices")

    def _draft(self, ask) -> str:
        price = {"amount": 12_500, "currency": "EUR"}
        lines = [{"description": f"Item {n}", "quantity": "2", "unit_price": price, "tax_percent": "19"} for n in range(5)]
        return _told(ask("ledger", self._request("POST", "invoices", {"customer_id": self.customer, "lines": lines})))["id"]

    def _request(self, method: str, path: str, body: dict | None = None, **named: str) -> dict:
        now = time.time()

        def at(seconds: float) -> str:
            return time.strftime("%FT%TZ", time.gmtime(now + seconds))

        who = {"user": USER, "session": "0190c5e3-0000-4000-8000-000000000002", "by": "bearer"}
        headers = {"accept": "*/*", "authorization": "Bearer " + "t" * 1000, "content-type": "application/json"}
        request = _gateway_request(f"{method} /v1/orgs/{{org}}/{path}", headers, org=ORG, **named)
        request["requestContext"]["authorizer"] = {"lambda": {**who, "signed_in_at": at(-600), "expires_at": at(3000)}}
        request["body"] = json.dumps(body) if body else None
        return request


class Payers(Staff):
    """Requests of payers' browsers, as API Gateway hands them over."""

    owed = token = session = ""

    def come(self, ask):
        """Issues an invoice, unless there is one, and makes two links to it, as staff do. One is used, as a payer does: its session is
        good for 30 minutes. `token` is the other's, and is not used."""
        self.open(ask)
        if not self.owed:
            self.owed = self._draft(ask)
            ask("ledger", self._request("POST", "invoices/{id}/finalize", id=self.owed))
        used, self.token = self._link(ask), self._link(ask)
        answer = ask("portal", self._visit("POST /p/{token}", token=used))
        self.session = answer["cookies"][0].partition(";")[0]

    def payer(self, n: int) -> dict:
        """The invoice."""
        return self._visit("GET /p/session", [self.session])

    def door(self, n: int) -> dict:
        """What is behind a link, to whom has not used it."""
        return self._visit("GET /p/{token}", token=self.token)

    def guess(self, n: int) -> dict:
        """The same, with another bit of its signature wrong each time."""
        signed, tag = (token := base64.urlsafe_b64decode(self.token))[:-32], int.from_bytes(token[-32:], "big")
        forged = signed + (tag ^ 1 << n % 256).to_bytes(32, "big")
        return self._visit("GET /p/{token}", token=base64.urlsafe_b64encode(forged).decode())

    def _link(self, ask) -> str:
        order = self._request("POST", "invoices/{id}/portal-links", {"send_email": False}, id=self.owed)
        return _told(ask("links", order))["url"].rpartition("/")[2]

    @staticmethod
    def _visit(route: str, cookies: list[str] | None = None, **named: str) -> dict:
        headers = {
            "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "accept-language": "de-DE,de;q=0.9,en;q=0.8",
            "sec-fetch-dest": "document",
            "sec-fetch-mode": "navigate",
            "sec-fetch-site": "same-origin" if route.startswith("POST") else "none",
        }
        return _gateway_request(route, headers, **named) | ({"cookies": cookies} if cookies else {})


def _told(answer: dict) -> dict:
    return json.loads(answer["body"])


def _gateway_request(route: str, headers: dict[str, str], **named: str) -> dict:
    """A request without a body of whoever is signed in nowhere."""
    method, path = route.split(" ")
    for name, value in named.items():
        path = path.replace(f"{{{name}}}", value)
    host, agent = "bench.execute-api.eu-central-1.amazonaws.com", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {**headers, "host": host, "user-agent": agent, "x-forwarded-for": "3.18.12.63"},
        "requestContext": {
            "domainName": host,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "3.18.12.63", "userAgent": agent},
            "requestId": str(uuid.uuid4()),
            "routeKey": route,
            "stage": "$default",
        },
        "pathParameters": named,
        "body": None,
        "isBase64Encoded": False,
    }
