"""The checkout page, and the step at which a bank asks who pays. Works without scripts."""

import base64
import dataclasses
import hashlib
import html
import pathlib
import re
import urllib.parse

from ..money import written
from . import objects, payments
from .faults import faulty
from .forms import DIGITS, StripeError
from .http import Lost, Request, Response
from .world import Account, World

STYLE = pathlib.Path(__file__).with_suffix(".css").read_text()
HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; img-src data:; style-src 'sha256-{HASH}'; base-uri 'none'; frame-ancestors 'none'"
KINDS = {"card": "Card", "sepa_debit": "SEPA direct debit"}


@dataclasses.dataclass
class Shown:
    """A session on its page, with what was typed and what is wrong with it."""

    account: Account
    session: dict
    typed: dict[str, str] = dataclasses.field(default_factory=dict)
    wrong: dict[str, str] = dataclasses.field(default_factory=dict)


class Page:
    """Answers requests of payers."""

    def __init__(self, world: World):
        self.world = world

    def answer(self, request: Request) -> Response | Lost:
        with self.world.lock:
            fault = self.world.fault(request.method, request.path)

        def execute() -> Response:
            with self.world.lock:
                return self._answer(request)

        return faulty(fault, execute)

    def _answer(self, request: Request) -> Response:
        match = re.fullmatch(r"/c/pay/([^/]+)(/authenticate)?|/(authenticate)/([^/]+)", request.path)
        try:
            account = self.world.owner(match and (match[1] or match[4]) or "")
        except StripeError:
            return notice(404, "Nothing here", "This page does not exist. Ask the seller for a new link.")
        if request.method not in ("GET", "HEAD", "POST"):
            return notice(405, "Not allowed", "This page can only be opened and sent.")
        typed = dict(urllib.parse.parse_qsl(request.body.decode(errors="replace"))) if request.method == "POST" else None
        if match[3]:
            return self._asked(account, account.objects[match[4]], typed)
        shown = Shown(account, account.objects[match[1]], typed or {})
        if shown.session["object"] != "checkout.session":
            return notice(404, "Nothing here", "This page does not exist. Ask the seller for a new link.")
        return pay(shown) if typed is not None else show(shown)

    def _asked(self, account: Account, intent: dict, typed: dict | None) -> Response:
        """The bank's step: shown, and answered."""
        if intent["object"] != "payment_intent" or intent["status"] != "requires_action":
            return notice(409, "Nothing to confirm", "This payment needs no confirmation, or no longer.")
        session = payments.session_of(account, intent)
        if typed is None or typed.get("answer") not in ("yes", "no"):
            return page(200, "Confirm your payment", bank_step(account, intent))
        back = intent["next_action"]["redirect_to_url"]["return_url"] or "/"
        payments.authenticate(account, intent, typed["answer"] == "yes")
        if session and session["status"] == "complete":
            return done(session)
        if session:
            message = "Your bank could not confirm that it is you. Try again, or pay in another way."
            return show(Shown(account, session, wrong={"card_number": message}), 402)
        query = urllib.parse.urlencode({"payment_intent": intent["id"], "payment_intent_client_secret": intent["client_secret"]})
        return redirect(f"{back}{'&' if '?' in back else '?'}{query}")


def pay(shown: Shown) -> Response:
    """One try to pay. Whoever sends the form of a session that is paid already is led on like the first."""
    session, typed = shown.session, shown.typed
    if session["status"] != "open":
        return done(session) if session["status"] == "complete" else show(shown)
    kind = typed.setdefault("method", session["payment_method_types"][0])
    shown.wrong = check(shown, kind)
    if shown.wrong:
        return show(shown, 422)
    billing = objects.billing_details(typed.get("email", "").strip() or payer_email(session), typed["name"].strip())
    try:
        payments.pay_session(shown.account, session, lambda: method(shown.account, kind, typed, billing))
    except StripeError as error:
        shown.wrong = {"card_number": str(error)}
        return show(shown, 402)
    if session["status"] == "complete":
        return done(session)
    return redirect(f"/authenticate/{session['payment_intent']}")


def method(account: Account, kind: str, typed: dict, billing: dict) -> dict:
    if kind == "sepa_debit":
        return payments.debit_method(account, squeezed(typed["iban"]).upper(), billing)
    return payments.card_method(account, squeezed(typed["card_number"]), billing, *expiry(typed))


def check(shown: Shown, kind: str) -> dict[str, str]:
    """What is wrong with what was typed, by field."""
    typed, wrong = shown.typed, {}
    if kind not in shown.session["payment_method_types"]:
        return {"method": "Choose how to pay."}
    if kind == "card":
        if not luhn(squeezed(typed.get("card_number", ""))):
            wrong["card_number"] = "Enter the card number, the long one on the front."
        month, year = expiry(typed)
        # Good to the end of its month; a day either way is the bank's to judge.
        if (year - 1970) * 12 + month <= shown.account.now() / 86400 / 30.436875:
            wrong["expiry"] = "Enter a month that has not passed, such as 12/34."
        if not re.fullmatch(r"\d{3,4}", typed.get("cvc", "").strip()):
            wrong["cvc"] = "Enter 3 or 4 digits."
    elif not valid_iban(squeezed(typed.get("iban", "")).upper()):
        wrong["iban"] = "Enter an IBAN, such as DE89 3704 0044 0532 0130 00."
    if not payer_email(shown.session) and not re.fullmatch(r"[^\s@]+@[^\s@]+", typed.get("email", "").strip()):
        wrong["email"] = "Enter an email address, such as name@example.com."
    if not typed.get("name", "").strip():
        wrong["name"] = "Enter the name of who pays."
    return wrong


def squeezed(text: str) -> str:
    return re.sub(r"[\s-]", "", text)


def luhn(number: str) -> bool:
    if not re.fullmatch(r"[0-9]{13,19}", number):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def valid_iban(text: str) -> bool:
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", text):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def expiry(typed: dict[str, str]) -> tuple[int, int]:
    """Month and year; what cannot be read is long past."""
    match = re.fullmatch(r"\s*(0?[1-9]|1[0-2])\s*/?\s*(?:20)?([0-9]{2})\s*", typed.get("expiry", ""))
    return (int(match[1]), 2000 + int(match[2])) if match else (1, 1970)


def payer_email(session: dict) -> str | None:
    return (session["customer_details"] or {}).get("email")


# ---- What is shown -----------------------------------------------------------------------------------------------------


def done(session: dict) -> Response:
    return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))


def redirect(location: str) -> Response:
    return Response(303, b"", {"Location": location, "Cache-Control": "no-store"})


def page(status: int, title: str, body: str) -> Response:
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>
<body><main><p class="test">Test mode: no money moves</p>
{body}
</main></body></html>
"""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return Response(status, text.encode(), {**headers, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"})


def notice(status: int, title: str, text: str) -> Response:
    return page(status, title, f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>")


def amount(minor_units: int, currency: str) -> str:
    return html.escape(written(minor_units, currency.upper(), DIGITS.get(currency, 2)))


def bank_step(account: Account, intent: dict) -> str:
    return f"""<h1>Your bank asks: is it you?</h1>
<p>{html.escape(account.name)} wants {amount(intent["amount"], intent["currency"])} from your card.</p>
<form method="post"><button name="answer" value="yes">Yes, it is me: pay</button>
<button class="other" name="answer" value="no">No, refuse</button></form>"""


def show(shown: Shown, status: int = 200) -> Response:
    """The page of a session as it stands."""
    session, seller = shown.session, html.escape(shown.account.name)
    if session["status"] == "complete":
        way = "is paid" if session["payment_status"] == "paid" else "is on its way"
        return notice(200, "Already paid", f"This payment to {shown.account.name} {way}. There is nothing more to do.")
    if session["status"] == "expired":
        return notice(410, "Expired", f"This page has expired, and nothing was paid. Ask {shown.account.name} for a new link.")
    total = amount(session["amount_total"], session["currency"])
    rows = "".join(map(row, shown.account.hidden[session["id"]]["items"]))
    custom = session["custom_text"]["submit"]
    note = f'<p class="hint">{html.escape(custom["message"])}</p>' if custom else ""
    back = (
        f'<p class="back"><a href="{html.escape(session["cancel_url"])}">Cancel and go back to {seller}</a></p>'
        if session["cancel_url"]
        else ""
    )
    body = f"""{problems(shown.wrong)}<h1>Pay {seller}</h1><p class="total">{total}</p>
<table><thead hidden><tr><th scope="col">What</th><th scope="col">Amount</th></tr></thead><tbody>{rows}</tbody></table>
<h2>Payment</h2><form method="post" action="/c/pay/{session["id"]}" novalidate>
{fields(shown)}{note}<button>Pay {total}</button></form>{back}"""
    title = f"{'Error: ' if shown.wrong else ''}Pay {shown.account.name}"
    return page(status, title, body)


def row(item: dict) -> str:
    many = (
        f"<br><small>{item['quantity']} × {amount(item['price']['unit_amount'], item['currency'])}</small>" if item["quantity"] > 1 else ""
    )
    return f"<tr><td>{html.escape(item['description'])}{many}</td><td>{amount(item['amount_total'], item['currency'])}</td></tr>"


def problems(wrong: dict[str, str]) -> str:
    items = "".join(f'<li><a href="#{name}">{html.escape(text)}</a></li>' for name, text in wrong.items())
    return f'<div role="alert"><strong>Nothing was paid.</strong><ul>{items}</ul></div>' if wrong else ""


def fields(shown: Shown) -> str:
    kinds, typed = shown.session["payment_method_types"], shown.typed
    chosen = typed.get("method") if typed.get("method") in kinds else kinds[0]
    picks = "".join(
        f'<label class="pick"><input type="radio" name="method" value="{kind}"{" checked" if kind == chosen else ""}>{KINDS[kind]}</label>'
        for kind in kinds
    )
    known = payer_email(shown.session)
    email = "" if known else field(shown, "email", "Email", "email", 'type="email" ')
    card = field(shown, "card_number", "Card number", "cc-number", 'inputmode="numeric" ')
    expiry = field(shown, "expiry", "Expires (MM/YY)", "cc-exp", 'inputmode="numeric" ')
    cvc = field(shown, "cvc", "Security code", "cc-csc", 'inputmode="numeric" ')
    parts = {
        "card": f'<fieldset class="card"><legend>Card</legend>{card}<div class="two"><div>{expiry}</div><div>{cvc}</div></div></fieldset>',
        "sepa_debit": f'<fieldset class="debit"><legend>Bank account</legend>{field(shown, "iban", "IBAN", "off")}'
        '<p class="hint">The money is taken within some days.</p></fieldset>',
    }
    how = f'<fieldset id="method" tabindex="-1"><legend>How to pay</legend>{picks}</fieldset>' if len(kinds) > 1 else ""
    who = f"<fieldset><legend>Who pays</legend>{email}{field(shown, 'name', 'Name', 'name')}</fieldset>"
    return how + "".join(parts[kind] for kind in kinds) + who


def field(shown: Shown, name: str, label: str, fill: str, more: str = "") -> str:
    """An input with its label, what was typed (but for a card's secrets) and what is wrong with it."""
    wrong = shown.wrong.get(name)
    value = "" if name in ("card_number", "cvc") else html.escape(shown.typed.get(name, ""))
    mark = f'aria-invalid="true" aria-describedby="{name}-wrong" ' if wrong else ""
    told = f'<p class="wrong" id="{name}-wrong">{html.escape(wrong)}</p>' if wrong else ""
    known = f'id="{name}" name="{name}" value="{value}" autocomplete="{fill}" required {more}{mark}'
    return f'<label for="{name}">{label}</label><input {known}>{told}'
