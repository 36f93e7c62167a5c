"""What happens to money: tries to pay, delayed payments, captures, refunds, disputes, and what sessions make of it."""

from collections.abc import Callable

from . import objects
from .forms import StripeError, doc_url, invalid
from .world import Account

# Stripe's test cards (https://docs.stripe.com/testing): brand, and what their bank does if it does not simply pay.
CARDS = {
    "4242424242424242": ("visa", None),
    "5555555555554444": ("mastercard", None),
    "4000002760000016": ("visa", None),
    "4000002500003155": ("visa", "authenticate"),
    "4000000000000002": ("visa", "generic_decline"),
    "4000000000009995": ("visa", "insufficient_funds"),
    "4000000000000069": ("visa", "expired_card"),
    "4000000000000127": ("visa", "incorrect_cvc"),
    "4000000000000119": ("visa", "processing_error"),
}
TOKENS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_authenticationRequired": "4000002500003155",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
}
OWN_CODES = ("expired_card", "incorrect_cvc", "processing_error")
CANCELLABLE = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture")
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


def card_method(account: Account, number: str, billing: dict, month: int = 12, year: int = 2034) -> dict:
    """A payment method from a card number, which is not kept."""
    brand, outcome = CARDS.get(number, ("unknown", "test_mode_live_card"))
    about = objects.card(brand, number, month, year)
    return account.add(objects.payment_method(account, {"type": "card", "about": about}, billing), outcome=outcome)


def debit_method(account: Account, iban: str, billing: dict) -> dict:
    """A payment method that takes days, from a bank account."""
    about = {"bank_code": iban[4:12], "branch_code": "", "country": iban[:2], "fingerprint": f"Double{iban[-4:]}", "last4": iban[-4:]}
    return account.add(objects.payment_method(account, {"type": "sepa_debit", "about": about}, billing), outcome="delay")


def unexpected(intent: dict, what: str) -> StripeError:
    message = f"This PaymentIntent cannot {what}: its status is {intent['status']}."
    return StripeError(400, message, "payment_intent_unexpected_state", payment_intent=dict(intent))


def create_intent(account: Account, **given) -> dict:
    intent = account.add(objects.payment_intent(account, **given))
    account.emit("payment_intent.created", intent)
    return intent


def confirm(account: Account, intent: dict, method: dict, return_url: str | None) -> None:
    """One try to pay. A card that is declined is Stripe's error 402."""
    if intent["status"] not in CONFIRMABLE:
        raise unexpected(intent, "be confirmed")
    intent |= {"payment_method": method["id"], "last_payment_error": None, "next_action": None}
    outcome = account.hidden[method["id"]]["outcome"]
    if outcome == "authenticate":
        step = {"return_url": return_url, "url": f"{account.world.base_url}/authenticate/{intent['id']}"}
        intent |= {"status": "requires_action", "next_action": {"redirect_to_url": step, "type": "redirect_to_url"}}
        account.emit("payment_intent.requires_action", intent)
    elif outcome == "delay":
        charge = _charge(account, intent, method, "pending")
        intent["status"] = "processing"
        account.emit("charge.pending", charge)
        account.emit("payment_intent.processing", intent)
        _tell_session(account, intent)
    elif outcome:
        raise decline(account, intent, outcome)
    else:
        pay(account, intent)


def authenticate(account: Account, intent: dict, success: bool) -> None:
    """The end of a 3-D Secure step."""
    if intent["status"] != "requires_action":
        raise unexpected(intent, "be authenticated")
    intent["next_action"] = None
    if success:
        pay(account, intent)
    else:
        message = "The payer was not authenticated; another payment method is needed."
        _give_up(account, intent, {"code": "payment_intent_authentication_failure", "message": message, "type": "invalid_request_error"})


def pay(account: Account, intent: dict) -> None:
    """The money is there, or reserved where it is to be captured later."""
    manual = intent["capture_method"] == "manual"
    charge = _charge(account, intent, account.objects[intent["payment_method"]], "succeeded", captured=not manual)
    account.emit("charge.succeeded", charge)
    if manual:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        account.emit("payment_intent.amount_capturable_updated", intent)
        _tell_session(account, intent)
    else:
        _succeed(account, intent, intent["amount"])


def _charge(account: Account, intent: dict, method: dict, status: str, captured: bool = False, error: dict | None = None) -> dict:
    charge = account.add(objects.charge(account, intent, method, status, captured, error))
    intent["latest_charge"] = charge["id"]
    return charge


def _succeed(account: Account, intent: dict, amount: int) -> None:
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    account.emit("payment_intent.succeeded", intent)
    _tell_session(account, intent)


def decline(account: Account, intent: dict, reason: str) -> StripeError:
    """A declined card: a failed charge, and the error that says so."""
    code = reason if reason in OWN_CODES else "card_declined"
    why = "" if reason == "generic_decline" else f": {reason.replace('_', ' ')}"
    error = {"code": code, "decline_code": reason, "message": f"The card was declined{why}.", "type": "card_error"}
    charge = _charge(account, intent, account.objects[intent["payment_method"]], "failed", error=error)
    account.emit("charge.failed", charge)
    method = _give_up(account, intent, error | {"charge": charge["id"]})
    more = {"charge": charge["id"], "decline_code": reason, "payment_intent": dict(intent), "payment_method": method}
    return StripeError(402, error["message"], code, kind="card_error", **more)


def _give_up(account: Account, intent: dict, error: dict) -> dict:
    method = account.objects[intent["payment_method"]]
    more = {"advice_code": None, "doc_url": doc_url(error["code"]), "network_decline_code": None, "payment_method": method}
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": {**error, **more}}
    account.emit("payment_intent.payment_failed", intent)
    return method


def settle(account: Account, intent: dict, success: bool) -> None:
    """The end of a delayed payment."""
    if intent["status"] != "processing":
        raise unexpected(intent, "be settled")
    charge = account.objects[intent["latest_charge"]]
    if success:
        charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
        charge["balance_transaction"] = objects.new_id("txn_3", 23)
        account.emit("charge.succeeded", charge)
        _succeed(account, intent, intent["amount"])
    else:
        code, message = "payment_intent_payment_attempt_failed", "The bank account could not be debited."
        charge |= {"status": "failed", "failure_code": code, "failure_message": message}
        account.emit("charge.failed", charge)
        _give_up(account, intent, {"code": code, "message": message, "type": "invalid_request_error", "charge": charge["id"]})
        _tell_session(account, intent)


def capture(account: Account, intent: dict, amount: int | None) -> None:
    if intent["status"] != "requires_capture":
        raise unexpected(intent, "be captured")
    amount = intent["amount_capturable"] if amount is None else amount
    if amount > intent["amount_capturable"]:
        raise invalid("More than what is capturable", "amount_to_capture", "amount_too_large")
    charge = account.objects[intent["latest_charge"]]
    charge |= {"captured": True, "amount_captured": amount, "balance_transaction": objects.new_id("txn_3", 23)}
    account.emit("charge.captured", charge)
    _succeed(account, intent, amount)


def cancel(account: Account, intent: dict, reason: str | None) -> None:
    if intent["status"] not in CANCELLABLE:
        raise unexpected(intent, "be canceled")
    intent |= {
        "status": "canceled",
        "canceled_at": account.now(),
        "cancellation_reason": reason,
        "amount_capturable": 0,
        "next_action": None,
    }
    account.emit("payment_intent.canceled", intent)


# ---- Sessions ----------------------------------------------------------------------------------------------------------


def session_of(account: Account, intent: dict) -> dict | None:
    """The session that made an intent."""
    return next((made for made in account.all("checkout.session") if made["payment_intent"] == intent["id"]), None)


def _tell_session(account: Account, intent: dict) -> None:
    session = session_of(account, intent)
    if session is None:
        return
    paid = intent["status"] == "succeeded"
    if session["status"] == "open":
        billing = account.objects[intent["payment_method"]]["billing_details"]
        if session["customer_creation"] == "always":
            session["customer"] = intent["customer"] = _guest(account, billing)["id"]
        session |= {"status": "complete", "url": None, "payment_status": "paid" if paid else "unpaid"}
        session["customer_details"] = session_payer(billing["email"], billing["name"], billing["address"])
        account.emit("checkout.session.completed", session)
    elif paid and intent["capture_method"] == "manual":
        session["payment_status"] = "paid"
    else:
        session["payment_status"] = "paid" if paid else "unpaid"
        account.emit(f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}", session)


def _guest(account: Account, billing: dict) -> dict:
    made = account.add(objects.customer(account, email=billing["email"], name=billing["name"]))
    account.emit("customer.created", made)
    return made


def session_payer(email: str | None, name: str | None = None, address: dict | None = None) -> dict:
    return {"address": address, "business_name": None, "email": email, "individual_name": None, "name": name, "phone": None,
            "tax_exempt": "none", "tax_ids": [] if name else None}  # fmt: skip


def pay_session(account: Account, session: dict, make_method: Callable[[], dict]) -> None:
    """One try to pay a session, with the payment method that is made if it is still open."""
    if session["status"] != "open":
        return
    given = account.hidden[session["id"]]["intent"]
    intent = account.objects.get(session["payment_intent"]) or create_intent(
        account, amount=session["amount_total"], currency=session["currency"], customer=session["customer"],
        payment_method_types=session["payment_method_types"], **given,
    )  # fmt: skip
    session["payment_intent"] = intent["id"]
    confirm(account, intent, make_method(), session["url"])


def expire(account: Account, session: dict) -> None:
    """Closes an open session."""
    session |= {"status": "expired", "url": None}
    intent = account.objects.get(session["payment_intent"])
    if intent:
        cancel(account, intent, "expired")
    account.emit("checkout.session.expired", session)


# ---- Refunds and disputes ----------------------------------------------------------------------------------------------


def dispute_of(account: Account, charge: dict) -> dict | None:
    """The latest dispute about a charge."""
    return next((made for made in account.all("dispute") if made["charge"] == charge["id"]), None)


def refund(account: Account, charge: dict, amount: int | None, reason: str | None, metadata: dict) -> dict:
    """Gives money back, never more than is left."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    dispute = dispute_of(account, charge)
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise StripeError(400, f"Charge {charge['id']} has not been paid.", param="charge")
    if dispute and dispute["status"] in ("needs_response", "under_review", "lost"):
        raise StripeError(400, f"Charge {charge['id']} has been charged back.", "charge_disputed")
    if not left:
        raise StripeError(400, f"Charge {charge['id']} has been refunded already.", "charge_already_refunded")
    if amount is not None and amount > left:
        raise StripeError(400, f"Only {left} of charge {charge['id']} is left to refund, not {amount}.", param="amount")
    at_once = charge["payment_method_details"]["type"] == "card"
    made = objects.refund(account, charge, left if amount is None else amount, "succeeded" if at_once else "pending", reason, metadata)
    account.add(made)
    account.emit("refund.created", made)
    _refunded(account, charge, made["amount"])
    return made


def _refunded(account: Account, charge: dict, amount: int) -> None:
    refunded = charge["amount_refunded"] + amount
    previous = account.change(charge, amount_refunded=refunded, refunded=refunded == charge["amount_captured"])
    account.emit("charge.refunded" if amount > 0 else "charge.updated", charge, previous)


def end_refund(account: Account, made: dict, success: bool) -> None:
    """A refund arrives, or comes back to the seller."""
    if made["status"] not in ("pending", "succeeded"):
        raise StripeError(400, f"Refund {made['id']} is {made['status']}.")
    if success:
        kind = made["destination_details"]["type"]
        details = {**made["destination_details"][kind], "reference": f"{account.now():023d}", "reference_status": "available"}
        previous = account.change(made, status="succeeded", destination_details={kind: details, "type": kind})
        account.emit("refund.updated", made, previous)
    else:
        made["failure_reason"] = "unknown"
        previous = account.change(made, status="failed")
        account.emit("refund.updated", made, previous)
        account.emit("refund.failed", made)
        _refunded(account, account.objects[made["charge"]], -made["amount"])


def open_dispute(account: Account, charge: dict, amount: int | None, reason: str, warning: bool) -> dict:
    """The payer's bank takes money back, or only asks (a warning)."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        raise StripeError(400, f"Only {left} of charge {charge['id']} can be disputed.", param="amount")
    known = dispute_of(account, charge)
    if known and known["status"] != "warning_closed":
        raise StripeError(400, f"Charge {charge['id']} has been disputed already.")
    made = account.add(objects.dispute(account, charge, amount, reason, "warning_needs_response" if warning else "needs_response"))
    charge["disputed"] = True
    if not warning:
        made["balance_transactions"].append(objects.balance_transaction(account, made, -amount, 2000))
    account.emit("charge.dispute.created", made)
    if not warning:
        account.emit("charge.dispute.funds_withdrawn", made)
    return made


def close_dispute(account: Account, made: dict, status: str) -> None:
    """The end of a dispute: `won`, `lost`, or `warning_closed`."""
    warning = made["status"] == "warning_needs_response"
    if made["status"] not in ("needs_response", "warning_needs_response") or warning != (status == "warning_closed"):
        raise StripeError(400, f"Dispute {made['id']} is {made['status']} and cannot become {status}.")
    if status == "won":
        made["balance_transactions"].append(objects.balance_transaction(account, made, made["amount"], 0))
    previous = account.change(made, status=status, is_charge_refundable=status != "lost")
    account.emit("charge.dispute.closed", made, previous)
    if status == "won":
        account.emit("charge.dispute.funds_reinstated", made)
