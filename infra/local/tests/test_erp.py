"""The double of Xero, QuickBooks and Business Central: what their documentation says, and its process beside a stack."""

import base64
import datetime
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from infra.local import aws as emulator
from infra.local import books
from infra.local.erp import Double, urls
from infra.local.stack import Stack, addresses

TENANT, REALM, COMPANY = "tenant-1", "4620816365000000005", "company-1"
CONNECTIONS = [
    {"kind": "xero", "account": TENANT, "client_id": "x", "client_secret": "xs", "refresh_token": "r0"},
    {"kind": "quickbooks", "account": REALM, "client_id": "q", "client_secret": "qs", "refresh_token": "r0"},
    {"kind": "business_central", "account": COMPANY, "client_id": "b", "client_secret": "bs", "tenant": "t.example", "environment": "prod"},
]
SCOPE = "https://api.businesscentral.dynamics.com/.default"


@pytest.fixture(name="double", scope="module")
def started():
    with Double(connections=CONNECTIONS) as double:
        yield double


@pytest.fixture(autouse=True)
def fresh(request):
    if "double" in request.fixturenames:
        request.getfixturevalue("double").reset()


def asked(url, method="GET", body=None, **headers):
    """Status and JSON of an answer."""
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, sent, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def door(double, method, path, /, **body):
    status, told = asked(f"{double.base_url}/_double/{path}", method, body, content_type="application/json")
    assert status == 200, told
    return told


def token(double, kind, secret=None, **form):
    there = urls(double.base_url)
    headers = {"content_type": "application/x-www-form-urlencoded"}
    if kind == "business_central":
        url = f"{there['BUSINESS_CENTRAL_LOGIN_URL']}/{form.pop('tenant', 't.example')}/oauth2/v2.0/token"
        form = {"grant_type": "client_credentials", "scope": SCOPE, "client_id": "b", "client_secret": secret or "bs"} | form
    else:
        url = there[f"{kind.upper()}_LOGIN_URL"]
        headers["authorization"] = "Basic " + base64.b64encode(f"{kind[0]}:{secret or kind[0] + 's'}".encode()).decode()
        form = {"grant_type": "refresh_token", "refresh_token": "r0"} | form
    return asked(url, "POST", urllib.parse.urlencode(form).encode(), **headers)


def bearer(double, kind):
    status, told = token(double, kind)
    assert status == 200, told
    return f"Bearer {told['access_token']}"


def put(double, kind, set, document):
    account = {"xero": TENANT, "quickbooks": REALM, "business_central": COMPANY}[kind]
    door(double, "POST", "documents", kind=kind, account=account, set=set, document=document)


def at(seconds):
    return datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC)


# ---- Tokens ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["xero", "quickbooks"])
def test_each_refresh_token_gives_the_next_one(double, kind):
    status, first = token(double, kind)
    assert (status, first["token_type"], first["expires_in"]) == (200, "Bearer", 1800 if kind == "xero" else 3600)
    status, again = token(double, kind)
    assert status == 200, "the one before is good for a while"
    status, _ = token(double, kind, refresh_token=again["refresh_token"])
    assert status == 200
    assert token(double, kind) == (400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
    double.reset()
    door(double, "POST", "tokens", grace=False)
    assert token(double, kind)[0] == 200
    assert token(double, kind)[0] == 400


def test_who_is_no_client_gets_no_token(double):
    assert token(double, "xero", secret="wrong") == (401, {"error": "invalid_client"})
    assert token(double, "business_central", secret="wrong") == (401, {"error": "invalid_client"})
    assert token(double, "business_central", scope="other")[1]["error"] == "invalid_scope"
    assert token(double, "business_central", tenant="u.example")[1]["error"] == "invalid_request"
    assert token(double, "quickbooks", grant_type="client_credentials")[1]["error"] == "unauthorized_client"
    assert token(double, "xero", grant_type="password")[1]["error"] == "unsupported_grant_type"
    door(double, "POST", "tokens", refresh="revoke")
    assert token(double, "xero")[1]["error"] == "invalid_grant"
    assert "refresh_token" not in token(double, "business_central")[1]


def test_a_token_opens_its_own_account_while_it_lasts(double):
    there = urls(double.base_url)
    key = bearer(double, "xero")
    contacts = f"{there['XERO_API_URL']}/api.xro/2.0/Contacts"
    assert asked(contacts, authorization=key, xero_tenant_id=TENANT)[0] == 200
    assert asked(contacts, authorization=key, xero_tenant_id="other")[0] == 403
    assert asked(contacts, authorization="Bearer x", xero_tenant_id=TENANT)[0] == 401
    door(double, "POST", "tokens", access="expire")
    assert asked(contacts, authorization=key, xero_tenant_id=TENANT)[0] == 401
    key = bearer(double, "quickbooks")
    query = f"{there['QUICKBOOKS_API_URL']}/v3/company/%s/query?query=select%%20*%%20from%%20Invoice"
    assert [asked(query % realm, authorization=key)[0] for realm in (REALM, "7")] == [200, 403]
    key = bearer(double, "business_central")
    customers = f"{there['BUSINESS_CENTRAL_API_URL']}/v2.0/t.example/%s/api/v2.0/companies(%s)/customers"
    assert asked(customers % ("prod", COMPANY), authorization=key)[0] == 200
    assert asked(customers % ("prod", "other"), authorization=key)[1]["error"]["code"] == "Internal_CompanyNotFound"
    assert asked(customers % ("test", COMPANY), authorization=key)[0] == 401


# ---- Documents -------------------------------------------------------------------------------------------------------------


def test_xero_lists_by_id_page_and_time(double):
    for n in range(5):
        stamp = f"/Date({1_700_000_000_000 + n * 1000}+0000)/"
        put(double, "xero", "Invoices", {"InvoiceID": f"i-{n}", "UpdatedDateUTC": stamp, "LineItems": [n]})
    put(double, "xero", "Contacts", {"ContactID": "c", "UpdatedDateUTC": "/Date(0+0000)/", "ContactStatus": "ARCHIVED"})
    base, key = f"{urls(double.base_url)['XERO_API_URL']}/api.xro/2.0", bearer(double, "xero")

    def listed(path, **headers):
        status, told = asked(f"{base}/{path}", authorization=key, xero_tenant_id=TENANT, **headers)
        return [it.get("InvoiceID") or it["ContactID"] for it in told.get("Invoices", told.get("Contacts", []))] if status == 200 else status

    assert listed("Invoices?IDs=I-1,i-3,none&page=1") == ["i-1", "i-3"]
    assert [listed(f"Invoices?page={n}&pageSize=2") for n in (1, 3, 4)] == [["i-0", "i-1"], ["i-4"], []]
    since = datetime.datetime.fromtimestamp(1_700_000_003, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert listed("Invoices?page=1", if_modified_since=since) == ["i-3", "i-4"]
    assert (listed("Contacts?page=1"), listed("Contacts?page=1&includeArchived=true")) == ([], ["c"])
    assert (listed("Invoices/i-2"), listed("Invoices/none"), listed("Payments?IDs=x"), listed("Journals")) == (["i-2"], 404, 400, 404)
    _, told = asked(f"{base}/Invoices", authorization=key, xero_tenant_id=TENANT)
    assert "LineItems" not in told["Invoices"][0], "lines come with pages"


def test_quickbooks_queries_and_captures(double):
    times = [at(n - 100).isoformat(timespec="seconds") for n in range(4)]
    for n in range(4):
        meta = {"LastUpdatedTime": times[n]}
        put(double, "quickbooks", "Customer", {"Id": str(n), "Active": n != 3, "MetaData": meta})
    base, key = f"{urls(double.base_url)['QUICKBOOKS_API_URL']}/v3/company/{REALM}", bearer(double, "quickbooks")

    def queried(text):
        status, told = asked(f"{base}/query?query={urllib.parse.quote(text)}", authorization=key)
        return [it["Id"] for it in told["QueryResponse"].get("Customer", [])] if status == 200 else told["Fault"]["Error"][0]["code"]

    assert queried("select * from Customer") == ["0", "1", "2"]
    assert queried("select * from Customer where Id in ('1','3') and Active in (true, false)") == ["1", "3"]
    assert queried(f"select * from Customer where MetaData.LastUpdatedTime >= '{times[2]}' orderby MetaData.LastUpdatedTime") == ["2"]
    assert queried("select * from Customer startposition 3 maxresults 10") == ["2"]
    assert (queried("select Id from Customer"), queried("select * from Customer where Id = 1")) == ("4000", "4000")
    assert queried("select * from Customer maxresults 1001") == "4001"
    assert asked(f"{base}/customer/1", authorization=key)[1]["Customer"]["Id"] == "1"
    assert asked(f"{base}/customer/9", authorization=key)[1]["Fault"]["Error"][0]["code"] == "610"

    door(double, "DELETE", f"documents/quickbooks/{REALM}/Customer/1")
    captured = f"{base}/cdc?entities=Customer,Invoice&changedSince="
    _, told = asked(captured + urllib.parse.quote(times[2]), authorization=key)
    customers, invoices = told["CDCResponse"][0]["QueryResponse"]
    assert [(it["Id"], it.get("status")) for it in customers["Customer"]] == [("2", None), ("3", None), ("1", "Deleted")]
    assert invoices == {}
    assert asked(captured + urllib.parse.quote(at(-31 * 86400).isoformat()), authorization=key)[0] == 400


def test_business_central_filters_expands_and_links(double):
    for n in range(5):
        put(double, "business_central", "salesInvoices", {
            "id": f"i-{n}", "lastModifiedDateTime": f"2026-11-0{n + 1}T00:00:00Z", "salesInvoiceLines": [n],
        })  # fmt: skip
    place = "v2.0/t.example/prod/api/v2.0"
    base = f"{urls(double.base_url)['BUSINESS_CENTRAL_API_URL']}/{place}/companies({COMPANY})/salesInvoices"
    key = bearer(double, "business_central")
    get = lambda url, **headers: asked(url.replace(" ", "%20"), authorization=key, **headers)  # noqa: E731
    assert [it["id"] for it in get(f"{base}?$filter=id eq i-1 or id eq I-3")[1]["value"]] == ["i-1", "i-3"]
    assert "salesInvoiceLines" not in get(f"{base}(i-1)")[1]
    assert get(f"{base}(i-1)?$expand=salesInvoiceLines")[1]["salesInvoiceLines"] == [1]
    assert get(f"{base}(none)")[1]["error"]["code"] == "Internal_RecordNotFound"
    assert get(f"{base}?$filter=number eq 1")[0] == 400
    url, pages = f"{base}?$filter=lastModifiedDateTime gt 2026-11-01T00:00:00Z&$orderby=lastModifiedDateTime", []
    while url:
        _, told = get(url, prefer="odata.maxpagesize=3")
        pages.append([it["id"] for it in told["value"]])
        url = told.get("@odata.nextLink")
    assert pages == [["i-1", "i-2", "i-3"], ["i-4"]]


# ---- Subscriptions ---------------------------------------------------------------------------------------------------------


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Shakes hands, where it is asked to at `/right`."""

    def do_POST(self):
        target = urllib.parse.urlsplit(self.path)
        token = dict(urllib.parse.parse_qsl(target.query))["validationToken"]
        body = token.encode() if target.path == "/right" else b"other"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_subscriptions_are_taken_from_who_shakes_hands(double):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url, key = f"http://127.0.0.1:{server.server_address[1]}", bearer(double, "business_central")
        all = f"{urls(double.base_url)['BUSINESS_CENTRAL_API_URL']}/v2.0/t.example/prod/api/v2.0/subscriptions"
        send = lambda method, path, body, **more: asked(all + path, method, body, authorization=key, content_type="application/json", **more)  # noqa: E731
        wanted = {"notificationUrl": f"{url}/right", "resource": "/api/v2.0/companies(c)/customers", "clientState": "s"}
        assert send("POST", "", wanted | {"notificationUrl": f"{url}/wrong"})[0] == 400
        assert send("POST", "", wanted | {"notificationUrl": "http://127.0.0.1:9/"})[0] == 400
        status, made = send("POST", "", wanted)
        assert (status, made["clientState"], made["resource"]) == (201, "s", wanted["resource"])
        ends = datetime.datetime.fromisoformat(made["expirationDateTime"]).timestamp()
        assert abs(ends - time.time() - 3 * 86400) < 60
        assert send("POST", "", wanted)[1]["error"]["code"] == "Internal_EntityWithSameKeyExists"
        one = f"('{made['subscriptionId']}')"
        assert [send("PATCH", one, wanted)[0], send("PATCH", one, wanted, if_match='W/"old"')[0]] == [400, 412]
        door(double, "POST", "subscriptions", hours=1)
        status, renewed = send("PATCH", one, wanted | {"clientState": "t"}, if_match=made["@odata.etag"])
        assert (status, renewed["clientState"], renewed["expirationDateTime"] >= made["expirationDateTime"]) == (200, "t", True)
        assert [it["clientState"] for it in send("GET", "", None)[1]["value"]] == ["t"]
        assert [send("DELETE", one, None, if_match="*")[0], send("GET", one, None)[0]] == [204, 404]
        server.shutdown()


# ---- The control door ------------------------------------------------------------------------------------------------------


def test_faults_are_used_up_and_requests_remembered(double):
    url = f"{urls(double.base_url)['XERO_API_URL']}/api.xro/2.0/Contacts?page=1"
    door(double, "POST", "faults", path="/xero/api.xro", answer=429, times=2, headers={"Retry-After": "9"})
    assert [asked(url)[0] for _ in range(3)] == [429, 429, 401]
    door(double, "POST", "faults", path="/xero/api.xro", answer="reset")
    with pytest.raises(OSError):
        asked(url)
    told = door(double, "GET", "requests")["data"]
    assert [(it["method"], it["path"], it["query"]) for it in told] == [("GET", "/xero/api.xro/2.0/Contacts", "page=1")] * 4
    assert door(double, "DELETE", "requests") == {"data": []}


def test_the_door_takes_nothing_else(double):
    door_url = f"{double.base_url}/_double"
    assert asked(f"{door_url}/faults", "POST", b"{}", content_type="text/plain")[0] == 415
    for path, body in [("faults", {}), ("documents", {"kind": "sap"}), ("connections", {"kind": "xero"}), ("faults", {"path": "/", "answer": 200})]:
        assert asked(f"{door_url}/{path}", "POST", body, content_type="application/json")[0] == 400, path
    assert asked(f"{door_url}/none")[0] == 404


# ---- Beside a stack --------------------------------------------------------------------------------------------------------


def test_its_process_lives_as_long_as_the_block(tmp_path):
    with books.running(emulator.listen(0), tmp_path) as running:
        assert asked(f"{running.base_url}/_double/")[1]["urls"] == running.description()["urls"]
        pid = running.process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_double_that_ends_ends_the_stack(tmp_path):
    log = tmp_path / "erp-double.log"
    log.write_text("out of luck\n")
    lasting = subprocess.Popen(["sleep", "60"])
    try:
        aws = emulator.Aws(process=lasting, port=0, base_port=0, logs=tmp_path)
        double = books.Erps(subprocess.Popen(["false"]), "http://127.0.0.1:9", log)
        with pytest.raises(emulator.StackError, match=r"ERP double ended by itself \(1\):\nout of luck"):
            Stack(aws, {}, {}, plixoctl=None, orgs=[], erps=double).stay()
    finally:
        lasting.kill()
        lasting.wait()


def test_a_template_is_told_where_it_is_if_it_asks():
    names = ("XeroApiUrl", "XeroLoginUrl", "QuickbooksApiUrl", "QuickbooksLoginUrl", "BusinessCentralApiUrl", "BusinessCentralLoginUrl")
    told = addresses("http://b", "http://s", {"Parameters": dict.fromkeys(names, {})}, "http://e")
    assert told == {
        "BaseUrl": "http://b",
        "XeroApiUrl": "http://e/xero",
        "XeroLoginUrl": "http://e/xero/connect/token",
        "QuickbooksApiUrl": "http://e/quickbooks",
        "QuickbooksLoginUrl": "http://e/quickbooks/oauth2/v1/tokens/bearer",
        "BusinessCentralApiUrl": "http://e/central",
        "BusinessCentralLoginUrl": "http://e/login",
    }
    assert addresses("http://b", "http://s", {}, "http://e") == {"BaseUrl": "http://b"}
