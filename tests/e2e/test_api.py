"""What holds for every route of the API, as its own description lists them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import erps
from browser import send
from conftest import ROOT, heard, wait_for
from events import event, tell
from people import Staff, call, call_from, founded, member, sign_in

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
ROUTES = [f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item]
OF_ORGANISATIONS = [route for route in ROUTES if "{org}" in route]
ROLES = ("controller", "billing_admin", "cfo", "compliance", "viewer")

# The contract's table, in its own words, and which of its rows a route asks for.
TABLE = {
    "organisation": set(ROLES),
    "read ledger": set(ROLES),
    "write ledger": {"controller", "billing_admin"},
    "integrations": {"controller", "billing_admin"},
    "members, settings": {"controller"},
    "audit log": {"controller", "cfo", "compliance"},
    "request an export": {"controller", "billing_admin", "cfo", "compliance"},
    "approve an export": {"controller"},
    "retention, holds, privacy": {"controller", "compliance"},
}
ORG = "/v1/orgs/{org}"
ROW = {
    "organisation": [f"GET {ORG}"],
    "members, settings": [f"PATCH {ORG}", f"POST {ORG}/close", f"POST {ORG}/reopen", f"PUT {ORG}/logo", f"DELETE {ORG}/logo", f"GET {ORG}/members", f"POST {ORG}/members",
                          f"PATCH {ORG}/members/{{id}}", f"DELETE {ORG}/members/{{id}}"],
    "read ledger": [f"GET {ORG}/overview", f"GET {ORG}/invoices/{{id}}/portal-links", f"GET {ORG}/payments/{{id}}/suggestions",
                    *(f"GET {ORG}/{what}{one}" for what in ("customers", "invoices", "payments") for one in ("", "/{id}"))],
    "write ledger": [f"POST {ORG}/customers", f"PATCH {ORG}/customers/{{id}}", f"POST {ORG}/invoices", f"PATCH {ORG}/invoices/{{id}}",
                     *(f"POST {ORG}/invoices/{{id}}/{act}" for act in ("finalize", "void", "uncollectible")),
                     f"POST {ORG}/payments", f"POST {ORG}/payments/{{id}}/allocations",
                     f"DELETE {ORG}/payments/{{id}}/allocations/{{allocation}}",
                     f"POST {ORG}/invoices/{{id}}/portal-links", f"DELETE {ORG}/portal-links/{{id}}"],
    "integrations": [f"GET {ORG}/webhook-endpoints", f"POST {ORG}/webhook-endpoints", f"GET {ORG}/webhook-endpoints/{{id}}",
                     f"PATCH {ORG}/webhook-endpoints/{{id}}", f"POST {ORG}/webhook-endpoints/{{id}}/rotate",
                     f"GET {ORG}/webhook-events", f"GET {ORG}/webhook-events/{{id}}", f"POST {ORG}/webhook-events/{{id}}/replay",
                     f"GET {ORG}/stripe-account", f"PUT {ORG}/stripe-account", f"DELETE {ORG}/stripe-account",
                     f"GET {ORG}/data-sources", f"POST {ORG}/data-sources", f"GET {ORG}/data-sources/{{id}}",
                     f"PATCH {ORG}/data-sources/{{id}}", f"DELETE {ORG}/data-sources/{{id}}"],
    "audit log": [f"GET {ORG}/audit-events"],
    "request an export": [f"GET {ORG}/exports", f"POST {ORG}/exports", f"GET {ORG}/exports/{{id}}", f"GET {ORG}/exports/{{id}}/download",
                          f"POST {ORG}/exports/{{id}}/reject"],
    "approve an export": [f"POST {ORG}/exports/{{id}}/approve"],
    "retention, holds, privacy": [f"GET {ORG}/retention", f"PUT {ORG}/retention", f"GET {ORG}/retention/preview",
                                  f"GET {ORG}/legal-holds", f"POST {ORG}/legal-holds", f"GET {ORG}/legal-holds/{{id}}",
                                  f"POST {ORG}/legal-holds/{{id}}/release", f"GET {ORG}/privacy-requests", f"POST {ORG}/privacy-requests",
                                  *(f"GET {ORG}/privacy-requests/{{id}}{what}" for what in ("", "/certificate", "/download")),
                                  f"POST {ORG}/privacy-requests/{{id}}/refuse"],
}
MONEY = {"amount": 1_000, "currency": "EUR"}
LINES = [{"description": "Chair", "quantity": "1", "unit_price": MONEY}]


def body(route, ids):
    """A body that the route takes; the ids in it are of what `ids` names."""
    return {
        f"PATCH {ORG}": {"settings": {"require_two_factor": False}},
        f"POST {ORG}/members": {"email": ids["email"], "role": "viewer"},
        f"PATCH {ORG}/members/{{id}}": {"role": "viewer"},
        f"POST {ORG}/customers": {"name": "Route Walker"},
        f"PATCH {ORG}/customers/{{id}}": {"phone": "+49 30 1"},
        f"POST {ORG}/invoices": {"customer_id": ids["customers"], "lines": LINES},
        f"PATCH {ORG}/invoices/{{id}}": {"customer_id": ids["customers"], "memo": "Walked"},
        f"POST {ORG}/payments": {"source": "bank", "amount": MONEY, "received_on": "2026-11-01", "customer_id": ids["customers"]},
        f"POST {ORG}/payments/{{id}}/allocations": {"allocations": [{"invoice_id": ids["open invoice"], "amount": MONEY}]},
        f"POST {ORG}/webhook-endpoints": {"provider": "stripe"},
        f"PATCH {ORG}/webhook-endpoints/{{id}}": {"state": "enabled"},
        f"POST {ORG}/webhook-endpoints/{{id}}/rotate": {},
        f"POST {ORG}/invoices/{{id}}/portal-links": {"send_email": False},
        f"PUT {ORG}/stripe-account": {"restricted_key": ids["stripe key"]},
        f"POST {ORG}/data-sources": {"name": "Nobody's", "kind": "xero", "account": "00000000-0000-4000-8000-000000000001",
                                     "client_id": "nobody", "client_secret": "nothing"},
        f"PATCH {ORG}/data-sources/{{id}}": {"name": "Walked"},
        f"POST {ORG}/exports": {"kind": "customers", "format": "csv"},
        f"POST {ORG}/close": {"name": ids["name"]},
        f"PUT {ORG}/retention": {"notice": 60},
        f"POST {ORG}/legal-holds": {"customer_id": ids["customers"], "reason": "A dispute"},
        # Under a hold: nobody does it.
        f"POST {ORG}/privacy-requests": {"kind": "erasure", "customer_id": ids["customers"]},
        f"POST {ORG}/privacy-requests/{{id}}/refuse": {"reason": "It is not the person"},
    }.get(route)


def kind(route):
    """Of what a route is: `invoices`."""
    return route.partition(f"{ORG}/")[2].partition("/")[0]


def ask(staff, route, ids, org=None, query=""):
    """Sends a request that the route takes, with those ids."""
    method, _, path = route.partition(" ")
    path = path.removeprefix(ORG).replace("{id}", ids.get(kind(route), "")).replace("{allocation}", ids["allocation"])
    return staff.ask(method, path + query, body(route, ids), org=org)


def missing(ids, *kinds):
    """The ids, those of some kinds, or of all, of nothing."""
    nothing = {kind: text.partition("_")[0] + "_01jd0000000000000000000000" for kind, text in ids.items() if kind not in ("email", "name", "stripe key")}
    return {**ids, **{kind: nothing[kind] for kind in kinds or nothing}}


def named(route, ids):
    """The kinds of the ids that a request of a route has in its path and its body."""
    path = [kind(route)] * ("{id}" in route) + ["allocation"] * ("{allocation}" in route)
    said = json.dumps(body(route, ids))
    return [*path, *(one for one in ("customers", "open invoice") if ids[one] in said)]


def furnish(owner, email):
    """The ids of one thing of each kind in an organisation, and the email of one of its members."""
    stack, customer = owner.stack, owner.make("/customers", {"name": "Everything Ltd"})["id"]

    def invoice():
        return owner.make("/invoices", {"customer_id": customer, "lines": LINES})["id"]

    opened = invoice()
    assert owner.ask("POST", f"/invoices/{opened}/finalize")[0] == 200
    payment = owner.make("/payments", {"source": "bank", "amount": {**MONEY, "amount": 10_000}, "received_on": "2026-11-01"})["id"]
    shares = {"allocations": [{"invoice_id": opened, "amount": {**MONEY, "amount": 10}}]}
    allocation = owner.make(f"/payments/{payment}/allocations", shares)["data"][0]["id"]
    link = owner.make(f"/invoices/{opened}/portal-links", {"send_email": False})["id"]
    endpoint = owner.make("/webhook-endpoints", {"provider": "stripe"})
    sent = [event("payment_intent.succeeded", amount=77) for _ in range(2)]
    assert {tell(endpoint, one) for one in sent} == {200}
    names = {one["id"] for one in sent}
    seen = wait_for(lambda: [row for row in owner.get("/webhook-events")["data"] if row["provider_event_id"] in names][1:], 30, "events")
    # Two, for a list with a second page: an account is connected once.
    source = [owner.make("/data-sources", erps.source(stack)) for _ in range(2)][0]
    guest = owner.make("/members", {"email": email, "role": "viewer"})
    # What is held is erased by nobody, whatever the routes are asked for.
    hold = owner.make("/legal-holds", {"customer_id": customer, "reason": "A dispute"})["id"]
    access = owner.make("/privacy-requests", {"kind": "access", "customer_id": customer})["id"]
    return {"email": email, "name": owner.get("")["name"], "legal-holds": hold, "privacy-requests": access, "stripe key": stack.json["stripe"]["accounts"][0]["key"], "members": guest["id"], "customers": customer, "invoices": invoice(), "open invoice": opened,
            "payments": payment, "allocation": allocation, "portal-links": link, "webhook-endpoints": endpoint["id"], "webhook-events": seen[0]["id"],
            "data-sources": source["id"], "exports": owner.make("/exports", {"kind": "customers", "format": "csv"})["id"]}


@pytest.fixture(scope="module")
def owner(stack):
    """The Controller of an organisation in which these tests do as they like."""
    return founded(stack, "Walked Ltd", "owner@walked.example")


@pytest.fixture(scope="module")
def ids(owner):
    return furnish(owner, "guest@walked.example")


@pytest.fixture(scope="module")
def stranger(stack):
    """A Controller of another one."""
    return founded(stack, "Stranger Ltd", "owner@stranger.example")


@pytest.fixture(scope="module")
def strangers(stranger):
    """The ids of the stranger's own things."""
    return furnish(stranger, "guest@stranger.example")


def test_every_route_has_its_row_in_the_table():
    assert sorted(route for routes in ROW.values() for route in routes) == sorted(OF_ORGANISATIONS)


def test_each_role_may_what_the_contract_says_and_nothing_else(stack, ids):
    nothing, told = {**missing(ids), "email": stack.orgs[0]["members"][0]["email"], "name": "Nobody's"}, {}
    # Who may approve is decided of an export, and not before there is one.
    waiting = {**nothing, "exports": Staff(stack, "billing_admin").make("/exports", {"kind": "customers", "format": "csv"})["id"]}
    for role in ROLES:
        staff = Staff(stack, role)
        for row, routes in ROW.items():
            for route in routes:
                status, _, problem = ask(staff, route, waiting if row == "approve an export" else nothing)
                assert status < 500 and status != 401, (role, route, problem)
                told[role, route] = status == 403 and problem["code"] == "forbidden"
                assert (status == 403) == told[role, route], (role, route, problem)
    refused = {key for key, value in told.items() if value}
    wanted = {(role, route) for row, routes in ROW.items() for route in routes for role in set(ROLES) - TABLE[row]}
    assert refused == wanted
    assert len(told) == len(ROLES) * len(OF_ORGANISATIONS)


def alike(*answers):
    """Whether nobody can tell the answers apart."""
    return all((one[0], one[1].keys(), {**one[2], "instance": ""}) == (answers[0][0], answers[0][1].keys(), {**answers[0][2], "instance": ""})
               for one in answers)


@pytest.mark.parametrize("route", OF_ORGANISATIONS)
def test_another_organisation_is_as_one_that_does_not_exist(route, stack, owner, ids, stranger, strangers):
    foreign, absent = ask(stranger, route, ids, org=owner.org), ask(stranger, route, ids, org="org_01jd0000000000000000000000")
    assert foreign[0] == absent[0] == 404 and alike(foreign, absent)
    # An organisation of one's own, and one thing of another one.
    for what in named(route, ids):
        foreign, absent = ask(stranger, route, {**strangers, what: ids[what]}), ask(stranger, route, missing(strangers, what))
        assert foreign[0] in (400, 404) and alike(foreign, absent), (what, foreign, absent)
    method, _, path = route.partition(" ")
    for token in (None, "x", "eyJhbGciOiJub25lIn0.e30."):
        path = path.replace("{org}", owner.org)
        assert call(stack, path, body(route, ids), token, method)[0] == 401, token


LISTS = [route for route in OF_ORGANISATIONS
         if {"cursor"} <= {parameter["name"] for parameter in DOCUMENT["paths"][route.partition(" ")[2]][route.partition(" ")[0].lower()]["parameters"]}]


@pytest.mark.parametrize("route", LISTS)
def test_cursors_and_filters_of_another_organisation_open_nothing(route, owner, ids, stranger):
    if "portal-links" in route:
        # Of an invoice that is owed; a stranger is told that there is none before anything of a cursor.
        ids = {**ids, "invoices": ids["open invoice"]}
    more = f"POST {route.partition(' ')[2]}"
    for _ in range(2):
        ask(owner, more, ids) if more in ROUTES else owner.get("/customers")
    cursor = wait_for(lambda: ask(owner, route, ids, query="?limit=1")[2]["next_cursor"], 10, "second page")
    assert ask(owner, route, ids, query=f"?limit=1&cursor={cursor}")[0] == 200
    broken = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for who, text in [(stranger, cursor), (owner, broken), (owner, cursor + "A"), (owner, cursor[:-1]), (owner, "")]:
        status, _, problem = ask(who, route, ids, query=f"?limit=1&cursor={text}")
        if who is stranger and "{id}" in route:
            assert status == 404
            continue
        assert (status, problem["errors"][0]["pointer"]) == (400, "/cursor")
    names = {p["name"] for p in DOCUMENT["paths"][route.partition(" ")[2]]["get"]["parameters"]}
    if "customer_id" in names:
        assert ask(stranger, route, ids, query=f"?customer_id={ids['customers']}")[0] == 400
    # What is gone stays in the audit log, so it looks for any id, and finds what one tried oneself with another's.
    for name, theirs in {"object": ids["customers"], "actor": owner.get("")["you"]["member_id"]}.items() if "object" in names else ():
        seen = ask(stranger, route, ids, query=f"?{name}={theirs}")[2]["data"]
        assert {row["actor"]["id"] for row in seen} <= {stranger.get("")["you"]["member_id"]}


def test_a_cursor_of_ones_organisations_is_ones_own(stack, owner, stranger):
    stranger.ask("POST", "/members", {"email": "owner@walked.example", "role": "viewer"})
    status, _, told = call(stack, "/v1/orgs?limit=1", token=owner.token, method="GET")
    assert (status, len(told["data"])) == (200, 1) and told["next_cursor"]
    assert call(stack, f"/v1/orgs?limit=1&cursor={told['next_cursor']}", token=owner.token, method="GET")[0] == 200
    assert call(stack, f"/v1/orgs?limit=1&cursor={told['next_cursor']}", token=stranger.token, method="GET")[0] == 400


ODD = [b"null", b"[]", b"{", b"\xff\xfe\x00", b'{"name": "\xff"}', b"[" * 9_000, b'{"a": 1, "a": 2}', b'{"surely_unknown": 1}',
       b'{"name": ' + b"9" * 5_000 + b"}", b'{"name": "' + b"x" * 1_200_000 + b'"}']


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.startswith("GET")])
def test_odd_bodies_are_told_where_they_are_odd(route, stack, owner, ids):
    method, _, path = route.partition(" ")
    takes_one = "requestBody" in DOCUMENT["paths"][path][method.lower()]
    path = path.replace("{org}", owner.org).replace("{id}", ids.get(kind(route), "")).replace("{allocation}", "alo_none")
    for sent in ODD if takes_one else ODD[4:5]:
        status, headers, problem = call(stack, path, sent, owner.token, method)
        assert 400 <= status < 500 or not takes_one and status < 300, (route, sent[:20], problem)
        if status >= 400:
            assert headers["content-type"] == "application/problem+json", route
            assert (problem["status"], problem["instance"]) == (status, headers["x-request-id"]) and problem["code"], route


FORMS = sorted({path for path in re.findall(r"Method: POST\s+Path: (/\S+)", (ROOT / "template.yaml").read_text())
                if not path.startswith(("/v1/", "/webhooks/"))})


@pytest.mark.parametrize("path", FORMS)
def test_odd_forms_get_a_page(path, stack, owner, ids):
    path = path.replace("{org}", owner.org).replace("{id}", ids.get(path.removeprefix("/orgs/{org}/").partition("/")[0], ""))
    # Signing out takes any form.
    access = sign_in(stack, member(stack, "viewer", org=1))["access_token"] if path == "/sign-out" else owner.token
    headers = {"cookie": f"__Host-plixo-access={access}", "sec-fetch-site": "same-origin",
               "content-type": "application/x-www-form-urlencoded"}
    odd = [(b"do=\xff&name=%FF%C3%28&=&&=x&do=%", {}), (b"{}", {"content-type": "application/json"}), (b"a=" + b"x" * 300_000, {}),
           (b"customer_id=inv_1&version=9999999999999999999999&lines.4000000000.quantity=1", {})]
    for sent, other in odd:
        status, told, text = send(stack.base_url, "POST", path, {**headers, **other}, sent)
        assert 200 <= status < 500 and (status // 100 == 3 or "<html" in text), (path, sent[:20], status)
        assert told["x-request-id"]


def test_every_answer_about_an_organisation_is_in_its_audit_log(stack, owner, ids):
    requests = {}
    # What takes things away comes last.
    for route in sorted(OF_ORGANISATIONS, key=lambda route: (route.startswith("DELETE"), route.endswith(("void", "uncollectible")))):
        status, headers, _ = ask(owner, route, ids)
        assert status < 500, route
        requests[headers["x-request-id"]] = (route, status)
    dynamodb, found = stack.aws("dynamodb"), {}
    for page in dynamodb.get_paginator("scan").paginate(TableName=stack.resources.AuditTable):
        for item in page["Items"]:
            row = json.loads(item["row"]["S"])
            if row["request_id"] in requests:
                found.setdefault(row["request_id"], []).append(row)
    assert {requests[request] for request in requests.keys() - found.keys()} == set(), "routes without an audit event"
    for request, rows in found.items():
        route, status = requests[request]
        for row in rows:
            assert row["actor"]["kind"] == "member" and row["actor"]["role"] == "controller", route
            # From where it was asked is sealed.
            assert "ip" not in row and row["origin"] and row["object"]["id"] and row["action"].count(".") == 1, route
            assert row["outcome"] == ("allowed" if status < 400 else "denied" if status == 403 else "failed"), (route, status)


# The log of all things is one query for each of its shards, of a day or more; what an event said stands in rows of its own.
# A preview looks at what is kept, class by class.
COSTLY = {f"GET {ORG}/audit-events", f"GET {ORG}/webhook-events/{{id}}", f"GET {ORG}/retention/preview"}
# There is nothing to download before somebody else has approved it, or done it.
NOT_YET = {f"GET {ORG}/exports/{{id}}/download", *(f"GET {ORG}/privacy-requests/{{id}}/{what}" for what in ("certificate", "download"))}


@pytest.mark.parametrize("route", [route for route in OF_ORGANISATIONS if route.startswith("GET") and route not in COSTLY | NOT_YET])
def test_a_warm_read_is_three_calls_and_its_audit_write(route, stack, owner, strangers, stranger):
    for _ in range(3):
        assert ask(stranger, route, strangers)[0] == 200
    function = {"": "organisations", "members": "organisations"}.get(kind(route)) or next((name for word, name in (("portal-links", "portal-links"), ("exports", "exports"), ("webhook", "webhooks"), ("stripe-account", "webhooks"), ("data-sources", "webhooks"), ("retention", "privacy"), ("legal-holds", "privacy"), ("privacy-requests", "privacy")) if word in route), "ledger")
    calls = [line["aws_calls"] for line in stack.lines(f"api-{function}") if line["route"] == route][-3:]
    # One may have made a call again that got no answer in time, or asked for a data key that was no longer fresh.
    assert 2 <= sorted(calls)[1] <= 4, calls


def test_the_address_of_the_audit_log_is_not_what_the_client_says(stack):
    owner = Staff(stack, "controller")
    _, headers, _ = owner.ask("GET", "/customers", x_forwarded_for="203.0.113.9", forwarded="for=203.0.113.9", x_real_ip="203.0.113.9")
    shown = owner.get("/audit-events?action=customer.list&limit=100")["data"]
    [seen] = [row for row in shown if row["request_id"] == headers["x-request-id"]]
    assert seen["ip"] == "127.0.0.1"


def test_an_address_list_lets_in_from_there_only(stack):
    owner = Staff(stack, "controller", 1)
    path = f"/v1/orgs/{owner.org}/customers"
    assert heard(lambda: call_from("127.0.0.2", stack, path, owner.token))[0] == 200
    status, _, problem = owner.ask("PATCH", "", {"settings": {"ip_allow_list": ["127.0.0.2/32"]}})
    assert (status, problem["code"]) == (409, "would_lock_you_out")
    assert owner.ask("PATCH", "", {"settings": {"ip_allow_list": ["127.0.0.1/32", "2001:db8::/32"]}})[0] == 200
    try:
        status, problem = heard(lambda: call_from("127.0.0.2", stack, path, owner.token))
        assert (status, problem["code"]) == (403, "ip_not_allowed")
        assert owner.ask("GET", "/customers")[0] == 200
        denied = owner.get("/audit-events?action=customer.list&limit=100")["data"][1]
        assert (denied["outcome"], denied["ip"]) == ("denied", "127.0.0.2")
    finally:
        assert owner.ask("PATCH", "", {"settings": {"ip_allow_list": []}})[0] == 200


def test_schemathesis_finds_nothing(stack, owner, ids, tmp_path):
    config = f'[parameters]\n"path.org" = "{owner.org}"\n'
    for what, one in ids.items():
        config += f'\n[[operations]]\ninclude-path-regex = "/orgs/[^/]+/{what}/"\nparameters = {{ "path.id" = "{one}" }}\n'
    (tmp_path / "schemathesis.toml").write_text((ROOT / "tests" / "schemathesis.toml").read_text() + config)
    (tmp_path / "openapi.json").write_text(json.dumps(call(stack, "/openapi.json", method="GET")[2]))
    command = [Path(sys.executable).parent / "st", "--config-file", tmp_path / "schemathesis.toml", "run", tmp_path / "openapi.json",
               "--url", stack.base_url, "-H", f"Authorization: Bearer {owner.token}", "--checks", "all", "--phases", "coverage,fuzzing",
               "--max-examples", "10", "--request-timeout", "120", "--max-response-time", "120", "--seed", "20261121", "--no-color", "--continue-on-failure",
               # All senders have one address here: wrong tries by the hundred would slow everybody down.
               "--exclude-path-regex", "^/v1/auth/"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    assert said.returncode == 0, said.stdout[-20_000:] + said.stderr
