"""People who sign in: over HTTP, with real codes."""

import http.client
import json
import re
import time
import urllib.error
import urllib.request
import uuid

import pyotp
import zxingcpp

from conftest import ANSWERS_WITHIN, heard, wait_for


def call_from(address, stack, path, token):
    """Status and JSON of the answer to a GET from another address of this machine."""
    host, port = stack.base_url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=ANSWERS_WITHIN, source_address=(address, 0))
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {token}", "x-forwarded-for": "127.0.0.1"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Where an answer leads is shown and not followed."""

    def redirect_request(self, *_):
        return None


def call(stack, path, body=None, token=None, method="POST", **headers):
    """Status, headers (lower case) and JSON of the answer; a body that is bytes or text is sent as it is."""
    sent = body if isinstance(body, (bytes, type(None))) else (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = {"content-type": "application/json", **headers}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(stack.base_url + path, sent if sent is not None else b"", headers, method=method)
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=ANSWERS_WITHIN) as answer:
            status, told, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, told, text = error.code, error.headers, error.read()
    return status, {name.lower(): value for name, value in told.items()}, json.loads(text) if text else None


_shown = set()


def fresh_code(secret):
    """A code that was not shown yet: a code works once, and counts for its step of 30 s and the steps beside it."""

    def fresh():
        now = time.time()
        # The one before is refused in the next step: it is taken only where that is far enough.
        codes = [pyotp.TOTP(secret).at(now + offset) for offset in ((0, 30, -30) if now % 30 < 15 else (0, 30))]
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


_signed_in = {}


def token(stack, who):
    """An access token of somebody of `stack.json`, who signs in once a run, and again before an hour is over."""
    key, now = (stack.base_url, who["email"]), time.monotonic()
    if key not in _signed_in or now > _signed_in[key][0] + 2_700:
        _signed_in[key] = now, sign_in(stack, who)["access_token"]
    return _signed_in[key][1]


def next_second():
    """Waits for it. When a password changes or an app is set up, sessions that began in that second or before are over, and
    tokens tell whole seconds."""
    now = int(time.time())
    wait_for(lambda: int(time.time()) > now, 5, "next second")


class Person:
    """Somebody with a token, who calls the API of an organisation."""

    def __init__(self, stack, token, org):
        self.stack, self.token, self.org = stack, token, org

    def ask(self, method, path="", body=None, org=None, **headers):
        """Status, headers and JSON of the answer to a request below `/v1/orgs/{org}`."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.stack, f"/v1/orgs/{org or self.org}{path}", body, self.token, method, **headers)

    def get(self, path):
        """What is shown."""
        status, _, told = heard(lambda: self.ask("GET", path))
        assert status == 200, told
        return told

    def make(self, path, body):
        """What was made."""
        key = str(uuid.uuid4())
        status, _, told = heard(lambda: self.ask("POST", path, body, idempotency_key=key))
        assert status == 201, told
        return told


class Staff(Person):
    """A member of a demo organisation."""

    def __init__(self, stack, role, org=0):
        self.who = member(stack, role, org)
        super().__init__(stack, token(stack, self.who), stack.orgs[org]["id"])


def release_all(compliance):
    """Releases the legal holds that tests left, which keep what they cannot be told to be about."""
    for hold in compliance.get("/legal-holds?limit=100")["data"]:
        if "released_at" not in hold:
            assert compliance.ask("POST", f"/legal-holds/{hold['id']}/release")[0] == 200


def letters(stack, to):
    """The emails to somebody, the latest last."""
    with urllib.request.urlopen(f"{stack.json['aws_endpoint_url']}/_ministack/ses/messages", timeout=ANSWERS_WITHIN) as answer:
        accounts = json.load(answer)["messages"].values()
    return [letter for sent in accounts for letter in sent if to in letter["To"]]


def temporary(letter):
    """The temporary password in an email."""
    [password] = re.findall(r"^Temporary password: (\w+)$", letter["BodyText"], re.M)
    return password


def comes_in(stack, email, password, chosen):
    """The access token of somebody who signs in the first time, and chooses a password."""
    status, _, asked = call(stack, "/v1/auth/sign-in", {"email": email, "password": password})
    assert (status, asked["challenge"]) == (200, "new_password"), asked
    status, _, told = call(stack, "/v1/auth/sign-in/challenge", {"session": asked["session"], "new_password": chosen})
    assert status == 200, told
    return told["access_token"]


# What a founder chooses.
CHOSEN = "seventeen quiet kayaks pass the weir"


def founded(stack, name, email):
    """The Controller of a new organisation."""
    order = {"name": name, "residency": "eu", "controller_email": email}
    status, _, made = call(stack, "/v1/orgs", order, token(stack, stack.json["operator"]))
    assert status == 201, made
    return Person(stack, comes_in(stack, email, temporary(letters(stack, email)[-1]), CHOSEN), made["id"])


def scanned(svg):
    """What a camera reads of the picture."""
    side = int(re.search(r'width="(\d+)"', svg)[1])
    pixels = bytearray(b"\xff" * (side * side))
    for left, top, width, height in (map(int, rect) for rect in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)", svg)):
        for row in range(top, top + height):
            pixels[row * side + left:row * side + left + width] = bytes(width)
    [code] = zxingcpp.read_barcodes(memoryview(bytes(pixels)).cast("B", (side, side)))
    return code.text


def member(stack, role, org=0):
    """Somebody of that role."""
    return next(who for who in stack.orgs[org]["members"] if who["role"] == role)


def seal(stack):
    """Has the audit log sealed up to this second, now; whether all of it was."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    answer = stack.aws("lambda").invoke(FunctionName=stack.resources.JobAuditSeal, Payload=json.dumps({"seal_until": until}).encode())
    return "FunctionError" not in answer
