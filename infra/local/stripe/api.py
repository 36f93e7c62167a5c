"""Stripe's API, version 1: who asks and may, idempotency keys, expansion."""

import base64
import binascii
import copy
import dataclasses
import re
import urllib.parse

from .endpoints import ROUTES, Route, listed
from .faults import faulty
from .forms import StripeError, invalid, parse, read, text
from .http import Lost, Request, Response
from .world import API_VERSION, Account, Key, World, new_id

KEY_SECONDS = 86400
WORDS = {"checkout.session": "checkout_session", "webhook_endpoint": "webhook"}


@dataclasses.dataclass
class Kept:
    """What was asked for with an idempotency key, and what was answered, if it has been."""

    asked: tuple
    at: int
    response: Response | None = None


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
            name = request.headers.get("idempotency-key") if request.method == "POST" else None
            kept = self._begin(account, name, (request.path, given)) if name else None
            fault = self.world.fault(request.method, request.path)
        if kept and (response := kept.response):
            return faulty(fault, lambda: response)

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
