"""Organisations and their members: made by an operator, invited by email, let in, removed."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from people import Staff, call, fresh_code, letters, member, next_second, sign_in, token

BOSS, HELP = "Berta.Canary@weber.example", "hilde.canary@weber.example"
CHOSEN = "seven lanterns drift 4711 north"
# What these tests have seen, and no log and no table may hold.
SEEN = {BOSS.lower(), HELP, CHOSEN}


def refused(answer):
    status, headers, told = answer
    assert headers["content-type"] == "application/problem+json", answer
    assert told["instance"] == headers["x-request-id"] and told["status"] == status, answer
    return status, told["code"]


def temporary(letter):
    """The temporary password in an email."""
    [password] = re.findall(r"^Temporary password: (\w+)$", letter["BodyText"], re.M)
    SEEN.add(password)
    return password


def comes_in(stack, email, password):
    """The access token of somebody who signs in the first time, and chooses a password."""
    status, _, asked = call(stack, "/v1/auth/sign-in", {"email": email, "password": password})
    assert (status, asked["challenge"]) == (200, "new_password"), asked
    answer = {"session": asked["session"], "new_password": CHOSEN}
    status, _, told = call(stack, "/v1/auth/sign-in/challenge", answer)
    assert status == 200, told
    return told["access_token"]


class Person:
    """Somebody with a token, in an organisation."""

    def __init__(self, stack, access, org):
        self.stack, self.access, self.org = stack, access, org

    def ask(self, method, path="", body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.stack, f"/v1/orgs/{self.org}{path}", body, self.access, method, **headers)


@pytest.fixture(scope="module")
def operator(stack):
    return token(stack, stack.json["operator"])


@pytest.fixture(scope="module")
def made(stack, operator):
    """An organisation, just made."""
    order = {"name": "Möbel Weber", "residency": "eu", "controller_email": BOSS}
    key = {"idempotency-key": "weber-1"}
    with ThreadPoolExecutor(3) as senders:
        answers = list(senders.map(lambda _: call(stack, "/v1/orgs", order, operator, **key), range(3)))
    assert [status for status, _, _ in answers] == [201] * 3, answers
    assert len({told["id"] for _, _, told in answers}) == 1, "one key, one organisation"
    assert refused(call(stack, "/v1/orgs", {**order, "name": "Weber"}, operator, **key)) == (422, "idempotency_key_reused")
    return answers[0][2]


@pytest.fixture(scope="module")
def boss(stack, made):
    """Its first Controller, let in."""
    sent = letters(stack, BOSS)
    # One that SES took too long to answer for is sent again.
    assert len(sent) >= 3 and len({letter["BodyText"] for letter in sent}) == 1
    letter = sent[-1]
    assert letter["Source"] == "plixo@plixo.invalid" and letter["Subject"] == "You are invited to Möbel Weber"
    assert f"Sign in: {stack.base_url}/sign-in\n" in letter["BodyText"]
    return Person(stack, comes_in(stack, BOSS, temporary(letter)), made["id"])


CASH_APPLICATION = {"automatic": True, "threshold": "0.95", "order": "oldest_due_first", "underpayment_tolerance": {}}
RETENTION = {"webhook_payload": 30, "portal_link": 30, "notice": 90, "export_file": 7, "customer_personal_data": 730, "invoice": 3650, "payment": 3650,
             "audit_event": 2555}


def test_an_operator_makes_an_organisation_and_sees_nothing_of_it(stack, operator, made):
    assert made == {"id": made["id"], "name": "Möbel Weber", "residency": "eu",
                    "settings": {"ip_allow_list": [], "require_two_factor": False, "cash_application": CASH_APPLICATION,
                                 "retention": RETENTION}}
    looking = Person(stack, operator, made["id"])
    for method, path, body in (("GET", "", None), ("PATCH", "", {"name": "x"}), ("GET", "/members", None),
                               ("POST", "/members", {"email": "a@b.de", "role": "cfo"})):
        assert refused(looking.ask(method, path, body)) == (404, "not_found")
    assert call(stack, "/v1/orgs", token=operator, method="GET")[2] == {"data": [], "next_cursor": None}
    order = {"name": "x", "residency": "us", "controller_email": "a@b.de"}
    assert refused(call(stack, "/v1/orgs", order, operator)) == (409, "residency_not_here")
    assert refused(call(stack, "/v1/orgs", {**order, "residency": "eu"}, Staff(stack, "controller").token)) == (403, "forbidden")
    assert refused(call(stack, "/v1/orgs", order)) == (401, "unauthenticated")


def test_the_first_controller_comes_in_and_invites(stack, boss):
    status, headers, shown = boss.ask("GET")
    assert (status, shown["you"]["role"]) == (200, "controller")
    assert {"manage_organisation", "approve_export", "read_audit"} < set(shown["you"]["may"])
    renamed = boss.ask("PATCH", "", {"name": "Weber Möbel"}, if_match=headers["etag"])
    assert (renamed[0], renamed[2]["name"]) == (200, "Weber Möbel")
    assert refused(boss.ask("PATCH", "", {"name": "x"}, if_match=headers["etag"])) == (412, "stale")
    listed = call(stack, "/v1/orgs", token=boss.access, method="GET")[2]["data"]
    assert listed == [{"id": boss.org, "name": "Weber Möbel", "residency": "eu", "role": "controller"}]

    status, _, me = boss.ask("GET", "/members")
    [me] = me["data"]
    assert me == {"id": shown["you"]["member_id"], "email": "Berta.Canary@weber.example", "role": "controller", "state": "active",
                  "etag": '"2"'}
    assert refused(boss.ask("DELETE", f"/members/{me['id']}")) == (409, "last_controller")
    assert refused(boss.ask("PATCH", f"/members/{me['id']}", {"role": "cfo"})) == (409, "last_controller")


def test_an_invited_viewer_is_refused_what_is_not_theirs_and_is_gone_when_removed(stack, boss):
    invite = {"email": HELP, "role": "viewer"}
    status, _, invited = boss.ask("POST", "/members", invite, idempotency_key="h-1")
    assert (status, invited) == (201, {"id": invited["id"], "email": HELP, "role": "viewer", "state": "invited"})
    assert boss.ask("POST", "/members", invite, idempotency_key="h-1")[2] == invited
    assert boss.ask("POST", "/members", invite)[::2] == (200, invited), "who waits is sent the email again"
    assert refused(boss.ask("POST", "/members", {**invite, "role": "cfo"})) == (409, "already_member")
    sent = letters(stack, HELP)
    assert len(sent) >= 3 and len({temporary(letter) for letter in sent}) == 1
    long = f"{'a' * 60}@{'b' * 60}.example"
    assert len(long) == 129 and refused(boss.ask("POST", "/members", {**invite, "email": long})) == (400, "invalid_request")

    viewer = Person(stack, comes_in(stack, HELP, temporary(sent[0])), boss.org)
    status, _, shown = viewer.ask("GET")
    assert (status, shown["you"]["may"]) == (200, ["read_organisation", "read_ledger"])
    assert viewer.ask("GET", "/invoices")[0] == 200
    for method, path, body in (("PATCH", "", {"name": "x"}), ("GET", "/members", None), ("POST", "/members", invite),
                               ("DELETE", f"/members/{invited['id']}", None), ("POST", "/customers", {"name": "x"})):
        assert refused(viewer.ask(method, path, body)) == (403, "forbidden"), (method, path)
    states = {it["email"]: it["state"] for it in boss.ask("GET", "/members")[2]["data"]}
    assert states[HELP] == "active"
    assert refused(boss.ask("POST", "/members", invite)) == (409, "already_member")

    assert boss.ask("DELETE", f"/members/{invited['id']}")[0] == 204
    assert refused(viewer.ask("GET")) == (404, "not_found")
    assert refused(viewer.ask("GET", "/invoices")) == (404, "not_found")
    assert call(stack, "/v1/orgs", token=viewer.access, method="GET")[2]["data"] == []


def test_whoever_is_known_elsewhere_keeps_their_password(stack, boss):
    known = member(stack, "cfo", org=1)
    status, _, invited = boss.ask("POST", "/members", {"email": known["email"], "role": "cfo"})
    assert (status, invited["state"]) == (201, "invited")
    # One that was sent for too long is sent again.
    [text] = {letter["BodyText"] for letter in letters(stack, known["email"])}
    assert "assword" not in text
    access = sign_in(stack, known)["access_token"]
    listed = call(stack, "/v1/orgs", token=access, method="GET")[2]["data"]
    assert {it["id"] for it in listed} == {stack.orgs[1]["id"], boss.org}
    assert boss.ask("DELETE", f"/members/{invited['id']}")[0] == 204


def test_nobody_locks_themselves_out(boss):
    for settings in ({"ip_allow_list": ["198.51.100.0/24", "2001:db8::/32"]}, {"require_two_factor": True}):
        assert refused(boss.ask("PATCH", "", {"settings": settings})) == (409, "would_lock_you_out")
    status, _, told = boss.ask("PATCH", "", {"settings": {"ip_allow_list": ["127.0.0.0/8"]}})
    assert (status, told["settings"]["ip_allow_list"]) == (200, ["127.0.0.0/8"])
    assert refused(boss.ask("PATCH", "", {"settings": {"ip_allow_list": ["127.0.0.1/8"]}})) == (400, "invalid_request")
    assert boss.ask("PATCH", "", {"settings": {"ip_allow_list": []}})[0] == 200


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"email": "\xff"}', b"[" * 9000, b'{"email": 1}',
                                  b'{"email": "a@b.de", "role": "cfo", "role": "cfo"}'])
def test_odd_bodies_are_told_where_they_are_odd(boss, body):
    assert refused(boss.ask("POST", "/members", body)) == (400, "invalid_request")


def test_a_warm_read_costs_one_call_and_its_audit_write(stack, boss):
    for _ in range(3):
        assert boss.ask("GET")[0] == 200
    calls = [line["aws_calls"] for line in stack.lines("api-organisations") if line["route"] == "GET /v1/orgs/{org}"]
    # One may have made a call again that got no answer in time.
    assert sorted(calls[-3:])[1] == 2


def test_the_first_operator_is_made_by_a_command(stack):
    email, name = "Olga.Canary@plixo.example", "olga.canary@plixo.example"

    def added():
        done = stack.plixoctl("operator", "add", "--email", email)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["email"] == name
        return told["temporary_password"]

    first, second = added(), added()
    assert first != second, "nobody signed in with the first"
    SEEN.update([name, first.lower(), second.lower()])
    assert call(stack, "/v1/auth/sign-in", {"email": email, "password": first})[0] == 401
    access = comes_in(stack, email, second)
    status, _, made = call(stack, "/v1/auth/totp", {}, token=access)
    assert status == 200
    status, _, told = call(stack, "/v1/auth/totp/verify", {"code": fresh_code(made["secret"])}, token=access)
    assert status == 204, told
    assert added() is None, "a password of their own stays"
    next_second()
    access = sign_in(stack, {"email": email, "password": CHOSEN, "totp_secret": made["secret"]})["access_token"]
    order = {"name": "Weber", "residency": "eu", "controller_email": HELP}
    status, _, told = call(stack, "/v1/orgs", order, token=access)
    assert status == 201, told
    wrong = stack.plixoctl("operator", "add", "--email", "nobody")
    assert wrong.returncode != 0 and not wrong.stdout


def test_nothing_of_this_is_in_a_log_or_a_table(stack, boss):
    assert len(SEEN) > 4
    logs = "".join(file.read_text() for file in (stack.dir / "logs").glob("*.log"))
    assert '"route":"POST /v1/orgs/{org}/members"' in logs
    assert [text for text in SEEN if text in logs.lower()] == []
    for table in (stack.resources.LedgerTable, stack.resources.PeopleTable, stack.resources.AuditTable):
        pages = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=table)
        stored = "\n".join(repr(item) for page in pages for item in page["Items"])
        assert [text for text in SEEN if text in stored.lower()] == []
