"""The control door, under `/_double/`: what tests do that Stripe's API cannot. JSON in, JSON out; see README.md."""

import dataclasses
import inspect
import json
import re
from collections.abc import Callable

from . import endpoints, payments
from .faults import Fault
from .forms import StripeError
from .http import Request, Response
from .webhooks import Delivery, Webhooks
from .world import Account, Key, World, new_id


class Control:
    """Answers requests under `/_double/`. `configured` are the accounts that are there at the start and after a reset."""

    def __init__(self, world: World, post: Webhooks, configured: list[dict] | None):
        self.world, self.post = world, post
        self.configured = configured or [{"name": "Demo seller", "keys": [{}, {"permissions": ["checkout_session_write", "event_read"]}]}]
        self._configure()

    def _configure(self) -> None:
        with self.world.lock:
            for account in self.configured:
                self.add_account(**account)
            # Keys and secrets that were made up stay what they are over a reset.
            self.configured = [self._shown(account, whole=True) for account in self.world.accounts.values()]

    def answer(self, request: Request) -> Response:
        try:
            for method, path, run in ROUTES:
                match = re.fullmatch(f"/_double/{path}", request.path)
                if match and method == request.method:
                    return Response.json(200, self._run(run, match.groups(), request))
            raise StripeError(404, f"{request.method} {request.path} is not at the control door")
        except StripeError as error:
            return Response.json(error.status, error.body)

    def _run(self, run: Callable, ids: tuple, request: Request) -> dict:
        # A page of another origin may send forms, but not this without being asked for by name.
        if request.body and request.headers.get("content-type") != "application/json":
            raise StripeError(415, "the control door takes application/json")
        try:
            given = json.loads(request.body or b"{}")
            bound = inspect.signature(run).bind(self, *ids, **given)
        except (ValueError, TypeError) as error:
            raise StripeError(400, f"not what {request.path} takes: {error}") from error
        if run is Control.wait:
            return run(*bound.args, **bound.kwargs)
        with self.world.lock:
            return run(*bound.args, **bound.kwargs)

    # ---- Accounts ------------------------------------------------------------------------------------------------------

    def show(self) -> dict:
        return {"base_url": self.world.base_url, "accounts": [self._shown(account) for account in self.world.accounts.values()]}

    def _shown(self, account: Account, whole: bool = False) -> dict:
        keys = [
            {"key": key.text} | ({} if key.permissions is None else {"permissions": sorted(key.permissions)})
            for key in account.keys.values()
        ]
        hooks = [
            {"url": made["url"], "secret": account.hidden[made["id"]]["secrets"][0], "enabled_events": made["enabled_events"]}
            | ({} if whole else {"id": made["id"]})
            for made in account.all("webhook_endpoint")
        ]
        return {"id": account.id, "name": account.name, "keys": keys, "webhook_endpoints": hooks}

    def add_account(self, name: str, id: str | None = None, keys: tuple | list = ({},), webhook_endpoints: tuple | list = ()) -> dict:
        account = Account(self.world, id or new_id("acct_1", 15), name)
        if account.id in self.world.accounts:
            raise StripeError(400, f"{account.id} is there already")
        self.world.accounts[account.id] = account
        for key in keys:
            self.add_key(account.id, **key)
        for endpoint in webhook_endpoints:
            endpoints.create_endpoint(account, **{"enabled_events": ["*"], **endpoint})
        return self._shown(account)

    def add_key(self, account_id: str, key: str | None = None, permissions: list[str] | None = None) -> dict:
        key = key or new_id("sk_test_" if permissions is None else "rk_test_", 40)
        restricted = None if permissions is None else frozenset(permissions)
        self._account(account_id).keys[key] = Key(key, restricted)
        return {"key": key, "permissions": permissions}

    def expire_key(self, key: str) -> dict:
        found = self.world.find_key(key)
        if found is None:
            raise StripeError(404, "no such key")
        found[1].expired = True
        return {"expired": True}

    def _account(self, id: str) -> Account:
        if id not in self.world.accounts:
            raise StripeError(404, f"no account is called {id}")
        return self.world.accounts[id]

    # ---- Faults and time -----------------------------------------------------------------------------------------------

    def add_fault(self, path: str, answer: int | str, when: str = "before", **more) -> dict:
        if not (isinstance(answer, int) and 400 <= answer < 600 or answer in ("reset", "timeout", "delay")) or when not in (
            "before",
            "after",
        ):
            raise StripeError(400, "answer is a status from 400 on, reset, timeout or delay; when is before or after")
        try:
            fault = Fault(path, answer, when=when, **more)
        except TypeError as error:
            raise StripeError(400, str(error)) from error
        self.world.faults.append(fault)
        return dataclasses.asdict(fault)

    def faults(self) -> dict:
        return {"data": [dataclasses.asdict(fault) for fault in self.world.faults]}

    def clear_faults(self) -> dict:
        self.world.faults.clear()
        return self.faults()

    def clock(self, advance: float = 0) -> dict:
        if advance < 0:
            raise StripeError(400, "time goes forwards")
        self.world.advance(advance)
        return {"now": int(self.world.now())}

    def reset(self) -> dict:
        self.world.clear()
        self._configure()
        return self.show()

    # ---- Money ---------------------------------------------------------------------------------------------------------

    def settle(self, id: str, success: str) -> dict:
        """Ends a delayed payment or a refund."""
        account = self.world.owner(id)
        made = account.objects[id]
        end = {"payment_intent": payments.settle, "refund": payments.end_refund}.get(made["object"])
        if end is None:
            raise StripeError(400, f"{id} is neither a payment intent nor a refund")
        end(account, made, success == "settle")
        return made

    def open_dispute(self, charge: str, amount: int | None = None, reason: str = "product_not_received", warning: bool = False) -> dict:
        """`charge` may be a payment intent's id too."""
        account = self.world.owner(charge)
        latest = account.objects[charge].get("latest_charge") or charge
        return payments.open_dispute(account, account.get("charge", latest), amount, reason, warning)

    def close_dispute(self, id: str, status: str) -> dict:
        if status not in ("won", "lost", "warning_closed"):
            raise StripeError(400, "a dispute is closed as won, lost or warning_closed")
        account = self.world.owner(id)
        payments.close_dispute(account, account.get("dispute", id), status)
        return account.objects[id]

    # ---- Webhooks ------------------------------------------------------------------------------------------------------

    def webhooks(
        self, hold: bool | None = None, copies: int | None = None, drop: list[str] | None = None, unit: float | None = None
    ) -> dict:
        """What becomes of deliveries from now on."""
        told = {"hold": hold, "copies": copies, "drop": drop, "unit": unit}
        for name, value in told.items():
            if value is not None:
                setattr(self.post, name, value)
        return {name: getattr(self.post, name) for name in told}

    def release(self, order: str | list[str] = "made", one_by_one: bool = True) -> dict:
        if not isinstance(order, list) and order not in ("made", "reversed", "shuffled"):
            raise StripeError(400, "order is made, reversed, shuffled or a list of event ids")
        return {"data": [delivery.shown() for delivery in self.post.release(order, one_by_one)]}

    def resend(self, id: str) -> dict:
        """Sends an event again, to the endpoints that want it now, whatever is held or dropped."""
        account = self.world.owner(id)
        event = account.get("event", id)
        wanting = [made for made in account.all("webhook_endpoint") if {"*", event["type"]} & set(made["enabled_events"])]
        for endpoint in wanting:
            self.post.queue(Delivery(account, event, endpoint, "waiting"))
        return {"endpoints": len(wanting)}

    def roll_secret(self, id: str, secret: str | None = None, overlap: float = 86400) -> dict:
        """Gives an endpoint a new secret; the old one goes on signing for some seconds."""
        account = self.world.owner(id)
        account.get("webhook_endpoint", id)
        hidden = account.hidden[id]
        hidden["secrets"] = [secret or new_id("whsec_", 32), hidden["secrets"][0]]
        self.world.at(self.world.now() + overlap, lambda: hidden["secrets"].__delitem__(slice(1, None)))
        self.world.run_due()
        return {"id": id, "secret": hidden["secrets"][0]}

    def deliveries(self) -> dict:
        return {"data": [delivery.shown() for delivery in self.post.deliveries]}

    def wait(self, seconds: float = 10) -> dict:
        if not self.post.wait(seconds):
            raise StripeError(504, f"deliveries are still under way after {seconds} s")
        return self.deliveries()


ID = "([^/]+)"
ROUTES = [
    ("GET", "", Control.show),
    ("POST", "reset", Control.reset),
    ("POST", "accounts", Control.add_account),
    ("POST", f"accounts/{ID}/keys", Control.add_key),
    ("DELETE", f"keys/{ID}", Control.expire_key),
    ("POST", "faults", Control.add_fault),
    ("GET", "faults", Control.faults),
    ("DELETE", "faults", Control.clear_faults),
    ("POST", "clock", Control.clock),
    ("POST", f"money/{ID}/(settle|fail)", Control.settle),
    ("POST", "disputes", Control.open_dispute),
    ("POST", f"disputes/{ID}/close", Control.close_dispute),
    ("POST", "webhooks", Control.webhooks),
    ("POST", "webhooks/release", Control.release),
    ("POST", f"webhook_endpoints/{ID}/secret", Control.roll_secret),
    ("POST", f"events/{ID}/resend", Control.resend),
    ("GET", "deliveries", Control.deliveries),
    ("POST", "wait", Control.wait),
]
