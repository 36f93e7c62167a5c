"""The double's state: connections with their tokens, documents, subscriptions, faults. One lock guards all of it."""

import dataclasses
import datetime
import re
import secrets
import threading
import time

from ..stripe.http import Response

KINDS = ("xero", "quickbooks", "business_central")
IDS = {"Contacts": "ContactID", "Invoices": "InvoiceID", "Payments": "PaymentID", "CreditNotes": "CreditNoteID"}
ACCESS_SECONDS = {"xero": 1800, "quickbooks": 3600, "business_central": 3599}


class Failure(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body, headers: dict[str, str] | None = None):
        super().__init__(status)
        self.response = Response.json(status, body, headers)


@dataclasses.dataclass(eq=False)
class Connection:
    """That a client may read an account. Without `refresh_token` it gets tokens for its own credentials."""

    kind: str
    account: str
    client_id: str
    client_secret: str
    refresh_token: str | None = None
    tenant: str | None = None
    environment: str | None = None
    grace: bool = True

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        self.refresh: list[str] = [self.refresh_token] if self.refresh_token else []
        self.access: dict[str, float] = {}

    def shown(self) -> dict:
        told = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return told | {"refresh_token": self.refresh[-1] if self.refresh else None}

    def grant(self) -> dict:
        """New tokens. Each refresh token is of one use; with grace those before it are still good, as they are for a while."""
        access = secrets.token_urlsafe(30)
        self.access[access] = time.time() + ACCESS_SECONDS[self.kind]
        told = {"access_token": access, "token_type": "Bearer", "expires_in": ACCESS_SECONDS[self.kind]}
        if self.refresh_token:
            self.refresh = (self.refresh[-1:] if self.grace else []) + [secrets.token_urlsafe(30)]
            told["refresh_token"] = self.refresh[-1]
        return told


class World:
    """Everything."""

    def __init__(self):
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        self.connections: list[Connection] = []
        self.documents: dict[tuple[str, str, str], dict[str, dict]] = {}
        # Of QuickBooks: (account, entity) and what is left of a document, which its change data capture tells of.
        self.deleted: dict[tuple[str, str], dict[str, dict]] = {}
        self.subscriptions: dict[str, dict] = {}
        self.faults: list[dict] = []
        self.requests: list[dict] = []

    def connect(self, connection: Connection) -> Connection:
        self.connections = [it for it in self.connections if (it.kind, it.account) != (connection.kind, connection.account)]
        self.connections.append(connection)
        return connection

    def of(self, kind: str, account: str, set: str) -> dict[str, dict]:
        return self.documents.setdefault((kind, account, set), {})

    def put(self, kind: str, account: str, set: str, document: dict) -> dict:
        """Puts a document in, whole; its time of change is its own."""
        id = document[IDS[set] if kind == "xero" else "Id" if kind == "quickbooks" else "id"]
        # The last one to change is the last in order of those of one time.
        self.of(kind, account, set).pop(id, None)
        self.of(kind, account, set)[id] = document
        self.deleted.get((account, set), {}).pop(id, None)
        return document

    def remove(self, kind: str, account: str, set: str, id: str) -> bool:
        found = self.of(kind, account, set).pop(id, None)
        if found and kind == "quickbooks":
            at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            left = {"domain": "QBO", "status": "Deleted", "Id": id, "MetaData": {"LastUpdatedTime": at}}
            self.deleted.setdefault((account, set), {})[id] = left
        return found is not None

    def holder(self, kind: str, bearer: str) -> Connection | None:
        """Whose access token it is, while it lasts."""
        token = bearer.removeprefix("Bearer ")
        holders = (it for it in self.connections if it.kind == kind)
        return next((it for it in holders if it.access.get(token, 0) > time.time()), None)

    def fault(self, path: str) -> dict | None:
        """The fault that is meant for a request, which uses it up."""
        for fault in self.faults:
            if path.startswith(fault["path"]):
                fault["times"] -= 1
                if fault["times"] < 1:
                    self.faults.remove(fault)
                return fault
        return None


def instant(text: str) -> float:
    """A time as ERPs write them, in Unix seconds."""
    if match := re.fullmatch(r"/Date\((\d+)([+-]\d{4})?\)/", text):
        return int(match[1]) / 1000
    at = datetime.datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()
