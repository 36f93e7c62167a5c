"""Xero's Accounting API: contacts, invoices, payments and credit notes, read (developer.xero.com, "Accounting API")."""

import urllib.parse

from ..stripe.http import Request, Response
from .world import IDS, Failure, World, instant

# What lists leave out that are not asked for by the page.
DETAILS = ("LineItems", "Addresses", "Phones")


def answer(world: World, request: Request) -> Response:
    holder = world.holder("xero", request.headers.get("authorization", ""))
    if holder is None:
        raise Failure(401, {"Type": None, "Title": "Unauthorized", "Status": 401, "Detail": "TokenExpired: token expired"})
    tenant = request.headers.get("xero-tenant-id", "")
    if tenant != holder.account:
        raise Failure(403, {"Type": None, "Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful"})
    set, _, id = request.path.removeprefix("/xero/api.xro/2.0/").partition("/")
    if request.method != "GET" or set not in IDS:
        raise Failure(404, {"Message": "The resource you're looking for cannot be found"})
    documents = world.of("xero", tenant, set)
    if id:
        if id.lower() not in documents:
            raise Failure(404, {"ErrorNumber": 0, "Type": "ObjectDoesNotExistException", "Message": "not found"})
        return _listed(set, [documents[id.lower()]])
    query = dict(urllib.parse.parse_qsl(request.query))
    found = list(documents.values())
    if "IDs" in query:
        if set not in ("Contacts", "Invoices"):
            raise Failure(400, {"ErrorNumber": 16, "Type": "QueryParseException", "Message": "no IDs here"})
        wanted = query["IDs"].lower().split(",")
        found = [it for it in found if it[IDS[set]].lower() in wanted]
    if since := request.headers.get("if-modified-since"):
        found = [it for it in found if instant(it["UpdatedDateUTC"]) >= instant(since)]
    if query.get("includeArchived") != "true":
        found = [it for it in found if it.get("ContactStatus") != "ARCHIVED"]
    if query.get("order", "").startswith("UpdatedDateUTC"):
        found.sort(key=lambda it: instant(it["UpdatedDateUTC"]))
    if "page" not in query:
        return _listed(set, [{name: value for name, value in it.items() if name not in DETAILS} for it in found])
    size = min(int(query.get("pageSize", 100)), 1000)
    start = (int(query["page"]) - 1) * size
    return _listed(set, found[start : start + size])


def _listed(set: str, documents: list[dict]) -> Response:
    return Response.json(200, {"Id": "0c9a6c1b-8d3f-4d0b-9a1f-4f9a7a2b9f10", "Status": "OK", "ProviderName": "Plixo", set: documents})
