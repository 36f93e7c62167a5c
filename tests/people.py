"""People who sign in: over HTTP, with real codes."""

import json
import time
import urllib.error
import urllib.request

import pyotp

from conftest import wait_for


def call(stack, path, body=None, token=None, method="POST", **headers):
    """Status, headers (lower case) and JSON of the answer; a body that is bytes or text is sent as it is."""
    sent = body if isinstance(body, (bytes, type(None))) else (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = {"content-type": "application/json", **headers}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(stack.base_url + path, sent if sent is not None else b"", headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, told, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, told, text = error.code, error.headers, error.read()
    return status, {name.lower(): value for name, value in told.items()}, json.loads(text) if text else None


_shown = set()


def fresh_code(secret):
    """A code that was not shown yet: a code works once, and counts for its step of 30 s and the steps beside it."""

    def fresh():
        now = time.time()
        codes = [pyotp.TOTP(secret).at(now + offset) for offset in (0, -30, 30)]
        return next((code for code in codes if (secret, code) not in _shown), None)

    code = wait_for(fresh, 60, "fresh code")
    _shown.add((secret, code))
    return code


def challenged(stack, who):
    """The session of the challenge after the right password."""
    status, _, told = call(stack, "/v1/auth/sign-in", {"email": who["email"], "password": who["password"]})
    assert (status, set(told), told.get("challenge")) == (200, {"challenge", "session"}, "totp"), told
    return told["session"]


def sign_in(stack, who):
    """The tokens of somebody of `stack.json`."""
    body = {"session": challenged(stack, who), "code": fresh_code(who["totp_secret"])}
    status, _, told = call(stack, "/v1/auth/sign-in/challenge", body)
    assert status == 200, told
    return told


def member(stack, role, org=0):
    """Somebody of that role."""
    return next(who for who in stack.orgs[org]["members"] if who["role"] == role)
