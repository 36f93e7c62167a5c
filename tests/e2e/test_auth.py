"""People come in and go out: passwords, codes, tokens, over HTTP."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest

from conftest import wait_for
from people import Staff, call, challenged, fresh_code, member, next_second, scanned, sign_in

UNKNOWN = "nobody.canary@example.com"
# What these tests have seen, and no log and no table may hold.
SEEN = set()


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def problem(answer):
    """What a refusal says, but for its request's id."""
    status, headers, told = answer
    assert headers["content-type"] == "application/problem+json", answer
    assert told["instance"] == headers["x-request-id"] and told["status"] == status, answer
    assert headers["strict-transport-security"] and headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    return status, told["code"], told["title"], told["detail"], json.dumps(told.get("errors"))


def refused(answer):
    return problem(answer)[:2]


def password(stack, email, text):
    SEEN.add(text)
    return call(stack, "/v1/auth/sign-in", {"email": email, "password": text})


@pytest.fixture(scope="module")
def newcomer(stack):
    """Somebody whom Cognito knows with a temporary password, and who is in no organisation."""
    who = {"email": "newcomer.canary@example.com", "password": "temporary canary 4711 password"}
    pool = stack.json["env"]["USER_POOL_ID"]
    stack.aws("cognito-idp").admin_create_user(
        UserPoolId=pool, Username=who["email"], TemporaryPassword=who["password"], MessageAction="SUPPRESS",
        UserAttributes=[{"Name": "email", "Value": who["email"]}, {"Name": "email_verified", "Value": "true"}])
    return who


def test_everybody_of_the_demo_signs_in_with_password_and_code(stack):
    people = [who for org in stack.orgs for who in org["members"]]
    assert [who["role"] for who in stack.orgs[0]["members"]] == ["controller", "billing_admin", "cfo", "compliance", "viewer"]
    for who in [*people, stack.json["operator"]]:
        tokens = sign_in(stack, who)
        assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
        assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
        said = claims(tokens["access_token"])
        assert said["token_use"] == "access"
        assert ("operators" in said.get("cognito:groups", [])) == (who is stack.json["operator"])
        SEEN.update([tokens["access_token"], tokens["refresh_token"], who["password"], who["totp_secret"], who["email"]])


def test_the_email_counts_in_any_case(stack):
    who = member(stack, "viewer")
    status, _, told = password(stack, f" {who['email'].upper()} ", who["password"])
    assert (status, told["challenge"]) == (200, "totp")


def test_a_code_works_once(stack):
    who = member(stack, "billing_admin")
    code = fresh_code(who["totp_secret"])
    first, second = challenged(stack, who), challenged(stack, who)
    SEEN.update([first, second])
    assert call(stack, "/v1/auth/sign-in/challenge", {"session": first, "code": code})[0] == 200
    replayed = call(stack, "/v1/auth/sign-in/challenge", {"session": second, "code": code})
    assert refused(replayed) == (401, "sign_in_failed")
    assert call(stack, "/v1/auth/sign-in/challenge", {"session": first, "code": fresh_code(who["totp_secret"])})[0] == 401, "a challenge too"
    assert call(stack, "/v1/auth/sign-in/challenge", {"session": second, "code": fresh_code(who["totp_secret"])})[0] == 200


def test_a_made_up_session_or_a_wrong_code_is_a_failed_sign_in(stack):
    who = member(stack, "compliance")
    session = challenged(stack, who)
    wrong = f"{(int(pyotp.TOTP(who['totp_secret']).now()) + 1) % 1_000_000:06}"
    answers = [call(stack, "/v1/auth/sign-in/challenge", {"session": s, "code": wrong})
               for s in (session, session[:-1], "made.up", session.partition(".")[2])]
    assert {problem(answer) for answer in answers} == {problem(answers[0])}
    assert refused(answers[0]) == (401, "sign_in_failed")
    body = {"session": session, "code": fresh_code(who["totp_secret"])}
    assert call(stack, "/v1/auth/sign-in/challenge", body)[0] == 200, "a wrong code may be corrected"


def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(stack):
    who = member(stack, "viewer")
    answers = [password(stack, email, "wrong canary password") for email in (who["email"], UNKNOWN, "no email at all", "a@b\u200b.c")]
    answers.append(password(stack, UNKNOWN, who["password"]))
    assert {problem(answer) for answer in answers} == {problem(answers[0])}
    assert refused(answers[0]) == (401, "sign_in_failed")
    names = [set(headers) for _, headers, _ in answers]
    assert all(name == names[0] for name in names)


def test_the_sixth_try_waits_whether_or_not_there_is_such_an_account(stack):
    who = member(stack, "viewer", org=1)
    for email in (who["email"], "another.canary@example.com"):
        answers = [password(stack, email, f"wrong canary {number}") for number in range(6)]
        assert [status for status, _, _ in answers] == [401] * 5 + [429]
        assert refused(answers[5]) == (429, "too_many_tries")
        assert 1 <= int(answers[5][1]["retry-after"]) <= 15
        assert password(stack, email, who["password"])[0] == 429, "the right one waits as well"


def test_of_many_tries_at_once_five_are_made(stack):
    begun = time.monotonic()
    with ThreadPoolExecutor(6) as senders:
        answers = list(senders.map(lambda n: password(stack, "crowd.canary@example.com", f"wrong {n}")[0], range(24)))
    # After 15 s there is a sixth, and after 30 s more a seventh.
    more = sum(time.monotonic() - begun >= wait for wait in (15, 45, 105))
    assert 5 <= answers.count(401) <= 5 + more and answers.count(401) + answers.count(429) == 24, answers


def test_a_refresh_keeps_the_session_and_a_sign_out_ends_it(stack):
    who = member(stack, "cfo")
    tokens = sign_in(stack, who)
    SEEN.update(tokens[name] for name in ("access_token", "refresh_token"))
    status, _, refreshed = call(stack, "/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert (status, refreshed["refresh_token"]) == (200, tokens["refresh_token"])
    assert claims(refreshed["access_token"])["origin_jti"] == claims(tokens["access_token"])["origin_jti"]
    other = sign_in(stack, who)
    status, _, told = call(stack, "/v1/auth/sign-out", {}, token=refreshed["access_token"])
    assert (status, told) == (204, None)
    for answer in (
        call(stack, "/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]}),
        call(stack, "/v1/auth/totp", token=tokens["access_token"]),
        call(stack, "/v1/auth/sign-out", token=refreshed["access_token"]),
    ):
        assert refused(answer) == (401, "unauthenticated")
    body = {"refresh_token": other["refresh_token"]}
    assert call(stack, "/v1/auth/sign-out", body, token=other["access_token"])[0] == 204
    assert refused(call(stack, "/v1/auth/refresh", body)) == (401, "unauthenticated")


def test_what_is_no_refresh_token_is_refused_without_asking_cognito(stack):
    lines = lambda: [line for line in stack.lines("api-auth") if line["route"] == "POST /v1/auth/refresh"]  # noqa: E731
    for odd in ("nobody", "a.b", "a..c", "a.b.c.d.e f"):
        before = len(lines())
        assert refused(call(stack, "/v1/auth/refresh", {"refresh_token": odd})) == (401, "unauthenticated")
        assert wait_for(lambda: lines()[before:], 5, "line")[-1]["aws_calls"] == 0
    assert refused(call(stack, "/v1/auth/refresh", {"refresh_token": "a.b.c"})) == (401, "unauthenticated")


def test_who_turned_totp_off_at_cognito_has_one_factor(stack):
    # Of whose codes no other test shows many: the next that nobody has seen may be half a minute away.
    org, who, name = Staff(stack, "controller", 1), member(stack, "billing_admin", 1), "SOFTWARE_TOKEN_MFA"
    assert org.ask("PATCH", "", {"settings": {"require_two_factor": True}})[0] == 200, "it has shown two"
    try:
        tokens = sign_in(stack, who)
        shown = f"/v1/orgs/{org.org}"
        assert call(stack, shown, token=tokens["access_token"], method="GET")[0] == 200
        cognito, pool = stack.aws("cognito-idp"), stack.json["env"]["USER_POOL_ID"]
        settings = {"AccessToken": tokens["access_token"], "SoftwareTokenMfaSettings": {"Enabled": False}}
        cognito.set_user_mfa_preference(**settings)
        status, _, alone = password(stack, who["email"], who["password"])
        assert (status, set(alone) >= {"access_token"}) == (200, True), "a password alone opens a session"
        assert refused(call(stack, shown, token=alone["access_token"], method="GET")) == (403, "two_factor_required")
        again = call(stack, "/v1/auth/refresh", {"refresh_token": alone["refresh_token"]})[2]["access_token"]
        assert refused(call(stack, shown, token=again, method="GET")) == (403, "two_factor_required")
        assert call(stack, shown, token=tokens["access_token"], method="GET")[0] == 200
        SEEN.update([*(it[kind] for it in (tokens, alone) for kind in ("access_token", "refresh_token")), again])
        cognito.admin_set_user_mfa_preference(
            UserPoolId=pool, Username=who["email"], SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True})
        assert name in cognito.admin_get_user(UserPoolId=pool, Username=who["email"])["UserMFASettingList"]
        assert call(stack, shown, token=sign_in(stack, who)["access_token"], method="GET")[0] == 200
    finally:
        assert org.ask("PATCH", "", {"settings": {"require_two_factor": False}})[0] == 200


def test_without_a_token_that_holds_everything_is_closed(stack):
    token = sign_in(stack, member(stack, "controller"))["access_token"]
    SEEN.add(token)
    header, body, signature = token.split(".")
    more = base64.urlsafe_b64encode(json.dumps({**claims(token), "cognito:groups": ["operators"]}).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    forged = [f"{header}.{more}.{signature}", f"{none}.{body}.", f"{header}.{body}.{signature[:-4]}AAAA", "x", token + "x"]
    for path in ("/v1/auth/totp", "/v1/auth/totp/verify", "/v1/auth/password", "/v1/auth/sign-out"):
        for answer in [call(stack, path, {})] + [call(stack, path, {}, token=one) for one in forged]:
            assert refused(answer) == (401, "unauthenticated")
            assert answer[1]["www-authenticate"] == "Bearer"
        assert refused(call(stack, path, {}, authorization=f"Basic {token}")) == (401, "unauthenticated")
        assert refused(call(stack, path, {}, cookie=f"__Host-plixo-access={token}")) == (401, "unauthenticated")
    assert {line["outcome"] for line in stack.lines("authorizer")} >= {"known", "token_missing", "token_malformed", "token_signature"}


def test_a_newcomer_chooses_a_password_and_sets_totp_up(stack, newcomer):
    email = newcomer["email"]
    SEEN.update(newcomer.values())
    status, _, asked = password(stack, email, newcomer["password"])
    assert (status, set(asked), asked["challenge"]) == (200, {"challenge", "session"}, "new_password")
    for weak in ("short", "passwordpassword", "newcomer lantern velvet octopus", "x" * 129):
        answer = call(stack, "/v1/auth/sign-in/challenge", {"session": asked["session"], "new_password": weak})
        assert refused(answer) == (400, "password_refused")
        assert [error["pointer"] for error in answer[2]["errors"]] == ["/new_password"]
    chosen = "seven lanterns drift 4711 north"
    SEEN.add(chosen)
    status, _, tokens = call(stack, "/v1/auth/sign-in/challenge", {"session": asked["session"], "new_password": chosen})
    assert status == 200
    token = tokens["access_token"]

    status, _, made = call(stack, "/v1/auth/totp", token=token)
    assert (status, set(made)) == (200, {"secret", "otpauth_url", "qr_svg"})
    app = pyotp.parse_uri(made["otpauth_url"])
    assert (app.secret, app.issuer, app.name, app.digits, app.interval) == (made["secret"], "Plixo", email, 6, 30)
    assert made["qr_svg"].startswith("<svg ") and scanned(made["qr_svg"]) == made["otpauth_url"]
    SEEN.add(made["secret"])
    wrong = f"{(int(app.now()) + 1) % 1_000_000:06}"
    answer = call(stack, "/v1/auth/totp/verify", {"code": wrong}, token=token)
    assert refused(answer) == (400, "code_refused") and answer[2]["errors"][0]["pointer"] == "/code"
    assert "access_token" in password(stack, email, chosen)[2], "not on yet"
    code = fresh_code(made["secret"])
    assert call(stack, "/v1/auth/totp/verify", {"code": code}, token=token)[0] == 204
    who = {"email": email, "password": chosen, "totp_secret": made["secret"]}
    again = call(stack, "/v1/auth/sign-in/challenge", {"session": challenged(stack, who), "code": code})
    assert refused(again) == (401, "sign_in_failed"), "the code that set it up was used"
    assert sign_in(stack, who)["access_token"]


def test_a_password_is_changed_by_who_knows_it_and_holds_no_name(stack):
    who = member(stack, "cfo", org=1)
    token = sign_in(stack, who)["access_token"]

    def change(current, new):
        SEEN.update([current, new])
        return call(stack, "/v1/auth/password", {"current_password": current, "new_password": new}, token=token)

    organisation = stack.orgs[1]["name"].split()[1].lower()
    for weak in ("too short", "aaaaaaaaaaaaaaaaaaaa", f"velvet turbine octopus {organisation}"):
        answer = change(who["password"], weak)
        assert refused(answer) == (400, "password_refused")
        assert answer[2]["errors"][0]["pointer"] == "/new_password"
    new = "velvet turbine octopus 4711 ladder"
    answer = change("not the canary password", new)
    assert refused(answer) == (400, "invalid_request") and answer[2]["errors"][0]["pointer"] == "/current_password"
    others = sign_in(stack, who)
    other, refresh = others["access_token"], {"refresh_token": others["refresh_token"]}
    assert call(stack, "/v1/orgs", token=other, method="GET")[0] == 200
    assert change(who["password"], new)[0] == 204
    assert refused(call(stack, "/v1/orgs", token=other, method="GET")) == (401, "unauthenticated"), "other sessions are over"
    assert refused(call(stack, "/v1/auth/totp", token=other)) == (401, "unauthenticated")
    next_second()
    assert refused(call(stack, "/v1/auth/refresh", refresh)) == (401, "unauthenticated"), "and do not come back"
    assert call(stack, "/v1/orgs", token=token, method="GET")[0] == 200, "this one goes on"
    assert refused(password(stack, who["email"], who["password"])) == (401, "sign_in_failed")
    assert sign_in(stack, {**who, "password": new})["access_token"]
    assert change(new, who["password"])[0] == 204, "and back: others sign in with it"


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"email": "\xff"}', b"[" * 9000, b'"x"', b"{}",
                                  b'{"email": 1, "password": []}', b'{"email": "a@b.c", "password": "x", "admin": true}',
                                  b'{"email": "a@b.c", "email": "b@b.c", "password": "x"}'])
def test_odd_bodies_are_told_where_they_are_odd(stack, body):
    answer = call(stack, "/v1/auth/sign-in", body)
    assert refused(answer) == (400, "invalid_request")
    assert answer[2]["errors"]


def test_huge_bodies_and_other_types_are_refused(stack):
    huge = json.dumps({"email": "a@b.c", "password": "x" * 20_000})
    assert refused(call(stack, "/v1/auth/sign-in", huge)) == (413, "body_too_large")
    text = {"content-type": "text/plain"}
    assert refused(call(stack, "/v1/auth/sign-in", {"email": "a@b.c", "password": "x"}, **text)) == (415, "unsupported_media_type")


def test_nothing_of_this_is_in_a_log_or_a_table(stack):
    assert len(SEEN) > 30
    logs = "".join(file.read_text() for file in (stack.dir / "logs").glob("*.log"))
    assert '"route":"POST /v1/auth/sign-in/challenge"' in logs
    hidden = {text for text in SEEN if len(text) > 5} | {"canary"}
    assert [text for text in hidden if text in logs] == []
    pages = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.resources.PeopleTable)
    stored = "\n".join(repr(item) for page in pages for item in page["Items"])
    assert "tries#account#" in stored and "session#" in stored
    assert [text for text in hidden if text in stored] == []


def test_the_address_of_a_sign_in_is_in_its_line(stack):
    lines = [line for line in stack.lines("api-auth") if line["route"] == "POST /v1/auth/sign-in"]
    assert lines and all(line["ip"] and line["status"] and line["request_id"] and "aws_calls" in line for line in lines)
