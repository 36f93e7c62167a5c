"""Token endpoints: RFC 6749 as Xero, Intuit and Entra have it."""

import base64
import binascii
import re
import urllib.parse

from ..stripe.http import Request, Response
from .world import Connection, Failure, World

SCOPE = "https://api.businesscentral.dynamics.com/.default"


def answer(world: World, request: Request) -> Response:
    if request.method != "POST" or request.headers.get("content-type", "").split(";")[0] != "application/x-www-form-urlencoded":
        raise Failure(400, {"error": "invalid_request"})
    form = dict(urllib.parse.parse_qsl(request.body.decode()))
    kind = {"xero": "xero", "quickbooks": "quickbooks", "login": "business_central"}[request.path.split("/")[1]]
    connections = [it for it in world.connections if it.kind == kind]
    if kind == "business_central":
        id, secret = form.get("client_id"), form.get("client_secret")
        tenant = re.fullmatch(r"/login/([^/]+)/oauth2/v2\.0/token", request.path)
        connections = [it for it in connections if tenant and it.tenant == tenant[1]]
        if not connections:
            raise Failure(400, {"error": "invalid_request", "error_description": "AADSTS90002: Tenant not found."})
        if form.get("scope") != SCOPE:
            raise Failure(400, {"error": "invalid_scope", "error_description": "AADSTS70011"})
    else:
        id, secret = _basic(request)
    connections = [it for it in connections if (it.client_id, it.client_secret) == (id, secret)]
    if not connections:
        raise Failure(401, {"error": "invalid_client"})
    return Response.json(200, _granted(connections, form), {"Cache-Control": "no-store"})


def _basic(request: Request) -> tuple[str, str]:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    try:
        id, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        kind = ""
    if kind.lower() != "basic":
        raise Failure(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})
    return id, secret


def _granted(connections: list[Connection], form: dict[str, str]) -> dict:
    if form.get("grant_type") == "refresh_token":
        found = next((it for it in connections if form.get("refresh_token") in it.refresh), None)
        if found is None:
            raise Failure(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        return found.grant()
    if form.get("grant_type") == "client_credentials":
        # QuickBooks has no such grant.
        found = next((it for it in connections if it.refresh_token is None and it.kind != "quickbooks"), None)
        if found is None:
            raise Failure(400, {"error": "unauthorized_client"})
        return found.grant()
    raise Failure(400, {"error": "unsupported_grant_type"})
