"""The shapes of Stripe's objects, all fields of which are there: https://docs.stripe.com/api."""

from .world import Account, new_id

NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def _made(account: Account, kind: str, prefix: str, length: int, **fields) -> dict:
    return {"id": new_id(prefix, length), "object": kind, "created": account.now(), "livemode": False, **fields}


def customer(account: Account, **given) -> dict:
    nothing = dict.fromkeys(("currency", "default_source", "description", "discount", "email", "name", "phone", "shipping", "test_clock"))
    settings = dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options"))
    known = {
        "address": None, "balance": 0, "delinquent": False, "invoice_prefix": new_id("", 8).upper(), "invoice_settings": settings,
        "metadata": {}, "next_invoice_sequence": 1, "preferred_locales": [], "tax_exempt": "none",
    }  # fmt: skip
    return _made(account, "customer", "cus_", 14, **nothing, **known) | given


def line_item(currency: str, price_data: dict, quantity: int) -> dict:
    amount, product = price_data["unit_amount"] * quantity, price_data["product_data"]
    price = {
        "id": new_id("price_1", 23), "object": "price", "active": False, "billing_scheme": "per_unit", "currency": currency,
        "livemode": False, "metadata": {}, "product": new_id("prod_", 14), "recurring": None, "type": "one_time",
        "unit_amount": price_data["unit_amount"], "unit_amount_decimal": str(price_data["unit_amount"]),
    }  # fmt: skip
    return {
        "id": new_id("li_1", 23), "object": "item", "amount_discount": 0, "amount_subtotal": amount, "amount_tax": 0,
        "amount_total": amount, "currency": currency, "description": product["name"], "metadata": {}, "price": price,
        "quantity": quantity,
    }  # fmt: skip


def session(account: Account, total: int, **given) -> dict:
    nothing = dict.fromkeys((
        "after_expiration", "allow_promotion_codes", "cancel_url", "client_reference_id", "client_secret", "consent",
        "consent_collection", "currency_conversion", "customer", "customer_email", "invoice", "origin_context", "payment_intent",
        "payment_link", "permissions", "recovered_from", "saved_payment_method_options", "setup_intent",
        "shipping_address_collection", "shipping_cost", "submit_type", "subscription", "wallet_options",
    ))  # fmt: skip
    no_invoice = dict.fromkeys(("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options"))
    known = {
        "adaptive_pricing": {"enabled": False}, "amount_subtotal": total, "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": "auto",
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "customer_creation": None, "customer_details": None, "discounts": [],
        "invoice_creation": {"enabled": False, "invoice_data": {**no_invoice, "metadata": {}}},
        "locale": "auto", "metadata": {}, "payment_method_collection": "if_required",
        "payment_method_configuration_details": {"id": "pmc_1Double", "parent": None},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_status": "unpaid", "phone_number_collection": {"enabled": False}, "shipping_options": [], "status": "open",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}, "ui_mode": "hosted",
    }  # fmt: skip
    return _made(account, "checkout.session", "cs_test_a1", 56, **nothing, **known) | given


def payment_intent(account: Account, **given) -> dict:
    nothing = dict.fromkeys((
        "application", "application_fee_amount", "canceled_at", "cancellation_reason", "customer", "description",
        "excluded_payment_method_types", "last_payment_error", "latest_charge", "next_action", "on_behalf_of", "payment_method",
        "processing", "receipt_email", "review", "setup_future_usage", "shipping", "source", "statement_descriptor",
        "statement_descriptor_suffix", "transfer_data", "transfer_group",
    ))  # fmt: skip
    card = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    known = {
        "amount_capturable": 0, "amount_details": {"tip": {}}, "amount_received": 0,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True}, "capture_method": "automatic_async",
        "confirmation_method": "automatic", "metadata": {},
        "payment_method_configuration_details": {"id": "pmc_1Double", "parent": None}, "payment_method_options": {"card": card},
        "payment_method_types": ["card"], "status": "requires_payment_method",
    }  # fmt: skip
    made = _made(account, "payment_intent", "pi_3", 23, **nothing, **known) | given
    return made | {"client_secret": new_id(f"{made['id']}_secret_", 25)}


def payment_method(account: Account, details: dict, billing: dict) -> dict:
    kind = details["type"]
    about = {**details["about"], "generated_from": None} if kind == "card" else details["about"]
    return _made(account, "payment_method", "pm_1", 23, allow_redisplay="limited", billing_details=billing, customer=None,
                 metadata={}, type=kind, **{kind: about})  # fmt: skip


def billing_details(email: str | None = None, name: str | None = None) -> dict:
    return {"address": dict(NO_ADDRESS), "email": email, "name": name, "phone": None, "tax_id": None}


def charge(account: Account, intent: dict, method: dict, status: str, captured: bool, error: dict | None) -> dict:
    nothing = dict.fromkeys((
        "application", "application_fee", "application_fee_amount", "failure_balance_transaction", "on_behalf_of",
        "receipt_number", "review", "shipping", "source", "source_transfer", "statement_descriptor",
        "statement_descriptor_suffix", "transfer_data", "transfer_group",
    ))  # fmt: skip
    kind, error, amount = method["type"], error or {}, intent["amount"]
    outcome = {
        "advice_code": None, "network_advice_code": None, "network_decline_code": None,
        "network_status": "declined_by_network" if error else "approved_by_network", "reason": error.get("decline_code"),
        "risk_level": "normal" if kind == "card" else "not_assessed", "risk_score": 17 if kind == "card" else None,
        "seller_message": "The bank declined." if error else "Payment complete.",
        "type": "issuer_declined" if error else "authorized",
    }  # fmt: skip
    known = {
        "amount": amount, "amount_captured": amount if captured else 0, "amount_refunded": 0,
        "balance_transaction": new_id("txn_3", 23) if captured else None, "billing_details": method["billing_details"],
        "calculated_statement_descriptor": account.name.upper()[:22], "captured": captured,
        "currency": intent["currency"], "customer": intent["customer"], "description": intent["description"], "disputed": False,
        "failure_code": error.get("code"), "failure_message": error.get("message"), "fraud_details": {},
        "metadata": dict(intent["metadata"]), "outcome": outcome, "paid": status == "succeeded", "payment_intent": intent["id"],
        "payment_method": method["id"], "payment_method_details": {kind: _method_details(method, amount), "type": kind},
        "radar_options": {}, "receipt_email": intent["receipt_email"],
        "receipt_url": f"{account.world.base_url}/receipts/{intent['id']}", "refunded": False, "status": status,
    }  # fmt: skip
    return _made(account, "charge", "ch_3" if kind == "card" else "py_3", 23, **nothing, **known)


def _method_details(method: dict, amount: int) -> dict:
    if method["type"] != "card":
        return {**method[method["type"]], "mandate": new_id("mandate_1", 23)}
    card = method["card"]
    unavailable = {"status": "unavailable"}
    return {
        "amount_authorized": amount, "authorization_code": "418276", "extended_authorization": {"status": "disabled"},
        "incremental_authorization": unavailable, "installments": None, "mandate": None, "multicapture": unavailable,
        "network": card["brand"], "network_token": {"used": False}, "network_transaction_id": "793160824551072",
        "overcapture": {"maximum_amount_capturable": amount, **unavailable}, "three_d_secure": None,
    } | {name: card[name] for name in CARD_DETAILS}  # fmt: skip


CARD_DETAILS = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "regulated_status", "wallet")


def card(brand: str, number: str, month: int, year: int) -> dict:
    """What a payment method says of its card: never the number."""
    checks = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}
    return {
        "brand": brand, "checks": checks, "country": "DE", "display_brand": brand, "exp_month": month, "exp_year": year,
        "fingerprint": f"Double{number[-4:]}", "funding": "credit", "last4": number[-4:],
        "networks": {"available": [brand], "preferred": None}, "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True}, "wallet": None,
    }  # fmt: skip


def refund(account: Account, charge: dict, amount: int, status: str, reason: str | None, metadata: dict) -> dict:
    kind = charge["payment_method_details"]["type"]
    details = {"reference": None, "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    made = _made(
        account, "refund", "re_3" if kind == "card" else "pyr_1", 23, amount=amount, balance_transaction=new_id("txn_3", 23),
        charge=charge["id"], currency=charge["currency"],
        destination_details={kind: details if kind == "card" else {}, "type": kind},
        metadata=metadata, payment_intent=charge["payment_intent"], reason=reason, receipt_number=None,
        source_transfer_reversal=None, status=status, transfer_reversal=None,
    )  # fmt: skip
    del made["livemode"]
    return made


EVIDENCE = """
    access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal
    customer_communication customer_email_address customer_name customer_purchase_ip customer_signature
    duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy
    refund_policy_disclosure refund_refusal_explanation service_date service_documentation shipping_address shipping_carrier
    shipping_date shipping_documentation shipping_tracking_number uncategorized_file uncategorized_text
""".split()


def dispute(account: Account, charge: dict, amount: int, reason: str, status: str) -> dict:
    payer, kind = charge["billing_details"], charge["payment_method_details"]["type"]
    evidence = dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}}
    case = {"brand": charge["payment_method_details"][kind].get("brand"), "case_type": "chargeback", "network_reason_code": "13.1"}
    return _made(
        account, "dispute", "du_1", 23, amount=amount, balance_transactions=[], charge=charge["id"], currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence=evidence | {"customer_email_address": payer["email"], "customer_name": payer["name"]},
        evidence_details={"due_by": account.now() + 7 * 86400, "enhanced_eligibility": {}, "has_evidence": False,
                          "past_due": False, "submission_count": 0},
        is_charge_refundable=status.startswith("warning"), metadata={}, payment_intent=charge["payment_intent"],
        payment_method_details={kind: case if kind == "card" else {}, "type": kind}, reason=reason, status=status,
    )  # fmt: skip


def balance_transaction(account: Account, dispute: dict, amount: int, fee: int) -> dict:
    """Money that a dispute takes or gives back."""
    what = "withdrawal" if amount < 0 else "reversal"
    details = {"amount": fee, "application": None, "currency": dispute["currency"], "description": "Dispute fee", "type": "stripe_fee"}
    made = _made(
        account, "balance_transaction", "txn_1", 23, amount=amount, available_on=account.now() + 86400, balance_type="payments",
        currency=dispute["currency"], description=f"Chargeback {what} for {dispute['charge']}", exchange_rate=None, fee=fee,
        fee_details=[details] if fee else [], net=amount - fee, reporting_category="dispute" if amount < 0 else "dispute_reversal",
        source=dispute["id"], status="pending", type="adjustment",
    )  # fmt: skip
    del made["livemode"]
    return made


def webhook_endpoint(account: Account, **given) -> dict:
    known = {"api_version": None, "application": None, "description": None, "metadata": {}, "status": "enabled"}
    return _made(account, "webhook_endpoint", "we_1", 23, **known) | given
