"""Business Central's API v2.0: documents and subscriptions (learn.microsoft.com, "Business Central API reference")."""

import datetime
import http.client
import json
import re
import secrets
import time
import urllib.parse
import uuid

from ..stripe.http import Request, Response
from .world import Connection, Failure, World, instant

SETS = ("customers", "salesInvoices", "salesCreditMemos", "customerPayments", "companyInformation")
LIFE_SECONDS = 3 * 86400
SECONDS = 10


def moment(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(status: int, code: str) -> Failure:
    return Failure(status, {"error": {"code": code, "message": f"{code}  CorrelationId:  {uuid.uuid4()}."}})


def answer(world: World, request: Request, base_url: str) -> Response:
    parts = re.fullmatch(r"/central/v2\.0/([^/]+)/([^/]+)/api/v2\.0/(.+)", request.path)
    with world.lock:
        holder = world.holder("business_central", request.headers.get("authorization", ""))
    if holder is None or parts is None or (holder.tenant, holder.environment) != (parts[1], parts[2]):
        raise _error(401, "Authentication_InvalidCredentials")
    if subscription := re.fullmatch(r"subscriptions(?:\('([^']+)'\))?", parts[3]):
        return _subscriptions(world, request, holder, subscription[1])
    asked = re.fullmatch(r"companies\(([^)]+)\)/(\w+)(?:\(([^)]+)\))?", parts[3])
    if request.method != "GET" or asked is None or asked[2] not in SETS:
        raise _error(404, "BadRequest_ResourceNotFound")
    if asked[1] != holder.account:
        raise _error(404, "Internal_CompanyNotFound")
    with world.lock:
        documents = world.of("business_central", asked[1], asked[2])
        query = dict(urllib.parse.parse_qsl(request.query))
        if asked[3]:
            if asked[3] not in documents:
                raise _error(404, "Internal_RecordNotFound")
            return Response.json(200, _expanded(documents[asked[3]], query))
        return _listed(list(documents.values()), query, request, base_url)


def _expanded(document: dict, query: dict[str, str]) -> dict:
    expanded = query.get("$expand", "").split(",")
    return {name: value for name, value in document.items() if not name.endswith("Lines") or name in expanded}


def _listed(found: list[dict], query: dict[str, str], request: Request, base_url: str) -> Response:
    if "$filter" in query:
        found = [it for it in found if _holds(query["$filter"], it)]
    if "$orderby" in query:
        found.sort(key=lambda it: it[query["$orderby"]])
    preferred = re.search(r"odata\.maxpagesize=(\d+)", request.headers.get("prefer", ""))
    size, start = int(preferred[1]) if preferred else 20000, int(query.get("$skiptoken", 0))
    answer: dict = {"value": [_expanded(it, query) for it in found[start : start + size]]}
    if start + size < len(found):
        rest = {name: value for name, value in query.items() if name != "$skiptoken"} | {"$skiptoken": start + size}
        answer["@odata.nextLink"] = f"{base_url}{request.path}?{urllib.parse.urlencode(rest)}"
    return Response.json(200, answer)


def _holds(filter: str, document: dict) -> bool:
    if match := re.fullmatch(r"lastModifiedDateTime (gt|ge) (\S+)", filter):
        changed, since = instant(document["lastModifiedDateTime"]), instant(match[2])
        return changed >= since if match[1] == "ge" else changed > since
    terms = [re.fullmatch(r"id eq ([\w-]+)", term) for term in filter.split(" or ")]
    if not all(terms):
        raise _error(400, "BadRequest")
    return document["id"].lower() in [term[1].lower() for term in terms]


def _subscriptions(world: World, request: Request, holder: Connection, id: str | None) -> Response:
    with world.lock:
        known = world.subscriptions.get(id) if id else None
        if id and known is None:
            raise _error(404, "Internal_RecordNotFound")
        if request.method == "GET":
            return Response.json(200, known or {"value": list(world.subscriptions.values())})
        if id:
            tag = request.headers.get("if-match")
            if tag is None or tag not in ("*", known["@odata.etag"]):
                raise _error(412 if tag else 400, "Request_EntityChanged")
        if request.method == "DELETE" and id:
            del world.subscriptions[id]
            return Response(204)
    if (request.method, bool(id)) not in (("POST", False), ("PATCH", True)):
        raise _error(405, "BadRequest_MethodNotAllowed")
    given = (known or {}) | json.loads(request.body)
    # Not under the lock: whoever is called may ask meanwhile.
    if not _shakes_hands(given["notificationUrl"]):
        raise _error(400, "BadRequest")
    with world.lock:
        if known is None:
            same = [it for it in world.subscriptions.values() if (it["notificationUrl"], it["resource"]) == (given["notificationUrl"], given["resource"])]
            if same:
                raise _error(400, "Internal_EntityWithSameKeyExists")
        made = given | {
            "@odata.etag": f'W/"{secrets.token_urlsafe(16)}"',
            "subscriptionId": id or uuid.uuid4().hex,
            "userId": str(uuid.uuid5(uuid.NAMESPACE_URL, holder.client_id)),
            "lastModifiedDateTime": moment(time.time()),
            "clientState": given.get("clientState", ""),
            "expirationDateTime": moment(time.time() + LIFE_SECONDS),
        }
        world.subscriptions[made["subscriptionId"]] = made
    return Response.json(200 if id else 201, made)


def _shakes_hands(url: str) -> bool:
    """Whether who is there answers with the token that is shown to it."""
    token = uuid.uuid4().hex
    target = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.hostname, target.port, timeout=SECONDS)
    try:
        query = "&".join(filter(None, [target.query, f"validationToken={token}"]))
        connection.request("POST", f"{target.path}?{query}", b"")
        answer = connection.getresponse()
        return answer.status == 200 and answer.read().decode().strip() == token
    except (OSError, http.client.HTTPException, UnicodeDecodeError):
        return False
    finally:
        connection.close()
