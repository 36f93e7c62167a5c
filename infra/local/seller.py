"""The Stripe double beside the stack: its process, and in it an account for each demo organisation."""

import contextlib
import dataclasses
import json
import pathlib
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

from .aws import START_SECONDS, StackError, stop, tail
from .files import write_private
from .stripe.world import new_id

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRST_PORT = 12111
# Of the organisations' keys: what Plixo asks Stripe for, and no more.
PERMISSIONS = ["checkout_session_write", "event_read"]


@dataclasses.dataclass(eq=False)
class Stripe:
    """A running double. `accounts` have `org`, `id` and `key`."""

    process: subprocess.Popen
    base_url: str
    accounts: list[dict]
    log: pathlib.Path

    def description(self) -> dict:
        """`stripe` of `stack.json`."""
        return {"base_url": self.base_url, "accounts": self.accounts}


def address(listener: socket.socket) -> str:
    """Where the double is reached that is, or will be, on a listening socket."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def kept_port(data: pathlib.Path) -> int | None:
    """The port that kept data needs, for addresses of the double's pages are kept with the data."""
    kept = _kept(data)
    return kept["port"] if kept else None


def accounts(orgs: list[dict], data: pathlib.Path | None) -> list[dict]:
    """An account and a restricted key for each organisation: those that are kept, or new ones."""
    kept = (_kept(data) if data else None) or {"accounts": []}
    known = {account["org"]: account for account in kept["accounts"]}
    return [
        known.get(org["id"]) or {"org": org["id"], "id": new_id("acct_1", 15), "key": new_id("rk_test_", 40)} for org in orgs
    ]


def configured(orgs: list[dict], accounts: list[dict]) -> list[dict]:
    """The accounts as the double takes them: what happens there is told to the organisation's webhook endpoints."""
    return [
        {
            "id": account["id"],
            "name": org["name"],
            "keys": [{"key": account["key"], "permissions": PERMISSIONS}],
            "webhook_endpoints": [
                {"url": endpoint["url"], "secret": endpoint["secret"]}
                for endpoint in org["webhook_endpoints"]
                if endpoint["provider"] == "stripe"
            ],
        }
        for org, account in zip(orgs, accounts, strict=True)
    ]


@contextlib.contextmanager
def running(
    listener: socket.socket, orgs: list[dict], logs: pathlib.Path, scratch: pathlib.Path, data: pathlib.Path | None
) -> Iterator[Stripe]:
    """The double on a listening socket, which it takes over, until the block ends.

    What it knows of sessions and payments is gone with it; its address, accounts and keys are kept in `data`, where given.
    """
    made = accounts(orgs, data)
    config = scratch / "stripe-accounts.json"
    write_private(config, configured(orgs, made))
    log, url, port = logs / "stripe-double.log", address(listener), listener.getsockname()[1]
    with beside("Stripe", "infra.local.stripe", listener, log, "--accounts", str(config)) as process:
        if data:
            write_private(data / "stripe.json", {"port": port, "accounts": made})
        yield Stripe(process, url, made, log)


@contextlib.contextmanager
def beside(name: str, module: str, listener: socket.socket, log: pathlib.Path, *options: str) -> Iterator[subprocess.Popen]:
    """A double's process on a listening socket, which it takes over, ready, until the block ends."""
    url = address(listener)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--stop-on-stdin-eof", "--socket", str(listener.fileno()), *options],
            cwd=ROOT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            pass_fds=(listener.fileno(),),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    # Only the double may hold it, so that its end is seen as a refused connection, not as a silent one.
    listener.close()
    try:
        # The socket listens already, so one request waits exactly as long as the double takes.
        try:
            with urllib.request.urlopen(f"{url}/_double/", timeout=START_SECONDS) as answer:
                answer.read()
        except OSError as error:
            raise StackError(f"the {name} double does not start ({error}):\n{tail(log)}") from error
        yield process
    finally:
        stop(process)


def _kept(data: pathlib.Path) -> dict | None:
    file = data / "stripe.json"
    return json.loads(file.read_text()) if file.exists() else None
