"""The endpoints of Stripe's API: what they take, and what they do."""

import dataclasses
import re
from collections.abc import Callable

from . import objects, payments
from .forms import (
    StripeError,
    chargeable,
    choice,
    currency,
    email,
    flag,
    invalid,
    merged,
    metadata,
    number,
    optional,
    text,
    url,
    when,
)
from .world import EVENT_SECONDS, Account, new_id


@dataclasses.dataclass(frozen=True)
class Route:
    """An endpoint: what it takes, and what does it, from the account, the ids in the path and the parameters."""

    method: str
    path: re.Pattern
    kind: str
    schema: dict
    run: Callable


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
    custom = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))
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
    # Looked up first: what is refused must leave nothing behind.
    method = _method(account, payment_method, payment_method_data) if payment_method or payment_method_data else None
    automatic = given.pop("automatic_payment_methods", None)
    if "payment_method_types" in given:
        given |= {"automatic_payment_methods": None, "payment_method_configuration_details": None}
    elif automatic:
        given["automatic_payment_methods"] = {"allow_redirects": "always", **automatic}
    intent = payments.create_intent(account, **given)
    if method:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return confirm_intent(account, intent["id"], return_url=return_url) if confirm else intent


def _method(account: Account, name: str | None, data: dict | None) -> dict:
    if data:
        billing = {**objects.billing_details(), **data.get("billing_details", {})}
        return payments.debit_method(account, data["sepa_debit"]["iban"], billing)
    if name in payments.TOKENS:
        return payments.card_method(account, payments.TOKENS[name], objects.billing_details())
    return account.get("payment_method", name, "payment_method", 400)


def confirm_intent(account: Account, id: str, *, payment_method=None, payment_method_data=None, return_url=None) -> dict:
    intent = _free_intent(account, id)
    name = payment_method or intent["payment_method"]
    if intent["status"] not in payments.CONFIRMABLE:
        raise payments.unexpected(intent, "be confirmed")
    if not name and not payment_method_data:
        raise payments.unexpected(intent, "be confirmed without a payment method")
    payments.confirm(account, intent, _method(account, name, payment_method_data), return_url)
    return intent


def _free_intent(account: Account, id: str) -> dict:
    """A payment intent that no open page works on."""
    intent = account.get("payment_intent", id)
    session = payments.session_of(account, intent)
    if session and session["status"] == "open":
        raise StripeError(400, "This PaymentIntent belongs to an open Checkout Session.", "payment_intent_unexpected_state")
    return intent


def cancel_intent(account: Account, id: str, *, cancellation_reason: str | None = None) -> dict:
    intent = _free_intent(account, id)
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
    "adaptive_pricing": {"enabled": flag},
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
