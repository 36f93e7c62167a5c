"""One Stripe payment, from signed webhook to paid invoice, with each step shown."""

import dataclasses
import http.client
import json
import pathlib
import time
import urllib.parse
import uuid
from collections.abc import Callable

from .aws import StackError, tail
from .money import MINOR_DIGITS, written
from .output import bold, dim, green, say
from .stack import Stack
from .stripe.webhooks import sign

SECONDS = 10
WIDTH = 80
TABLES = ("LedgerTable", "WebhookEventsTable", "AuditTable")


@dataclasses.dataclass(frozen=True)
class Choice:
    """The invoice to pay, and the endpoint that hears of it."""

    org: dict
    endpoint: dict
    invoice: dict


def walk(stack: Stack) -> None:
    """Pays one open demo invoice through a signed webhook. Raises where a step does not happen in time."""
    say()
    say(bold("One Stripe payment, from signed webhook to paid invoice"))
    say()
    choice = choose(stack)
    if choice is None:
        say("  Every demo invoice is settled: earlier walks have paid them all, and this one pays nothing.")
        return
    pay(stack, choice)


def choose(stack: Stack) -> Choice | None:
    """The first open invoice of an organisation with a Stripe endpoint."""
    for org in stack.orgs:
        endpoint = next((e for e in org["webhook_endpoints"] if e["provider"] == "stripe"), None)
        listed = [invoice["id"] for invoice in org["invoices"]]
        if endpoint and listed:
            for invoice in stack.plixoctl.ledger(org["id"], listed)["invoices"]:
                if invoice["status"] == "open":
                    return Choice(org, endpoint, invoice)
    return None


def pay(stack: Stack, choice: Choice) -> None:
    """The walk itself."""
    invoice, endpoint = choice.invoice, choice.endpoint
    receiver, worker = (LogTail(stack.aws.logs / f"{name}.log") for name in ("webhook-stripe", "worker-stripe"))
    before = rows(stack)

    event = checkout_completed(invoice)
    body = json.dumps(event, indent=2).encode()
    signature = sign([endpoint["secret"]], body, int(time.time()))
    _shown(1, "signed", f"{event['type']} {event['id']}")
    _more(f"for {invoice['number']} of {choice.org['name']}, {amount(invoice['balance'])}; {len(body)} bytes")
    _more(f"Stripe-Signature: {signature[:32]}…")

    sent = time.monotonic()
    status, headers = post(
        endpoint["url"], body, {"content-type": "application/json; charset=utf-8", "stripe-signature": signature}
    )
    answered = since(sent)
    _shown(2, "received", f"POST {urllib.parse.urlsplit(endpoint['url']).path}")
    _more(f"answered {status} after {answered}")
    if status != http.HTTPStatus.OK:
        raise StackError(f"the receiver answered {status}, not 200:\n{tail(receiver.path)}")
    line = receiver.line(lambda line: line.get("request_id") == headers.get("x-request-id"))
    _more(fields(line, "function", "outcome", "request_id", "aws_calls", "duration_ms"))

    message = line["message_id"]
    _shown(3, "queued", f"StripeEventsQueue, message {message}")

    line = worker.line(lambda line: line.get("message_id") == message)
    worked = since(sent)
    if line["outcome"] != "applied":
        raise StackError(f"the worker did not apply the event:\n{json.dumps(line)}")
    _shown(4, "worked", f"{line['event_type']} {line['outcome']}")
    _more(fields(line, "function", "outcome", "queued_ms", "aws_calls", "duration_ms"))

    settled = paid(stack, choice, event["id"])
    seen = since(sent)
    _shown(5, "written", "one transaction")
    for table, key, how in changes(before, rows(stack)):
        key = key.removeprefix(choice.org["id"] + "#")
        _more(f"{how} {table:<19}{key if len(key) <= WIDTH else key[: WIDTH - 1] + '…'}")

    _shown(6, "paid", f"{invoice['number']}: {state(invoice)}  →  {green(state(settled))}")
    for payment in settled["payments"]:
        _more(f"payment {payment['id']}, {payment['status']}, {amount(payment['amount'])}")
    say()
    way(answered, worked, seen)


def checkout_completed(invoice: dict) -> dict:
    """A `checkout.session.completed` event that settles the invoice, in Stripe's shape
    (https://docs.stripe.com/api/events).
    """
    now, unique = int(time.time()), uuid.uuid4().hex
    money = invoice["balance"]
    session = {
        "id": f"cs_test_{unique}",
        "object": "checkout.session",
        "amount_subtotal": money["amount"],
        "amount_total": money["amount"],
        "created": now,
        "currency": money["currency"].lower(),
        "customer": None,
        "livemode": False,
        "metadata": {"plixo_invoice_id": invoice["id"]},
        "mode": "payment",
        "payment_intent": f"pi_{unique[:24]}",
        "payment_method_types": ["card"],
        "payment_status": "paid",
        "status": "complete",
    }
    return {
        "id": f"evt_{unique[:24]}",
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": now,
        "data": {"object": session},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "checkout.session.completed",
    }


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Sends a request; gives the status and the headers of its answer."""
    target = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=SECONDS)
    try:
        connection.request("POST", target.path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


class LogTail:
    """What a function logs from now on."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.offset = path.stat().st_size if path.exists() else 0

    def line(self, wanted: Callable[[dict], bool]) -> dict:
        """The first structured line that is wanted, as soon as it is there."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for line in self._new():
                if wanted(line):
                    return line
            time.sleep(0.002)
        raise StackError(f"no such line in {self.path} within {SECONDS} s:\n{tail(self.path)}")

    def _new(self) -> list[dict]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


def paid(stack: Stack, choice: Choice, event: str) -> dict:
    """The invoice once it is paid."""
    until = time.monotonic() + SECONDS
    while True:
        told = stack.plixoctl.ledger(choice.org["id"], [choice.invoice["id"]], [f"{choice.endpoint['id']}:{event}"])
        [invoice] = told["invoices"]
        if invoice["status"] == "paid":
            return invoice
        if time.monotonic() > until:
            raise StackError(f"{invoice['number']} is {state(invoice)} after {SECONDS} s; its event: {told['events']}")


def rows(stack: Stack) -> dict[tuple[str, str], dict]:
    """All items of the tables by table and key."""
    dynamodb = stack.aws.client("dynamodb")
    return {
        (table, f"{item['pk']['S']} {item['sk']['S']}"): item
        for table in TABLES
        for page in dynamodb.get_paginator("scan").paginate(TableName=stack.resources[table])
        for item in page["Items"]
    }


def changes(before: dict, after: dict) -> list[tuple[str, str, str]]:
    """Table, key and how (`+` new, `~` changed) of what differs."""
    return [
        (table, key, "~" if (table, key) in before else "+")
        for (table, key), item in after.items()
        if before.get((table, key)) != item
    ]


def way(answered: str, worked: str, seen: str) -> None:
    """The data's way, with the time at which it was where."""
    stations = [
        ("Stripe", "signed", "0 ms"),
        ("API Gateway", "", ""),
        ("webhook-stripe", "answered", answered),
        ("SQS", "", ""),
        ("worker-stripe", "applied", worked),
        ("DynamoDB", "read back", seen),
    ]
    names, states, times = (
        [f"{text:<{max(map(len, station))}}" for text, station in zip(row, stations, strict=True)]
        for row in zip(*stations, strict=True)
    )
    say("  " + bold(" ─▶ ".join(names).rstrip()))
    say("  " + "    ".join(states).rstrip())
    say("  " + dim("    ".join(times).rstrip()))


def amount(money: dict) -> str:
    """Money as people write it."""
    return written(money["amount"], money["currency"], MINOR_DIGITS.get(money["currency"], 2))


def state(invoice: dict) -> str:
    """Status and balance."""
    return f"{invoice['status']}, balance {amount(invoice['balance'])}"


def fields(line: dict, *names: str) -> str:
    """Some fields of a log line."""
    return dim(" ".join(f"{name}={line[name]}" for name in names))


def since(start: float) -> str:
    return f"{(time.monotonic() - start) * 1000:.0f} ms"


def _shown(number: int, what: str, text: str) -> None:
    say(f"  {number}  {bold(f'{what:<10}')}{text}")


def _more(text: str) -> None:
    say(f"     {'':<10}{text}")
