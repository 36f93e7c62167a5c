"""A customer who is erased: nothing yields anything of it, wherever one looks, and after a restore neither."""

import base64
import json
import os
import re
import time
import urllib.request

import pytest
from browser import send
from conftest import ANSWERS_WITHIN, wait_for
from events import event, tell
from exports import download, ready
from people import Staff, release_all, seal

# In every field that can be personal. Emails that were sent are at their recipients, and so none is sent here.
CANARIES = {
    "name": "Caspian Erasmus Canary", "email": "caspian.erasable@example.com", "phone": "+49 151 98765430", "line1": "Kanarienweg 77",
    "line2": "Hinterhaus Canary", "tax_id": "DE987654301", "memo": "Lieber Caspian Erasable", "line": "Armchair for Caspian Erasmus Canary",
    "remittance": "salut from caspian erasable", "agent": "CanaryBrowser/77",
}
# Those of organisations; they are what is restored. What people sign in with is in another one.
TABLES = ("LedgerTable", "WebhookEventsTable", "AuditTable")


def key_attributes(stack, table):
    """A table's names of keys, its own and its indices'."""
    return stack.aws("dynamodb").describe_table(TableName=table)["Table"]


def scanned(stack, table):
    """All items of a table, and of each of its indices."""
    dynamodb = stack.aws("dynamodb")
    described = key_attributes(stack, table)
    items = []
    for index in [None, *(it["IndexName"] for it in described.get("GlobalSecondaryIndexes", []))]:
        of = {"IndexName": index} if index else {}
        for page in dynamodb.get_paginator("scan").paginate(TableName=table, **of):
            items += page["Items"]
    return items


def texts(items):
    """Items as text; what is binary, and what is base64 in a row, decoded as well."""
    for item in items:
        yield repr(item)
        for encoded in re.findall(r'"([A-Za-z0-9+/]{16,}={0,2})"', item.get("row", {}).get("S", "")):
            if len(encoded) % 4 == 0:
                yield repr(base64.b64decode(encoded))


def blobs(item):
    """What is sealed in an item, as it is stored. The hash of an event's text, by which the same one is known, is nothing sealed."""
    row = re.sub(r'"fingerprint":"[0-9a-f]+"', "", item.get("row", {}).get("S", ""))
    found = re.findall(r'"([A-Za-z0-9+/]{40,}={0,2})"', row)
    return [it for it in found if len(it) % 4 == 0] + [base64.b64encode(value["B"]).decode() for value in item.values() if "B" in value]


def canaries_in(text):
    """Which canaries a text has, in the clear or in base64 at any offset."""
    text_in_small = text.lower()
    found = []
    for canary in CANARIES.values():
        encoded = [base64.b64encode(b"x" * n + canary.encode())[(0, 2, 3)[n]:-4].decode().rstrip("=")[:-1] for n in range(3)]
        if canary.lower() in text_in_small or any(it in text for it in encoded):
            found.append(canary)
    return found


def files(stack):
    """All versions of all objects of the buckets, by their names."""
    s3 = stack.aws("s3")
    for bucket in (stack.resources.ExportsBucket, stack.resources.CheckpointsBucket):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in page.get("Versions", []):
                of = {"Bucket": bucket, "Key": entry["Key"], "VersionId": entry["VersionId"]}
                yield entry["Key"], s3.get_object(**of)["Body"].read()


def with_canaries(stack):
    """The objects that have canaries in them."""
    return [name for name, text in files(stack) if canaries_in(text.decode("utf-8", "replace"))]


def emails(stack):
    """All that the email store has."""
    with urllib.request.urlopen(f"{stack.json['aws_endpoint_url']}/_ministack/ses/messages", timeout=ANSWERS_WITHIN) as answer:
        return answer.read().decode()


def waiting(stack):
    """The queues, but for those of dead letters, in which anything is, whether or not a worker has it."""
    sqs, counts = stack.aws("sqs"), ("", "NotVisible", "Delayed")
    names = [f"ApproximateNumberOfMessages{count}" for count in counts]
    queues = {name: url for name, url in vars(stack.resources).items() if name.endswith("Queue") and not name.endswith("DeadLetterQueue")}
    assert queues
    told = {name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] for name, url in queues.items()}
    return [name for name, counts in told.items() if any(int(count) for count in counts.values())]


def letters(stack):
    """All dead letters."""
    sqs = stack.aws("sqs")
    for name, url in vars(stack.resources).items():
        if name.endswith("DeadLetterQueue"):
            got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0)
            yield from (json.dumps(message) for message in got.get("Messages", []))


def copied(stack, table):
    """A table of another name with the same items: what a backup is restored to."""
    dynamodb, described = stack.aws("dynamodb"), key_attributes(stack, table)
    name = f"{table}-restored"
    indices = [{part: index[part] for part in ("IndexName", "KeySchema", "Projection")} for index in described.get("GlobalSecondaryIndexes", [])]
    dynamodb.create_table(TableName=name, KeySchema=described["KeySchema"], AttributeDefinitions=described["AttributeDefinitions"],
                          BillingMode="PAY_PER_REQUEST", **({"GlobalSecondaryIndexes": indices} if indices else {}))
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            dynamodb.put_item(TableName=name, Item=item)
    return name


def of_customer(items, life):
    """The items of the ledger that are about the customer and nobody else."""
    ids = [life.customer, life.invoice, life.bank, life.intent]
    return [item for item in items if any(id in item["pk"]["S"] for id in ids) or life.customer in item.get("row", {}).get("S", "")]


class Life:
    """A customer with everything that one can have."""

    def __init__(self, stack):
        self.stack, self.admin, self.controller = stack, Staff(stack, "billing_admin"), Staff(stack, "controller")
        self.compliance, self.endpoint = Staff(stack, "compliance"), stack.orgs[0]["webhook_endpoints"][0]
        of = CANARIES
        address = {"line1": of["line1"], "line2": of["line2"], "city": "Hamburg", "postal_code": "20459", "country": "DE"}
        order = {"name": of["name"], "email": of["email"], "phone": of["phone"], "address": address, "tax_id": of["tax_id"]}
        # The answer to the key is remembered.
        status, _, made = self.admin.ask("POST", "/customers", order, idempotency_key="an-erasable-one")
        assert status == 201, made
        self.customer = made["id"]
        price = {"amount": 10_000, "currency": "EUR"}
        line = {"description": of["line"], "quantity": "1", "unit_price": price}
        order = {"customer_id": self.customer, "lines": [line], "memo": of["memo"], "due_on": "2027-01-31"}
        self.invoice = self.admin.make("/invoices", order)["id"]
        assert self.admin.ask("POST", f"/invoices/{self.invoice}/finalize")[0] == 200
        link = self.admin.make(f"/invoices/{self.invoice}/portal-links", {"send_email": False})
        path = link["url"].removeprefix(stack.base_url)
        for method in ("GET", "POST"):
            send(stack.base_url, method, path, {"user-agent": of["agent"]})
        # Its name at Stripe, what Stripe knows of it, and its money.
        self.stripe = f"cus_Erasable{int(time.time())}"
        who = {"name": of["name"], "email": of["email"], "phone": of["phone"]}
        known = event("customer.created", **who)
        known["data"]["object"] |= {"id": self.stripe, "metadata": {"plixo_customer_id": self.customer}}
        self.tell(known)
        self.intent = f"pi_Erasable{int(time.time())}"
        self.charge = event("charge.succeeded", invoice=self.invoice, intent=self.intent, amount=4_000, billing_details={**who, "address": None},
                            receipt_email=of["email"], customer=self.stripe, description=of["remittance"])
        self.tell(self.charge)
        self.told = [known["id"], self.charge["id"]]
        order = {"source": "bank", "amount": price, "customer_id": self.customer, "received_on": "2026-11-01",
                 "payer_name": of["name"], "remittance": of["remittance"]}
        self.bank = self.admin.make("/payments", order)["id"]
        self.export = ready(self.admin, self.controller, kind="customers", format="csv")
        assert of["name"] in download(self.admin, self.export["id"])[1]
        self.access = self.compliance.make("/privacy-requests", {"kind": "access", "customer_id": self.customer})["id"]
        wait_for(lambda: self.compliance.get(f"/privacy-requests/{self.access}")["status"] == "done", 60, "what is held")
        assert any(self.access in name for name in with_canaries(stack))
        self.give_up(who)

    def tell(self, made):
        """Has Stripe tell of something."""
        assert tell(self.endpoint, made) == 200
        return wait_for(lambda: self.stack.worked(made["id"]), 15, "work")

    def give_up(self, who):
        """An event that fails, and ends among the dead letters with all that is in it."""
        queues, sqs = self.stack.resources, self.stack.aws("sqs")
        sqs.set_queue_attributes(QueueUrl=queues.StripeEventsQueue, Attributes={"VisibilityTimeout": "1"})
        broken = event("charge.succeeded", currency="zzz", customer=self.stripe, billing_details={**who, "address": None})
        assert tell(self.endpoint, broken) == 200
        wait_for(lambda: any(broken["id"] in text for text in letters(self.stack) if "zzz" in text), 60, "dead letter")
        sqs.set_queue_attributes(QueueUrl=queues.StripeEventsQueue, Attributes={"VisibilityTimeout": "180"})

    def request(self):
        """Asks for its erasure, and waits until it is done."""
        release_all(self.compliance)
        before = len(self.stack.lines("worker-privacy"))
        asked = self.compliance.make("/privacy-requests", {"kind": "erasure", "customer_id": self.customer})

        def done():
            # One that has to wait, for an export that is being written, is no fault.
            lines = [line for line in self.stack.lines("worker-privacy")[before:] if "error" in line and line["outcome"] != "goes_on"]
            assert not lines, lines
            shown = self.compliance.get(f"/privacy-requests/{asked['id']}")
            return shown if shown["status"] == "done" else None

        return wait_for(done, 90, "end of the erasure")

    def shown(self):
        """All that the API shows of it."""
        answers = [self.controller.ask("GET", path)[2] for path in (
            f"/customers/{self.customer}", "/customers?limit=100", f"/invoices/{self.invoice}", f"/invoices?customer_id={self.customer}",
            f"/payments/{self.bank}", "/payments?limit=100", f"/invoices/{self.invoice}/portal-links",
            f"/audit-events?object={self.invoice}", f"/audit-events?object={self.customer}", f"/payments/{self.bank}/suggestions")]
        listed = self.admin.get("/webhook-events?limit=100")["data"]
        answers += [self.admin.ask("GET", f"/webhook-events/{it['id']}")[2] for it in listed]
        return json.dumps(answers, ensure_ascii=False)


@pytest.fixture(scope="module")
def erased(stack):
    """A customer that was erased: its life, what was stored of it before, the copy of the tables, and the request."""
    life = Life(stack)
    shown = canaries_in(life.shown())
    assert {CANARIES[it] for it in ("name", "email", "phone", "line1", "memo", "line")} <= set(shown), shown
    restored = {table: copied(stack, getattr(stack.resources, table)) for table in TABLES}
    told = [item for item in scanned(stack, stack.resources.WebhookEventsTable) if any(id in item["pk"]["S"] for id in life.told)]
    life.sealed = {blob for item in [*of_customer(scanned(stack, stack.resources.LedgerTable), life), *told] for blob in blobs(item)}
    life.key = json.loads(next(item for item in scanned(stack, stack.resources.LedgerTable)
                               if item["sk"]["S"] == "customer" and life.customer in item["pk"]["S"] and "row" in item)["row"]["S"])["key"]
    assert len(life.sealed) > 6 and life.key in life.sealed
    assert any(canaries_in(text) for text in letters(stack))
    life.asked = life.request()
    return life, restored


def test_nothing_shows_anything_of_it(stack, erased):
    life, _ = erased
    assert canaries_in(life.shown()) == []
    invoice = life.controller.get(f"/invoices/{life.invoice}")
    assert (invoice["total"]["amount"], invoice["balance"]["amount"]) == (10_000, 6_000), "what the law requires is there"


def test_nothing_stored_yields_it_and_what_was_sealed_opens_no_more(stack, erased):
    life, _ = erased
    wait_for(lambda: not waiting(stack), 60, "end of all work")
    for table in (*TABLES, "PeopleTable"):
        items = scanned(stack, getattr(stack.resources, table))
        assert canaries_in("\n".join(texts(items))) == [], table
        # Its key is in no row, and no row has what was sealed before, under whichever key.
        left = {blob for item in items for blob in blobs(item)} & (life.sealed | {life.key})
        assert not left, f"{len(left)} sealed fields are left in {table}"
    assert with_canaries(stack) == []
    assert canaries_in(emails(stack)) == []
    assert [text for text in letters(stack) if canaries_in(text)] == []
    logs = "".join(file.read_text() for file in (stack.dir / "logs").glob("*.log"))
    assert life.asked["id"] and "worker-privacy" in logs
    assert canaries_in(logs) == []
    assert life.admin.get(f"/exports/{life.export['id']}")["status"] == "failed"


def test_what_is_told_late_brings_nothing_back(stack, erased):
    life, _ = erased
    late = event("customer.updated", name=CANARIES["name"], email=CANARIES["email"], phone=CANARIES["phone"])
    late["data"]["object"] |= {"id": life.stripe, "metadata": {"plixo_customer_id": life.customer}}
    more = event("charge.succeeded", invoice=life.invoice, amount=1_000, customer=life.stripe, description=CANARIES["remittance"],
                 billing_details={"name": CANARIES["name"], "email": CANARIES["email"], "phone": None, "address": None})
    for made in (late, more):
        life.tell(made)
    assert life.controller.get(f"/invoices/{life.invoice}")["balance"]["amount"] == 5_000, "its money counts"
    assert canaries_in(life.shown()) == []
    for table in TABLES:
        assert canaries_in("\n".join(texts(scanned(stack, getattr(stack.resources, table))))) == [], table


def test_the_audit_log_is_as_it_was_sealed(stack, erased, tmp_path):
    life, _ = erased
    assert seal(stack)
    # A log of many days is read for some while where others are at work on the machine.
    export = ready(life.compliance, life.controller, seconds=120, kind="audit", format="json")
    (file := tmp_path / "audit.jsonl").write_text(download(life.compliance, export["id"])[1])
    key = json.loads(stack.plixoctl("audit", "key", "--org", life.admin.org).stdout)["key"]
    done = stack.run("plixoctl", "audit", "verify", str(file), "--key", key, env={})
    assert done.returncode == 0, done.stderr
    assert '"action":"customer.erase"' in file.read_text()


def test_the_certificate_says_what_was_done_and_is_verified_offline(stack, erased, tmp_path):
    life, _ = erased
    name = f"{life.admin.org}/certificates/{life.asked['id']}"
    note = stack.aws("s3").get_object(Bucket=stack.resources.CheckpointsBucket, Key=name)["Body"].read()
    (file := tmp_path / "certificate").write_bytes(note)
    key = json.loads(stack.plixoctl("audit", "key", "--org", life.admin.org).stdout)["key"]
    done = stack.run("plixoctl", "certificate", "verify", str(file), "--key", key, env={})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["verified"], told["request"], told["customer_id"]) == (True, life.asked["id"], life.customer)
    assert any(it.startswith("1 invoice without") for it in told["erased"]), told
    assert any(it.startswith("2 payments without") for it in told["erased"]), told
    file.write_bytes(note.replace(b"1 invoice", b"0 invoice"))
    assert stack.run("plixoctl", "certificate", "verify", str(file), "--key", key, env={}).returncode == 1


def test_after_a_restore_it_is_erased_again(stack, erased):
    life, restored = erased
    found = lambda: {blob for table in restored.values() for item in scanned(stack, table) for blob in blobs(item)} & life.sealed  # noqa: E731
    assert life.key in found(), "the copy is of before"
    env = {**os.environ, **stack.json["env"], "LEDGER_TABLE": restored["LedgerTable"], "WEBHOOK_EVENTS_TABLE": restored["WebhookEventsTable"],
           "AUDIT_TABLE": restored["AuditTable"], "EXPORTS_BUCKET": stack.resources.ExportsBucket, "CHECKPOINTS_BUCKET": stack.resources.CheckpointsBucket}
    for result in ("erased", "nothing_left"):
        done = stack.run("plixoctl", "restore", "replay-erasures", env=env)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["result"] for line in lines if line.get("customer") == life.customer] == [result], lines
        assert lines[-1]["left"] == 0
    assert not found()
    for table in restored.values():
        assert canaries_in("\n".join(texts(scanned(stack, table)))) == [], table
