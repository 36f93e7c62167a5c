"""What Stripe's API takes and refuses: form fields with nested brackets, checked against a schema, and its errors.

A schema is a dict from names to what their values must be: another schema, a list of one (an array), or a function from
the text and its name to the value. A name that ends in `*` is required.
"""

import re
import urllib.parse
from collections.abc import Callable

from ..money import MINOR_DIGITS

# As Stripe counts (https://docs.stripe.com/currencies): these two in hundredths, though they have none, and MGA whole.
DIGITS = {name.lower(): digits for name, digits in MINOR_DIGITS.items() if name not in ("ISK", "UGX")} | {"mga": 0}
WHOLE = {"isk", "ugx"}
# The least that can be charged (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts), else 50.
LEAST = {"gbp": 30, "jpy": 50, "dkk": 250, "nok": 300, "sek": 300, "czk": 1500, "huf": 17500, "pln": 200, "mxn": 1000, "ron": 200}
MOST = 99_999_999


Value = str | dict


class StripeError(Exception):
    """An error of Stripe's, as it is answered. `kept`: whether it stays the answer of its idempotency key."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error",
                 kept: bool = True, **more):  # fmt: skip
        super().__init__(message)
        self.status, self.kept = status, kept
        told = {"code": code, "doc_url": code and doc_url(code), "message": message, "param": param, "type": kind, **more}
        self.body = {"error": {name: value for name, value in told.items() if value is not None}}


def doc_url(code: str) -> str:
    return f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"


def invalid(message: str, param: str | None, code: str | None = None) -> StripeError:
    """Parameters that are refused before anything is done."""
    return StripeError(400, message, code, param, kept=False)


def parse(text: str) -> dict:
    """Fields by their bracketed names, as nested dicts: `a[b][0]=c` is `{"a": {"b": {"0": "c"}}}`."""
    root: dict = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True):
        *path, last = name.replace("]", "").split("[")
        node = root
        for part in path:
            node = node.setdefault(part or str(len(node)), {})
            if not isinstance(node, dict):
                raise invalid(f"{name} is both a value and a hash", name)
        node[last or str(len(node))] = value
    return root


def read(schema: dict, given: Value, path: str = "") -> dict:
    """The fields with their values typed; what is unknown, missing or wrong is an error that names it."""
    if not isinstance(given, dict):
        raise invalid("This must be a hash", path)
    specs = {name.rstrip("*"): spec for name, spec in schema.items()}
    names = {name: f"{path}[{name}]" if path else name for name in [*given, *specs]}
    for name in given:
        if name not in specs:
            raise invalid(f"Unknown parameter: {names[name]}", names[name], "parameter_unknown")
    for name in schema:
        if name.endswith("*") and name[:-1] not in given:
            raise invalid(f"Missing required parameter: {names[name[:-1]]}", names[name[:-1]], "parameter_missing")
    return {name: _typed(specs[name], value, names[name]) for name, value in given.items()}


def _typed(spec, value: Value, path: str):
    if isinstance(spec, dict):
        return read(spec, value, path)
    if isinstance(spec, list):
        if not isinstance(value, dict) or not all(index.isdecimal() for index in value):
            raise invalid("This must be an array", path)
        return [_typed(spec[0], value[index], f"{path}[{index}]") for index in sorted(value, key=int)]
    return spec(value, path)


def text(value: Value, path: str) -> str:
    if not isinstance(value, str) or len(value) > 5000:
        raise invalid("This must be a text of at most 5,000 characters", path)
    if not value:
        raise invalid("This cannot be empty", path, "parameter_invalid_empty")
    return value


def optional(value: Value, path: str) -> str | None:
    """A text that an empty one takes away."""
    return None if value == "" else text(value, path)


def flag(value: Value, path: str) -> bool:
    return choice("true", "false")(value, path) == "true"


def email(value: Value, path: str) -> str:
    if not re.fullmatch(r"[^\s@]+@[^\s@]+", text(value, path)):
        raise invalid("This is no email address", path, "email_invalid")
    return value


def url(value: Value, path: str) -> str:
    if not re.fullmatch(r"https?://[!-~]+", text(value, path)):
        raise invalid("This is no URL with its scheme", path, "url_invalid")
    return value


def currency(value: Value, path: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text(value, path)):
        raise invalid("This is no currency of ISO 4217", path)
    return value.lower()


def choice(*allowed: str) -> Callable[[Value, str], str]:
    """One of some words."""

    def one(value: Value, path: str) -> str:
        if value not in allowed:
            raise invalid(f"This must be one of {', '.join(allowed)}", path)
        return value

    return one


def number(least: int, most: int = 2**53) -> Callable[[Value, str], int]:
    """An integer of a range."""

    def integer(value: Value, path: str) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,16}", value):
            raise invalid("This is no integer", path, "parameter_invalid_integer")
        if not least <= int(value) <= most:
            raise invalid(f"This must be from {least} to {most}", path, "parameter_invalid_integer")
        return int(value)

    return integer


def metadata(value: Value, path: str) -> dict[str, str]:
    """Up to 50 texts by name; `merged` makes sense of empty ones."""
    if value == "":
        return {"": ""}
    if not isinstance(value, dict) or len(value) > 50:
        raise invalid("This must be a hash of at most 50 texts", path)
    for name, item in value.items():
        if not isinstance(item, str) or len(name) > 40 or len(item) > 500:
            raise invalid("Names have at most 40 characters, texts 500", f"{path}[{name}]")
    return value


def merged(old: dict, new: dict | None) -> dict:
    """Metadata after an update: an empty text takes its name away, an empty text instead of the hash all of them."""
    both = {} if new == {"": ""} else {**old, **(new or {})}
    return {name: item for name, item in both.items() if item}


def when(value: Value, path: str) -> dict[str, int]:
    """A filter of times: one, or bounds."""
    bound = number(0)
    if isinstance(value, str):
        return {"gte": bound(value, path), "lte": int(value)}
    return read(dict.fromkeys(("gt", "gte", "lt", "lte"), bound), value, path)


def chargeable(amount: int, name: str, param: str) -> None:
    """Refuses amounts of a currency that cannot be charged."""
    step = 100 if name in WHOLE else 10 if DIGITS.get(name) == 3 else 1
    if amount < LEAST.get(name, 50):
        raise invalid(f"The amount must be at least {LEAST.get(name, 50)} {name}", param, "amount_too_small")
    if amount > MOST:
        raise invalid(f"The amount must be at most {MOST} {name}", param, "amount_too_large")
    if amount % step:
        raise invalid(f"Amounts in {name} must be multiples of {step}", param, "parameter_invalid_integer")
