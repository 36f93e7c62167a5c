"""Webhooks: events go to the account's endpoints, signed, again until they are taken, in no promised order."""

import concurrent.futures
import dataclasses
import hashlib
import hmac
import http.client
import json
import random
import time
import urllib.parse

from .world import Account, World, new_id

RUNNING = ("waiting", "sending")


def sign(secrets: list[str], body: bytes, timestamp: int) -> str:
    """The `Stripe-Signature` header (https://docs.stripe.com/webhooks#verify-manually), with one `v1` for each secret."""
    signed = f"{timestamp}.".encode() + body
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])


def post(address: str, body: bytes, headers: dict[str, str], seconds: float) -> int:
    """Sends a body; gives the status. Redirects are not followed."""
    target = urllib.parse.urlsplit(address)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.hostname, target.port, timeout=seconds)
    try:
        connection.request("POST", target.path + (f"?{target.query}" if target.query else ""), body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@dataclasses.dataclass(eq=False)
class Delivery:
    """One event on its way to one endpoint: `held`, `waiting`, `sending`, `delivered`, `failed` or `dropped`."""

    account: Account
    event: dict
    endpoint: dict
    state: str
    id: str = dataclasses.field(default_factory=lambda: new_id("dlv_"))
    attempts: list[dict] = dataclasses.field(default_factory=list)

    def shown(self) -> dict:
        told = {"event": self.event["id"], "type": self.event["type"], "endpoint": self.endpoint["id"], "url": self.endpoint["url"]}
        return {"id": self.id, "account": self.account.id, **told, "state": self.state, "attempts": self.attempts}


class Webhooks:
    """The sender. After the n-th failed attempt it waits `unit` seconds times 2 to the n, at most `tries` times."""

    def __init__(self, unit: float = 0.05, tries: int = 12, timeout: float = 20):
        self.unit, self.tries, self.timeout = unit, tries, timeout
        self.world: World | None = None
        self.pool = concurrent.futures.ThreadPoolExecutor(16, "webhook")

    def reset(self) -> None:
        self.hold, self.copies, self.drop = False, 1, []
        self.deliveries: list[Delivery] = []

    def send(self, account: Account, event: dict) -> None:
        """Sends an event to all endpoints that want it, or does what the control door said instead."""
        state = "dropped" if {"*", event["type"]} & set(self.drop) else "held" if self.hold else "waiting"
        for endpoint in account.all("webhook_endpoint"):
            if endpoint["status"] == "enabled" and {"*", event["type"]} & set(endpoint["enabled_events"]):
                for _ in range(self.copies):
                    self.queue(Delivery(account, event, endpoint, state))

    def queue(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        delivery.event["pending_webhooks"] = self._pending(delivery.event)
        if delivery.state == "waiting":
            self.pool.submit(self.attempt, delivery)

    def _pending(self, event: dict) -> int:
        left = ("delivered", "dropped")
        return len({delivery.endpoint["id"] for delivery in self.deliveries if delivery.event is event and delivery.state not in left})

    def attempt(self, delivery: Delivery) -> None:
        """Sends once; if the endpoint does not take it, later once more."""
        with self.world.lock:
            secrets = delivery.account.hidden[delivery.endpoint["id"]]["secrets"]
            delivery.state = "sending"
            body = json.dumps(delivery.event, indent=2, ensure_ascii=False).encode()
        # Receivers have the time of day, wherever the double's clock was put.
        at = int(time.time())
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": sign(secrets, body, at)}
        headers["User-Agent"] = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"
        try:
            status, error = post(delivery.endpoint["url"], body, headers, self.timeout), None
        except (OSError, http.client.HTTPException) as failure:
            status, error = None, type(failure).__name__
        with self.world.lock:
            delivery.attempts.append({"at": at, "status": status, "error": error})
            self._after(delivery, status)
            self.world.changed.notify_all()

    def _after(self, delivery: Delivery, status: int | None) -> None:
        gone = delivery.account.objects.get(delivery.endpoint["id"], {}).get("status") != "enabled"
        if status and 200 <= status < 300:
            delivery.state = "delivered"
            delivery.event["pending_webhooks"] = self._pending(delivery.event)
        elif gone or len(delivery.attempts) >= self.tries or delivery not in self.deliveries:
            delivery.state = "failed"
        else:
            delivery.state = "waiting"
            pause = self.unit * 2 ** len(delivery.attempts)
            self.world.at(self.world.now() + pause, lambda: self.pool.submit(self.attempt, delivery))

    def release(self, order: str | list[str], one_by_one: bool) -> list[Delivery]:
        """Sends what is held: in the order `made`, `reversed`, `shuffled`, or of given event ids, which leaves others held."""
        held = [delivery for delivery in self.deliveries if delivery.state == "held"]
        if isinstance(order, list):
            held = [delivery for id in order for delivery in held if delivery.event["id"] == id]
        elif order != "made":
            held = held[::-1] if order == "reversed" else random.sample(held, len(held))
        for delivery in held:
            delivery.state = "waiting"
        if one_by_one:
            self.pool.submit(lambda: [self.attempt(delivery) for delivery in held])
        else:
            for delivery in held:
                self.pool.submit(self.attempt, delivery)
        return held

    def wait(self, seconds: float) -> bool:
        """Whether all deliveries are done, or held, within some seconds."""
        with self.world.lock:
            return self.world.changed.wait_for(lambda: not any(d.state in RUNNING for d in self.deliveries), seconds)
