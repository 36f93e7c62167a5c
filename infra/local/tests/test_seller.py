"""The Stripe double beside the stack: its process, its accounts, and that what happens there reaches the stack."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import types
import urllib.error
import urllib.parse
import urllib.request

import pytest
import stripe
from conftest import BUSY, wait_for
from conftest import Stack as RunningStack

from infra.local import aws as emulator
from infra.local import seller
from infra.local.stack import Stack, addresses

ROOT = pathlib.Path(__file__).resolve().parents[3]
ORGS = [
    {
        "id": f"org_{number}",
        "name": f"Seller {number}",
        "webhook_endpoints": [
            {"id": f"whe_{number}", "provider": "stripe", "url": f"http://127.0.0.1:9/{number}", "secret": f"whsec_{number}"},
            {"id": "whe_erp", "provider": "erp", "url": "http://127.0.0.1:9/erp", "secret": "other"},
        ],
    }
    for number in (1, 2)
]
HOLD = """
import json, pathlib, sys, time
from infra.local import aws, seller
base = pathlib.Path(sys.argv[1])
with seller.running(aws.listen(0), json.loads(sys.argv[2]), base, base, None) as running:
    print(running.process.pid, flush=True)
    time.sleep(60)
"""


def running(base, data=None, port=0):
    return seller.running(emulator.listen(port), ORGS, base, base, data)


def asked(url, body=None, **headers):
    """The JSON that a double answers."""
    headers = {"content-type": "application/json", **headers}
    sent = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, sent, headers), timeout=90) as answer:
        return json.load(answer)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def refuses(url):
    try:
        asked(f"{url}/_double/")
    except urllib.error.URLError as error:
        return isinstance(error.reason, ConnectionRefusedError)
    return False


# ---- Its process ---------------------------------------------------------------------------------------------------------


def test_each_organisation_has_an_account_that_tells_its_stripe_endpoint(tmp_path):
    with running(tmp_path) as double:
        [first, second] = asked(f"{double.base_url}/_double/")["accounts"]
        pid = double.process.pid
    assert [account["org"] for account in double.accounts] == ["org_1", "org_2"]
    for shown, account, org in zip((first, second), double.accounts, ORGS, strict=True):
        assert (shown["id"], shown["name"]) == (account["id"], org["name"])
        assert shown["keys"] == [{"key": account["key"], "permissions": ["checkout_session_write", "event_read"]}]
        [hook] = shown["webhook_endpoints"]
        assert (hook["url"], hook["secret"]) == (org["webhook_endpoints"][0]["url"], org["webhook_endpoints"][0]["secret"])
    assert not alive(pid)
    assert refuses(double.base_url)


def test_what_is_written_for_it_is_private(tmp_path):
    with running(tmp_path, tmp_path):
        for name in ("stripe-accounts.json", "stripe.json"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_data_keeps_port_accounts_and_keys(tmp_path):
    assert seller.kept_port(tmp_path) is None
    with running(tmp_path, tmp_path) as first:
        pass
    port = seller.kept_port(tmp_path)
    with running(tmp_path, tmp_path, port) as second:
        pass
    assert (second.base_url, second.accounts) == (first.base_url, first.accounts)
    [old, new] = seller.accounts([ORGS[0], {"id": "org_3"}], tmp_path)
    assert old == first.accounts[0]
    assert new["key"].startswith("rk_test_") and new not in first.accounts


def test_without_data_all_of_it_is_new(tmp_path):
    one, other = seller.accounts(ORGS, None), seller.accounts(ORGS, None)
    assert not {account["key"] for account in one} & {account["key"] for account in other}


def test_a_killed_launcher_leaves_no_double(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path), json.dumps(ORGS)]
    launcher = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        pid = int(launcher.stdout.readline())
        assert alive(pid)
    finally:
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
        launcher.stdout.close()
    wait_for(lambda: not alive(pid), 20, "end of the double")


def test_a_double_that_does_not_start_says_why(tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(seller.sys, "executable", str(broken))
    with pytest.raises(emulator.StackError, match="no such module"), running(tmp_path):
        pass


def test_a_double_that_ends_ends_the_stack(tmp_path):
    log = tmp_path / "stripe-double.log"
    log.write_text("out of luck\n")
    lasting = subprocess.Popen(["sleep", "60"])
    try:
        aws = emulator.Aws(process=lasting, port=0, base_port=0, logs=tmp_path)
        double = seller.Stripe(subprocess.Popen(["false"]), "http://127.0.0.1:9", [], log)
        with pytest.raises(emulator.StackError, match=r"Stripe double ended by itself \(1\):\nout of luck"):
            Stack(aws, {}, {}, plixoctl=None, orgs=[], stripe=double).stay()
    finally:
        lasting.kill()
        lasting.wait()


def test_a_template_is_told_where_stripe_is_if_it_asks():
    asks = {"Parameters": {"BaseUrl": {}, "StripeApiUrl": {}, "StripeCheckoutOrigin": {}}}
    told = addresses("http://127.0.0.1:1", "http://127.0.0.1:2", asks)
    assert told == {"BaseUrl": "http://127.0.0.1:1", "StripeApiUrl": "http://127.0.0.1:2", "StripeCheckoutOrigin": "http://127.0.0.1:2"}
    assert addresses("http://127.0.0.1:1", "http://127.0.0.1:2", {"Resources": {}}) == {"BaseUrl": "http://127.0.0.1:1"}


# ---- Beside a stack --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="data")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module", name="beside")
def started(tmp_path_factory, data):
    stack = RunningStack(tmp_path_factory.mktemp("seller"), "--data", str(data))
    yield stack
    stack.close()


def opened(stack, number=0):
    """The double's address, the account of an organisation, and Stripe's own client with its key."""
    told = stack.json["stripe"]
    account = told["accounts"][number]
    client = stripe.StripeClient(account["key"], base_addresses={"api": told["base_url"]}, max_network_retries=0)
    return types.SimpleNamespace(url=told["base_url"], account=account, api=client.v1)


def test_what_is_paid_at_the_double_is_paid_in_the_stack(beside):
    org, double = beside.orgs[0], opened(beside)
    assert double.account["org"] == org["id"]
    invoice = next(beside.invoice(org, made["id"]) for made in org["invoices"] if made["status"] == "open")
    money, about = invoice["balance"], {"plixo_invoice_id": invoice["id"]}
    line = {"currency": money["currency"].lower(), "unit_amount": money["amount"], "product_data": {"name": invoice["number"]}}
    session = double.api.checkout.sessions.create({
        "mode": "payment", "line_items": [{"price_data": line, "quantity": 1}], "metadata": about,
        "payment_intent_data": {"metadata": about}, "success_url": f"{beside.base_url}/", "cancel_url": f"{beside.base_url}/",
    })  # fmt: skip
    card = {"method": "card", "card_number": "4242 4242 4242 4242", "expiry": "12/34", "cvc": "123"}
    form = urllib.parse.urlencode(card | {"name": "Ada Byron", "email": "ada@example.com"}).encode()
    opener = urllib.request.build_opener(Staying)
    with opener.open(session.url, form, timeout=30) as answer:
        assert (answer.status, answer.headers["location"]) == (303, f"{beside.base_url}/")

    deliveries = asked(f"{double.url}/_double/wait", {"seconds": 30})["data"]
    assert "checkout.session.completed" in [one["type"] for one in deliveries]
    for one in deliveries:
        assert (one["account"], one["state"]) == (double.account["id"], "delivered")
        # All functions start with these, so that one may have no answer in time.
        statuses = [attempt["status"] for attempt in one["attempts"]]
        assert statuses[-1] == 200 and set(statuses[:-1]) <= set(BUSY), one
        assert one["url"] == org["webhook_endpoints"][0]["url"]
    paid = wait_for(lambda: (now := beside.invoice(org, invoice["id"]))["status"] == "paid" and now, 30, "paid invoice")
    assert paid["balance"]["amount"] == 0


class Staying(urllib.request.HTTPRedirectHandler):
    """Shows where a page leads to, instead of going there."""

    def http_error_303(self, request, answer, *_):
        return answer


def test_a_key_may_do_nothing_but_what_plixo_does(beside):
    double = opened(beside)
    assert double.api.checkout.sessions.list().object == double.api.events.list().object == "list"
    with pytest.raises(stripe.PermissionError):
        double.api.payment_intents.create({"amount": 100, "currency": "eur"})


def test_the_double_goes_with_the_stack_and_comes_back_as_it_was_told(beside, data, tmp_path):
    told = beside.json["stripe"]
    beside.close()
    assert refuses(told["base_url"])
    again = RunningStack(tmp_path, "--data", str(data))
    try:
        assert again.json["stripe"] == told
        shown = asked(f"{told['base_url']}/_double/")["accounts"]
        assert [it["webhook_endpoints"][0]["url"] for it in shown] == [org["webhook_endpoints"][0]["url"] for org in again.orgs]
    finally:
        again.close()
    assert refuses(told["base_url"])
