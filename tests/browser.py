"""A person at a browser: Chromium, and a visitor that sends what browsers never would."""

import http.client
import json
import subprocess
import urllib.parse
from types import SimpleNamespace

from conftest import ANSWERS_WITHIN, ROOT
from people import fresh_code


class Browser:
    """Chromium with one page. Everything that is shown is what the browser got."""

    def __init__(self, base_url):
        self.base_url = base_url
        self.process = subprocess.Popen(["node", "tests/browser.mjs"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.start()

    def close(self):
        self.process.stdin.close()
        self.process.wait(90)

    def _do(self, command, **details):
        self.process.stdin.write(json.dumps({"command": command, **details}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "failed" not in answer, answer["failed"]
        done = answer["done"]
        if isinstance(done, dict) and "complaints" in done:
            assert done["complaints"] == [], done
            return SimpleNamespace(**done, path=done["url"].removeprefix(self.base_url))
        return done

    def start(self, width=1280, scheme="light"):
        """Another person: no cookies, nothing kept."""
        self._do("start", width=width, scheme=scheme)

    def goto(self, path):
        return self._do("goto", url=self.base_url + path)

    def fill(self, **fields):
        for name, value in fields.items():
            self._do("fill", name=name.replace("__", "."), value=value)

    def press(self, name, /, **fields):
        """Fills fields in, and presses what leads to another page."""
        self.fill(**fields)
        return self._do("press", name=name)

    def keys(self, *keys):
        """Presses keys that lead to no other page: `Tab`, `Shift+Tab`, `Backspace`."""
        return self._do("keys", keys=keys)

    def type(self, text):
        """Types into what has the focus."""
        self._do("type", text=text)

    def enter(self):
        """Presses Enter, which leads to another page."""
        return self._do("enter")

    def open(self, name):
        self._do("open", name=name)

    def value(self, name):
        return self._do("value", name=name)

    def html(self, selector):
        return self._do("html", selector=selector)

    def look(self):
        return self._do("look")

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self._do("cookies")}

    def forget(self, name):
        self._do("forget", name=name)

    def axe(self):
        """What axe-core finds wrong."""
        return self._do("axe")

    def shot(self, path):
        self._do("shot", path=str(path))

    def sign_in(self, who, path="/orgs"):
        """Signs somebody of `stack.json` in, who asked for a page."""
        self.goto(path)
        self.press("Continue", email=who["email"], password=who["password"])
        return self.press("Sign in", code=fresh_code(who["totp_secret"]))


class Visitor:
    """Forms and cookies without Chromium."""

    def __init__(self, stack, cookies=()):
        self.stack, self.cookies = stack, dict(cookies)

    def get(self, path):
        """Status, headers and text of a page."""
        return self._keep(send(self.stack.base_url, "GET", path, self._headers()))

    def post(self, path, **fields):
        """Status, headers and text of the answer to a form."""
        fields = {name.replace("__", "."): value for name, value in fields.items()}
        return self._keep(send(self.stack.base_url, "POST", path, self._headers(), fields))

    def _headers(self):
        return {"sec-fetch-site": "same-origin", "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _keep(self, answer):
        for cookie in filter(None, answer[1].get("set-cookie", "").split("\n")):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


def send(base_url, method, path, headers=None, fields=None):
    """Status, headers and text of an answer to what anybody may send: a form's fields, or its bytes."""
    target = urllib.parse.urlsplit(base_url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=ANSWERS_WITHIN)
    try:
        form = {"content-type": "application/x-www-form-urlencoded"} if fields is not None else {}
        sent = fields if isinstance(fields, bytes) else urllib.parse.urlencode(fields or {})
        connection.request(method, path, sent, {**form, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read().decode()
        told = {}
        for name, value in answer.getheaders():
            name = name.lower()
            told[name] = f"{told[name]}\n{value}" if name in told else value
        return answer.status, told, text
    finally:
        connection.close()
