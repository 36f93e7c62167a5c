"""The double's state: accounts with their objects, one clock, and what is due on it. One lock guards all of it."""

import copy
import dataclasses
import heapq
import itertools
import secrets
import string
import threading
import time
from collections.abc import Callable

from .faults import Fault
from .forms import StripeError

API_VERSION = "2025-09-30.clover"
EVENT_SECONDS = 30 * 86400
LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """An id as Stripe makes them."""
    return prefix + "".join(secrets.choice(LETTERS) for _ in range(length))


@dataclasses.dataclass
class Key:
    """An API key. `permissions` are those of a restricted one, such as `checkout_session_write`; None may all."""

    text: str
    permissions: frozenset[str] | None = None
    expired: bool = False


class Account:
    """A seller's account: its objects by id, and beside them what Stripe knows of an object but does not show."""

    def __init__(self, world: "World", id: str, name: str):
        self.world, self.id, self.name = world, id, name
        self.keys: dict[str, Key] = {}
        self.objects: dict[str, dict] = {}
        self.hidden: dict[str, dict] = {}
        self.answers: dict[str, object] = {}

    def now(self) -> int:
        return int(self.world.now())

    def add(self, made: dict, **hidden) -> dict:
        self.objects[made["id"]] = made
        self.hidden[made["id"]] = hidden
        return made

    def get(self, kind: str, id: str, param: str = "id", status: int = 404) -> dict:
        """An object; not there, it is Stripe's error."""
        found = self.objects.get(id)
        if found is None or found["object"] != kind:
            raise StripeError(status, f"No such {kind}: '{id}'", "resource_missing", param, kept=False)
        return found

    def all(self, kind: str) -> list[dict]:
        """Objects of a kind, newest first."""
        return [made for made in reversed(self.objects.values()) if made["object"] == kind]

    def emit(self, kind: str, about: dict, previous: dict | None = None) -> None:
        """Makes an event about an object as it is now, and sends it."""
        request_id, key = self.world.request
        data = {"object": copy.deepcopy(about)} | ({"previous_attributes": previous} if previous else {})
        event = self.add({
            "id": new_id("evt_1" if request_id is None else "evt_3", 23), "object": "event", "api_version": API_VERSION,
            "created": self.now(), "data": data, "livemode": False, "pending_webhooks": 0,
            "request": {"id": request_id, "idempotency_key": key}, "type": kind,
        })  # fmt: skip
        self.world.post.send(self, event)

    def change(self, about: dict, **fields) -> dict:
        """Changes fields of an object; gives those that differ as they were."""
        previous = {name: copy.deepcopy(about[name]) for name, value in fields.items() if about[name] != value}
        about |= fields
        return previous


class World:
    """Everything. `post` is how events leave: an object with `send(account, event)` and `reset()`."""

    def __init__(self, post):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.post, self.base_url = post, ""
        self.request: tuple[str | None, str | None] = (None, None)
        self.number = itertools.count()
        self.stopped = False
        self.clear()

    def clear(self) -> None:
        """Nothing is there and nothing is due, at the present time."""
        with self.lock:
            self.offset = 0.0
            self.accounts: dict[str, Account] = {}
            self.faults: list[Fault] = []
            self.agenda: list[tuple[float, int, Callable[[], None]]] = []
            self.post.reset()
            self.changed.notify_all()

    def now(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += seconds
        self.run_due()

    def at(self, due: float, action: Callable[[], None]) -> None:
        """Has something done at a time of this clock, under the lock."""
        heapq.heappush(self.agenda, (due, next(self.number), action))
        self.changed.notify_all()

    def run_due(self) -> None:
        while self.agenda and self.agenda[0][0] <= self.now():
            heapq.heappop(self.agenda)[2]()
        self.changed.notify_all()

    def keep_time(self) -> None:
        """Does what is due when it is due, until the end."""
        with self.lock:
            while not self.stopped:
                self.run_due()
                self.changed.wait(max(0.0, self.agenda[0][0] - self.now()) if self.agenda else None)

    def find_key(self, text: str) -> tuple[Account, Key] | None:
        return next(((account, account.keys[text]) for account in self.accounts.values() if text in account.keys), None)

    def owner(self, id: str) -> Account:
        """The account of an object."""
        for account in self.accounts.values():
            if id in account.objects:
                return account
        raise StripeError(404, f"nothing here is called {id}")

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that is meant for a request, which uses it up."""
        for fault in self.faults:
            if path.startswith(fault.path) and fault.method in ("", method):
                fault.times -= 1
                if fault.times < 1:
                    self.faults.remove(fault)
                return fault
        return None
