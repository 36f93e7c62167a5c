"""Stripe's API, version 1: who asks, idempotency keys, endpoints."""

import base64
import binascii
import copy
import dataclasses
import re
import urllib.parse
from collections.abc import Callable

from . import objects, payments
from .faults import faulty
from .forms import (
    StripeError, choice, chargeable, currency, email, flag, invalid, merged, metadata, number, optional, parse, read, text, url, when,
)  # fmt: skip
from .http import Lost, Request, Response
from .world import API_VERSION, EVENT_SECONDS, Account, Key, World, new_id

KEY_SECONDS = 86400
WORDS = {"checkout.session": "checkout_session", "webhook_endpoint": "webhook"}


@dataclasses.dataclass
class Kept:
    """What was asked for with an idempotency key, and what was answered, if it has been."""

    asked: tuple
    at: int
    response: Response | None = None


@dataclasses.dataclass(frozen=True)
class Route:
    """An endpoint: what it takes, and what does it, from the account, the ids in the path and the parameters."""

    method: str
    path: re.Pattern
    kind: str
    schema: dict
    run: Callable


class Api:
    """Answers requests under `/v1/`."""

    def __init__(self, world: World):
        self.world = world

    def answer(self, request: Request) -> Response | Lost:
        request_id = new_id("req_", 14)
        try:
            response = self._answer(request, request_id)
        except StripeError as error:
            response = failed(error)
        version = request.headers.get("stripe-version", API_VERSION)
        if isinstance(response, Response):
            told = {"Request-Id": request_id, "Stripe-Version": version, "Idempotency-Key": request.headers.get("idempotency-key")}
            response = Response(response.status, response.body, {**response.headers, **{k: v for k, v in told.items() if v}})
        return response

    def _answer(self, request: Request, request_id: str) -> Response | Lost:
        with self.world.lock:
            account, key = self._account(request)
            route, ids = _route(request)
            _permit(account, key, route, request.method)
            if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.\w+)?", request.headers.get("stripe-version", API_VERSION)):
                raise invalid("This is no version of the API", None)
            given = _parameters(request)
            fault = self.world.fault(request.method, request.path)
            name = request.headers.get("idempotency-key") if request.method == "POST" else None
            kept = self._begin(account, name, (request.path, given)) if name else None
        if kept and kept.response:
            return kept.response

        def execute() -> Response:
            with self.world.lock:
                self.world.request = (request_id, name)
                try:
                    return self._execute(account, route, ids, given)
                finally:
                    self.world.request = (None, None)

        if kept is None:
            return faulty(fault, execute)
        try:
            return faulty(fault, execute, lambda response: self._keep(kept, response, request_id))
        finally:
            with self.world.lock:
                if kept.response is None:
                    account.answers.pop(name, None)

    def _account(self, request: Request) -> tuple[Account, Key]:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                credentials = base64.b64decode(credentials).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                credentials = ""
        if not credentials:
            raise StripeError(401, "No API key was given: send it as `Authorization: Bearer`.")
        found = self.world.find_key(credentials)
        if found is None:
            raise StripeError(401, f"Invalid API key: {credentials[:8]}****{credentials[-4:]}")
        account, key = found
        if key.expired:
            raise StripeError(401, f"Expired API key: {credentials[:8]}****{credentials[-4:]}", "api_key_expired")
        if request.headers.get("stripe-account", account.id) != account.id:
            raise StripeError(403, "The API key has no access to this account.", "account_invalid")
        return account, key

    def _begin(self, account: Account, name: str, asked: tuple) -> Kept:
        if len(name) > 255:
            raise invalid("An idempotency key has at most 255 characters", None)
        kept = account.answers.get(name)
        if kept is None or kept.at <= account.now() - KEY_SECONDS:
            account.answers[name] = Kept(asked, account.now())
            return account.answers[name]
        if kept.asked != asked:
            raise StripeError(400, f"The idempotency key {name} was first used with other parameters.", kind="idempotency_error")
        if kept.response is None:
            raise StripeError(409, f"Another request with the idempotency key {name} is running.", "idempotency_key_in_use")
        return kept

    def _keep(self, kept: Kept, response: Response, request_id: str) -> None:
        told = {"Idempotent-Replayed": "true", "Original-Request": request_id}
        if response.status >= 500:
            told["Stripe-Should-Retry"] = "false"
        with self.world.lock:
            kept.response = Response(response.status, response.body, {**response.headers, **told})

    def _execute(self, account: Account, route: Route, ids: tuple, given: dict) -> Response:
        try:
            expand = [text(path, "expand") for path in _expand(given)]
            values = read(route.schema, {name: value for name, value in given.items() if name != "expand"})
            found = route.run(account, *ids, **values)
            return Response.json(200, expanded(account, found, expand))
        except StripeError as error:
            return failed(error)


def failed(error: StripeError) -> Response:
    retry = {"Stripe-Should-Retry": "true"} if error.status == 409 else {}
    return Response.json(error.status, error.body, retry, kept=error.kept)


def _route(request: Request) -> tuple[Route, tuple]:
    for route in ROUTES:
        if route.method == request.method and (match := route.path.fullmatch(request.path)):
            return route, tuple(map(urllib.parse.unquote, match.groups()))
    raise StripeError(404, f"Unrecognized request URL ({request.method}: {request.path}).", kept=False)


def _permit(account: Account, key: Key, route: Route, method: str) -> None:
    word = WORDS.get(route.kind, route.kind)
    enough = {f"{word}_write"} if method != "GET" else {f"{word}_write", f"{word}_read"}
    if key.permissions is not None and not enough & key.permissions:
        needed = f"rak_{word}_{'read' if method == 'GET' else 'write'}"
        raise StripeError(403, f"The key {key.text[:8]}**** has not the permission {needed} on account {account.id}.")


def _parameters(request: Request) -> dict:
    if request.body and "application/x-www-form-urlencoded" not in request.headers.get("content-type", ""):
        raise invalid("Parameters are sent as application/x-www-form-urlencoded", None)
    try:
        body = request.body.decode()
    except UnicodeDecodeError as error:
        raise invalid("Parameters are UTF-8", None) from error
    return parse("&".join(filter(None, (request.query, body))))


def _expand(given: dict) -> list[str]:
    asked = given.get("expand", {})
    return list(asked.values()) if isinstance(asked, dict) else [asked]


def expanded(account: Account, shown: dict, paths: list[str]) -> dict:
    """A copy in which ids are the objects that they name, along paths such as `data.payment_intent.latest_charge`."""
    shown = copy.deepcopy(shown)
    for path in paths:
        nodes = [shown]
        for name in path.split("."):
            nodes = [inner for node in nodes for inner in _expanded(account, node, name, path)]
    return shown


def _expanded(account: Account, node: dict, name: str, path: str) -> list:
    if name == "line_items" and node.get("object") == "checkout.session":
        node[name] = listed(f"/v1/checkout/sessions/{node['id']}/line_items", account.hidden[node["id"]]["items"], 10)
    elif name not in node:
        raise invalid(f"This property cannot be expanded ({path})", "expand")
    value = node[name]
    if isinstance(value, str) and value in account.objects:
        value = node[name] = copy.deepcopy(account.objects[value])
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def listed(path: str, found: list[dict], limit: int = 10, starting_after: str = "", ending_before: str = "") -> dict:
    """A page of a list: https://docs.stripe.com/api/pagination."""
    ids = [made["id"] for made in found]
    for name, cursor in (("starting_after", starting_after), ("ending_before", ending_before)):
        if cursor and cursor not in ids:
            raise StripeError(400, f"No such object: '{cursor}'", "resource_missing", name, kept=False)
    if starting_after and ending_before:
        raise invalid("Only one of starting_after and ending_before can be given", "ending_before")
    rest = found[ids.index(starting_after) + 1 :] if starting_after else found
    if ending_before:
        rest = found[: ids.index(ending_before)]
        return {"object": "list", "data": rest[-limit:], "has_more": len(rest) > limit, "url": path}
    return {"object": "list", "data": rest[:limit], "has_more": len(rest) > limit, "url": path}


# ---- What endpoints do -------------------------------------------------------------------------------------------------


def create_session(account: Account, *, line_items: list, payment_intent_data: dict | None = None, **given) -> dict:
    money = line_items[0]["price_data"]["currency"]
    if any(item["price_data"]["currency"] != money for item in line_items) or given.pop("currency", money) != money:
        raise invalid("All line items must have one currency", "line_items")
    items = [objects.line_item(money, item["price_data"], item.get("quantity", 1)) for item in line_items]
    total = sum(item["amount_total"] for item in items)
    chargeable(total, money, "line_items")
    now = account.now()
    given.setdefault("expires_at", now + 86400)
    if not now + 1800 - 60 <= given["expires_at"] <= now + 86400 + 60:
        raise invalid("A session expires between 30 minutes and 24 hours after it was made", "expires_at")
    kinds = given.setdefault("payment_method_types", ["card", "sepa_debit"] if money == "eur" else ["card"])
    if "sepa_debit" in kinds and money != "eur":
        raise invalid("sepa_debit takes eur only", "payment_method_types")
    payer = given.get("customer_email")
    if given.get("customer"):
        payer = account.get("customer", given["customer"], "customer", 400)["email"]
        if "customer_email" in given or "customer_creation" in given:
            raise invalid("With customer, neither customer_email nor customer_creation can be given", "customer")
    elif "customer_creation" not in given:
        given["customer_creation"] = "if_required"
    custom = {name: None for name in ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")}
    given["custom_text"] = custom | given.get("custom_text", {})
    given["metadata"] = merged({}, given.get("metadata"))
    made = objects.session(account, total, currency=money, customer_details=payer and payments.session_payer(payer), **given)
    made["url"] = f"{account.world.base_url}/c/pay/{made['id']}"
    intent = dict(payment_intent_data or {})
    intent["metadata"] = merged({}, intent.get("metadata"))
    account.add(made, items=items, intent=intent)
    account.world.at(made["expires_at"], lambda: made["status"] == "open" and payments.expire(account, made))
    return made


def expire_session(account: Account, id: str) -> dict:
    session = account.get("checkout.session", id)
    if session["status"] != "open":
        raise StripeError(400, f"Only open sessions can be expired; this one is {session['status']}.")
    payments.expire(account, session)
    return session


def line_items(account: Account, id: str, **page) -> dict:
    account.get("checkout.session", id)
    return listed(f"/v1/checkout/sessions/{id}/line_items", account.hidden[id]["items"], **page)


def create_intent(account: Account, *, confirm=False, off_session=False, payment_method=None, payment_method_data=None, return_url=None,
                  **given) -> dict:  # fmt: skip
    chargeable(given["amount"], given["currency"], "amount")
    if given.get("customer"):
        account.get("customer", given["customer"], "customer", 400)
    given["metadata"] = merged({}, given.get("metadata"))
    automatic = given.pop("automatic_payment_methods", None)
    if "payment_method_types" in given:
        given |= {"automatic_payment_methods": None, "payment_method_configuration_details": None}
    elif automatic:
        given["automatic_payment_methods"] = {"allow_redirects": "always", **automatic}
    intent = payments.create_intent(account, **given)
    if payment_method or payment_method_data:
        intent |= {"payment_method": _method(account, payment_method, payment_method_data)["id"], "status": "requires_confirmation"}
    return confirm_intent(account, intent["id"], return_url=return_url) if confirm else intent


def _method(account: Account, name: str | None, data: dict | None) -> dict:
    if data:
        billing = {**objects.billing_details(), **data.get("billing_details", {})}
        return payments.debit_method(account, data["sepa_debit"]["iban"], billing)
    if name in payments.TOKENS:
        return payments.card_method(account, payments.TOKENS[name], objects.billing_details())
    return account.get("payment_method", name, "payment_method", 400)


def confirm_intent(account: Account, id: str, *, payment_method=None, payment_method_data=None, return_url=None) -> dict:
    intent = account.get("payment_intent", id)
    name = payment_method or intent["payment_method"]
    if intent["status"] not in payments.CONFIRMABLE:
        raise payments.unexpected(intent, "be confirmed")
    if not name and not payment_method_data:
        raise payments.unexpected(intent, "be confirmed without a payment method")
    payments.confirm(account, intent, _method(account, name, payment_method_data), return_url)
    return intent


def cancel_intent(account: Account, id: str, *, cancellation_reason: str | None = None) -> dict:
    intent = account.get("payment_intent", id)
    session = payments.session_of(account, intent)
    if session and session["status"] == "open":
        raise StripeError(400, "This PaymentIntent belongs to a Checkout Session: expire that.", "payment_intent_unexpected_state")
    payments.cancel(account, intent, cancellation_reason)
    return intent


def capture_intent(account: Account, id: str, *, amount_to_capture: int | None = None) -> dict:
    intent = account.get("payment_intent", id)
    payments.capture(account, intent, amount_to_capture)
    return intent


def create_refund(account: Account, *, charge=None, payment_intent=None, amount=None, reason=None, metadata=None) -> dict:
    if not charge and not payment_intent:
        raise invalid("One of charge and payment_intent must be given", "payment_intent", "parameter_missing")
    if payment_intent:
        latest = account.get("payment_intent", payment_intent, "payment_intent", 400)["latest_charge"]
        if charge not in (None, latest) or not latest:
            raise StripeError(400, f"PaymentIntent {payment_intent} has no such charge.", param="payment_intent")
        charge = latest
    return payments.refund(account, account.get("charge", charge, "charge", 400), amount, reason, merged({}, metadata))


def create_customer(account: Account, *, metadata=None, **given) -> dict:
    made = account.add(objects.customer(account, metadata=merged({}, metadata), **_with_address(given)))
    account.emit("customer.created", made)
    return made


def update_customer(account: Account, id: str, *, metadata=None, **given) -> dict:
    made = account.get("customer", id)
    previous = account.change(made, metadata=merged(made["metadata"], metadata), **_with_address(given))
    if previous:
        account.emit("customer.updated", made, previous)
    return made


def _with_address(given: dict) -> dict:
    return given | ({"address": objects.NO_ADDRESS | given["address"]} if "address" in given else {})


def delete_customer(account: Account, id: str) -> dict:
    made = account.get("customer", id)
    del account.objects[id]
    account.emit("customer.deleted", made)
    return {"id": id, "object": "customer", "deleted": True}


def create_endpoint(account: Account, *, metadata=None, secret: str | None = None, **given) -> dict:
    made = objects.webhook_endpoint(account, metadata=merged({}, metadata), **given)
    secret = secret or new_id("whsec_", 32)
    account.add(made, secrets=[secret])
    return {**made, "secret": secret}


def update_endpoint(account: Account, id: str, *, metadata=None, disabled: bool | None = None, **given) -> dict:
    made = account.get("webhook_endpoint", id)
    status = {} if disabled is None else {"status": "disabled" if disabled else "enabled"}
    account.change(made, metadata=merged(made["metadata"], metadata), **status, **given)
    return made


def delete_endpoint(account: Account, id: str) -> dict:
    account.get("webhook_endpoint", id)
    del account.objects[id]
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def show_account(account: Account) -> dict:
    settings = {"dashboard": {"display_name": account.name, "timezone": "Etc/UTC"}}
    return {
        "id": account.id, "object": "account", "business_profile": {"name": account.name}, "charges_enabled": True, "country": "DE",
        "default_currency": "eur", "details_submitted": True, "payouts_enabled": True, "settings": settings, "type": "standard",
    }  # fmt: skip


# ---- Endpoints ---------------------------------------------------------------------------------------------------------

PAGE = {"limit": number(1, 100), "starting_after": text, "ending_before": text}
PRICE = {"currency*": currency, "unit_amount*": number(0), "product_data*": {"name*": text, "description": text, "metadata": metadata}}
BOUNDS = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
CAPTURE = choice("automatic", "automatic_async", "manual")
INTENT = {"description": optional, "metadata": metadata, "receipt_email": email}
ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), optional)
CUSTOMER = {"name": optional, "email": email, "phone": optional, "description": optional, "address": ADDRESS, "metadata": metadata}
CUSTOMER |= {"preferred_locales": [text]}
METHODS = [choice("card", "sepa_debit")]
METHOD = {"type*": choice("sepa_debit"), "sepa_debit*": {"iban*": text}, "billing_details": {"name": text, "email": email}}
CONFIRM = {"payment_method": text, "payment_method_data": METHOD, "return_url": url}
ENDPOINT = {"description": optional, "metadata": metadata}

SESSION = {
    "mode*": choice("payment"), "success_url*": url, "cancel_url": url, "currency": currency,
    "line_items*": [{"price_data*": PRICE, "quantity": number(1, 999_999)}],
    "payment_intent_data": {**INTENT, "capture_method": CAPTURE}, "payment_method_types": METHODS, "metadata": metadata,
    "customer": text, "customer_email": email, "customer_creation": choice("always", "if_required"), "client_reference_id": text,
    "expires_at": number(0), "locale": text, "submit_type": choice("auto", "book", "donate", "pay"),
    "billing_address_collection": choice("auto", "required"), "ui_mode": choice("hosted", "hosted_page"),
    "custom_text": {"submit": {"message*": text}, "after_submit": {"message*": text}},
}  # fmt: skip


def _update(kind: str) -> Callable:
    def run(account: Account, id: str, *, metadata=None, **given) -> dict:
        made = account.get(kind, id)
        made |= {**given, "metadata": merged(made["metadata"], metadata)}
        return made

    return run


def _listing(kind: str, path: str) -> Callable:
    def run(account: Account, *, created: dict | None = None, types: list | None = None, limit: int = 10, starting_after: str = "",
            ending_before: str = "", **wanted) -> dict:  # fmt: skip
        found = [made for made in account.all(kind) if all(made[name] == value for name, value in wanted.items())]
        if kind == "event":
            found = [made for made in found if made["created"] > account.now() - EVENT_SECONDS]
        if types:
            found = [made for made in found if made["type"] in types]
        for name, bound in (created or {}).items():
            found = [made for made in found if BOUNDS[name](made["created"], bound)]
        return listed(path, found, limit, starting_after, ending_before)

    return run


def _reading(kind: str, path: str, **filters) -> list[tuple]:
    """The endpoints that show one object of a kind and a list of them."""
    one = ("GET", path + "/{id}", kind, {}, lambda account, id: account.get(kind, id))
    return [one, ("GET", path, kind, {**PAGE, "created": when, **filters}, _listing(kind, path))]


TABLE = [
    ("POST", "/v1/checkout/sessions", "checkout.session", SESSION, create_session),
    ("POST", "/v1/checkout/sessions/{id}", "checkout.session", {"metadata": metadata}, _update("checkout.session")),
    ("POST", "/v1/checkout/sessions/{id}/expire", "checkout.session", {}, expire_session),
    ("GET", "/v1/checkout/sessions/{id}/line_items", "checkout.session", PAGE, line_items),
    *_reading("checkout.session", "/v1/checkout/sessions", payment_intent=text, customer=text, status=text),
    ("POST", "/v1/payment_intents", "payment_intent", {
        "amount*": number(1), "currency*": currency, "customer": text, "confirm": flag, "capture_method": CAPTURE,
        "payment_method_types": METHODS, "off_session": flag, **CONFIRM, **INTENT,
        "automatic_payment_methods": {"enabled*": flag, "allow_redirects": choice("always", "never")},
    }, create_intent),
    ("POST", "/v1/payment_intents/{id}", "payment_intent", INTENT, _update("payment_intent")),
    ("POST", "/v1/payment_intents/{id}/confirm", "payment_intent", CONFIRM, confirm_intent),
    ("POST", "/v1/payment_intents/{id}/cancel", "payment_intent", {
        "cancellation_reason": choice("duplicate", "fraudulent", "requested_by_customer", "abandoned"),
    }, cancel_intent),
    ("POST", "/v1/payment_intents/{id}/capture", "payment_intent", {"amount_to_capture": number(1)}, capture_intent),
    *_reading("payment_intent", "/v1/payment_intents", customer=text),
    ("POST", "/v1/refunds", "refund", {
        "charge": text, "payment_intent": text, "amount": number(1), "metadata": metadata,
        "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
    }, create_refund),
    ("POST", "/v1/refunds/{id}", "refund", {"metadata": metadata}, _update("refund")),
    *_reading("refund", "/v1/refunds", charge=text, payment_intent=text),
    *_reading("charge", "/v1/charges", payment_intent=text, customer=text),
    *_reading("dispute", "/v1/disputes", charge=text, payment_intent=text),
    ("POST", "/v1/customers", "customer", CUSTOMER, create_customer),
    ("POST", "/v1/customers/{id}", "customer", CUSTOMER, update_customer),
    ("DELETE", "/v1/customers/{id}", "customer", {}, delete_customer),
    *_reading("customer", "/v1/customers", email=text),
    *_reading("event", "/v1/events", type=text, types=[text]),
    ("POST", "/v1/webhook_endpoints", "webhook_endpoint", {
        "url*": url, "enabled_events*": [text], "api_version": text, **ENDPOINT,
    }, create_endpoint),
    ("POST", "/v1/webhook_endpoints/{id}", "webhook_endpoint", {
        "url": url, "enabled_events": [text], "disabled": flag, **ENDPOINT,
    }, update_endpoint),
    ("DELETE", "/v1/webhook_endpoints/{id}", "webhook_endpoint", {}, delete_endpoint),
    *_reading("webhook_endpoint", "/v1/webhook_endpoints"),
    ("GET", "/v1/account", "account", {}, show_account),
]  # fmt: skip
ROUTES = [Route(method, re.compile(path.replace("{id}", "([^/]+)")), kind, schema, run) for method, path, kind, schema, run in TABLE]
