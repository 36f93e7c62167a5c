"""QuickBooks Online's API: queries, single entities and change data capture, read (developer.intuit.com)."""

import datetime
import re
import time
import urllib.parse

from ..stripe.http import Request, Response
from .world import Failure, World, instant

ENTITIES = ("Customer", "Invoice", "Payment", "CreditMemo", "Preferences")
QUERY = re.compile(
    r"select \* from (\w+)(?: where (.+?))?(?: orderby ([\w.]+))?(?: startposition (\d+))?(?: maxresults (\d+))?", re.IGNORECASE
)
MOST = 1000
CAPTURED_SECONDS = 30 * 86400


def answer(world: World, request: Request) -> Response:
    realm, _, what = request.path.removeprefix("/quickbooks/v3/company/").partition("/")
    holder = world.holder("quickbooks", request.headers.get("authorization", ""))
    if holder is None:
        raise Failure(401, {"fault": {"error": [{"message": "AuthenticationFailed", "code": "3200"}], "type": "AUTHENTICATION"}})
    if holder.account != realm:
        raise Failure(403, {"fault": {"error": [{"message": "AuthorizationFailed", "code": "3100"}], "type": "AUTHORIZATION"}})
    query = dict(urllib.parse.parse_qsl(request.query))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    if request.method == "GET" and what == "query":
        return Response.json(200, {"QueryResponse": _queried(world, realm, query.get("query", "")), "time": now})
    if request.method == "GET" and what == "cdc":
        return Response.json(200, {"CDCResponse": [{"QueryResponse": _captured(world, realm, query)}], "time": now})
    name, _, id = what.partition("/")
    entity = next((it for it in ENTITIES if it.lower() == name), None)
    document = world.of("quickbooks", realm, entity).get(id) if entity else None
    if document is None:
        raise _fault("610", "Object Not Found")
    return Response.json(200, {entity: document, "time": now})


def _fault(code: str, message: str) -> Failure:
    return Failure(400, {"Fault": {"Error": [{"Message": message, "Detail": message, "code": code}], "type": "ValidationFault"}})


def _changed(document: dict) -> float:
    return instant(document["MetaData"]["LastUpdatedTime"])


def _queried(world: World, realm: str, text: str) -> dict:
    match = QUERY.fullmatch(text)
    entity = match and next((it for it in ENTITIES if it.lower() == match[1].lower()), None)
    if not entity:
        raise _fault("4000", "Error parsing query")
    found = list(world.of("quickbooks", realm, entity).values())
    # Lists of names leave out who is not active, unless they are asked.
    conditions = re.split(r" and ", match[2], flags=re.IGNORECASE) if match[2] else []
    if not any(it.lower().startswith("active in") for it in conditions):
        found = [it for it in found if it.get("Active", True)]
    for condition in conditions:
        found = [it for it in found if _holds(condition, it)]
    if match[3]:
        if match[3].lower() != "metadata.lastupdatedtime":
            raise _fault("4001", "Invalid query")
        found.sort(key=_changed)
    start, size = int(match[4] or 1), int(match[5] or 100)
    if size > MOST or start < 1:
        raise _fault("4001", "Invalid query")
    page = found[start - 1 : start - 1 + size]
    return {entity: page, "startPosition": start, "maxResults": len(page)} if page else {}


def _holds(condition: str, document: dict) -> bool:
    if match := re.fullmatch(r"Id in \(('[^']*'(?:,'[^']*')*)\)", condition, re.IGNORECASE):
        return document["Id"] in re.findall(r"'([^']*)'", match[1])
    if match := re.fullmatch(r"MetaData\.LastUpdatedTime (>=?) '([^']+)'", condition, re.IGNORECASE):
        at, since = _changed(document), instant(match[2])
        return at >= since if match[1] == ">=" else at > since
    if re.fullmatch(r"Active in \(true, false\)", condition, re.IGNORECASE):
        return True
    raise _fault("4000", "Error parsing query")


def _captured(world: World, realm: str, query: dict[str, str]) -> list[dict]:
    since = instant(query["changedSince"])
    if since < time.time() - CAPTURED_SECONDS:
        raise _fault("4001", "changedSince is more than 30 days ago")
    answers = []
    for name in query["entities"].split(","):
        entity = next((it for it in ENTITIES if it.lower() == name.lower()), None)
        if entity is None:
            raise _fault("2020", "Required param missing")
        there = [*world.of("quickbooks", realm, entity).values(), *world.deleted.get((realm, entity), {}).values()]
        found = [it for it in there if _changed(it) >= since][:MOST]
        answers.append({entity: found, "startPosition": 1, "maxResults": len(found)} if found else {})
    return answers
