"""What happened long ago: things that a stack has, put back to a time at which nobody could make them."""

import contextlib
import datetime
import json
import secrets

from conftest import wait_for
from events import event, tell
from exports import ready

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def ago(days):
    """A time, so many days ago and a minute more."""
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days, minutes=1)


def text(at):
    """A time as rows have it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def id_of(kind, at):
    """An id that was made at that time."""
    number = int(at.timestamp() * 1000) << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    return f"{kind}_" + "".join(LETTERS[number >> 5 * n & 31] for n in reversed(range(26)))


class Past:
    """An organisation's rows, which can be put back."""

    def __init__(self, stack, org):
        self.stack, self.org, self.tables = stack, org, stack.aws("dynamodb")

    def items(self, table, sk):
        """The organisation's items of a kind."""
        pages = self.tables.get_paginator("scan").paginate(TableName=getattr(self.stack.resources, table))
        items = [item for page in pages for item in page["Items"]]
        return [it for it in items if it["pk"]["S"].partition("#")[0] == self.org and it["sk"]["S"].startswith(sk)]

    def item(self, sk, id=None):
        """One item of the ledger."""
        key = {"pk": {"S": f"{self.org}#{id}" if id else self.org}, "sk": {"S": sk}}
        return self.tables.get_item(TableName=self.stack.resources.LedgerTable, Key=key, ConsistentRead=True).get("Item")

    def put(self, item, table="LedgerTable"):
        """Puts an item in the place of what is there."""
        self.tables.put_item(TableName=getattr(self.stack.resources, table), Item=item)

    def gone(self, sk, id):
        """Takes a thing away, as job-retention does."""
        self.tables.delete_item(TableName=self.stack.resources.LedgerTable, Key={"pk": {"S": f"{self.org}#{id}"}, "sk": {"S": sk}})

    def move(self, item, days, change=None):
        """Puts an item back, with its row changed."""
        if change:
            row = json.loads(item["row"]["S"])
            change(row, text(ago(days)))
            item["row"]["S"] = json.dumps(row)
        item["since_sk"]["S"] = f"{text(ago(days))}#{item['since_sk']['S'].partition('#')[2]}"
        return item

    def again(self, sk, id, days, change=None):
        """The same thing once more, under an id of that time, with its row changed."""
        old = id_of(id.partition("_")[0], ago(days))
        told = json.loads(json.dumps(self.item(sk, id), default=lambda it: {"B": list(it)}).replace(id, old))
        bytes_kept = {name: value for name, value in self.item(sk, id).items() if "B" in value}
        self.put(self.move({**told, **bytes_kept}, days, change))
        return old

    @contextlib.contextmanager
    def old_customer(self, id):
        """A customer like that one whose time is over, for as long as this lasts: nobody is to be sent to erase it."""
        old = self.again("customer", id, 800)
        try:
            yield
        finally:
            self.gone("customer", old)

    def applied_long_ago(self, payment, invoice):
        """Puts back what is applied of a payment to an invoice that it pays: both tell when that was by the allocation's id."""
        paid = self.item("payment", f"member#{payment}")
        [(_, allocation)] = json.loads(paid["row"]["S"])["allocations"]
        old = id_of("alo", ago(5_000))
        for item in (paid, self.item("invoice", invoice)):
            item["row"]["S"] = item["row"]["S"].replace(allocation["id"], old)
            self.put(self.move(item, 5_000) if item is paid else item)

    def everything(self, staff, approver, requester):
        """One of each class that is due, as `kind: id`."""
        line = {"description": "Chair", "quantity": "1", "unit_price": {"amount": 10_000, "currency": "EUR"}}
        customer = staff.make("/customers", {"name": "Weber"})["id"]
        order = {"customer_id": customer, "lines": [line], "due_on": "2027-01-31"}
        old_customer = self.again("customer", customer, 800)
        draft = {"customer_id": customer, "lines": [line]}
        old_invoice = self.again("invoice", staff.make("/invoices", draft)["id"], 4_000)

        owed = staff.make("/invoices", order)["id"]
        assert staff.ask("POST", f"/invoices/{owed}/finalize")[0] == 200
        link = staff.make(f"/invoices/{owed}/portal-links", {"send_email": False})
        self.put(self.move(self.item("portal-link", link["id"]), 40, lambda row, at: row.update(expires_at=at)))

        amount = {"amount": 10_000, "currency": "EUR"}
        payment = staff.make("/payments", {"source": "bank", "amount": amount, "received_on": "2012-01-31"})["id"]
        shares = {"allocations": [{"invoice_id": owed, "amount": amount}]}
        assert staff.ask("POST", f"/payments/{payment}/allocations", shares)[0] == 201
        self.applied_long_ago(payment, owed)

        export = ready(requester, approver, kind="customers", format="csv")["id"]
        self.put(self.move(self.item("export", export), 20, lambda row, at: row["file"].update(at=at)))
        return {"customer": old_customer, "invoice": old_invoice, "portal_link": link["id"], "payment": payment, "export": export,
                "url": link["url"]}

    def webhook_event(self, endpoint):
        """A webhook event whose payload is due."""
        sent = event("payout.paid")
        assert tell(endpoint, sent) == 200
        wait_for(lambda: self.stack.worked(sent["id"]), 10, "work")
        table = "WebhookEventsTable"
        [piece] = [it for it in self.items(table, "payload#") if it["pk"]["S"].endswith(sent["id"])]
        self.put(self.move(piece, 40), table)
        [item] = [it for it in self.items(table, "event") if it["pk"]["S"].endswith(sent["id"])]
        row = json.loads(item["row"]["S"])
        row["received_at"] = text(ago(31))
        item["row"]["S"] = json.dumps(row)
        self.put(item, table)
        return row["id"]

    def log(self, days, count):
        """So many audit events of that day, which is the first that is kept. Their day."""
        at = ago(days)
        day = at.strftime("%Y-%m-%d")
        like = self.items("AuditTable", "aud_")[0]
        for _ in range(count):
            id = id_of("aud", at)
            row = {**json.loads(like["row"]["S"]), "id": id, "at": text(at)}
            keys = {"pk": {"S": f"{self.org}#{day}#{secrets.randbelow(16):02}"}, "sk": {"S": id}, "row": {"S": json.dumps(row)}}
            self.put({**{name: value for name, value in like.items() if not name.startswith("object_")}, **keys}, "AuditTable")
        kept = {"from": day, "is_gone": True}
        self.put({"pk": {"S": self.org}, "sk": {"S": "audit-kept"}, "kind": {"S": "audit_kept"}, "v": {"N": "1"}, "version": {"N": "1"},
                  "row": {"S": json.dumps(kept)}})
        return day

    def set(self, change):
        """Changes the organisation's row."""
        item = self.item("organisation")
        row = json.loads(item["row"]["S"])
        change(row)
        item["row"]["S"] = json.dumps(row)
        item["version"] = {"N": str(int(item["version"]["N"]) + 1)}
        self.put(item)


def retain(stack):
    """Has job-retention run, now; whether all was done."""
    answer = stack.aws("lambda").invoke(FunctionName=stack.resources.JobRetention, Payload=b"{}")
    return "FunctionError" not in answer
