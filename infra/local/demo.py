"""The demo organisations, made and read by `plixoctl`, which uses the domain and store code of production."""

import json
import os
import pathlib
import subprocess

from .aws import StackError

SECONDS = 60


class Plixoctl:
    """The command, in an environment that reaches the stack."""

    def __init__(self, binary: pathlib.Path, env: dict[str, str]):
        self.binary = binary
        self.env = {"PATH": os.environ.get("PATH", ""), **env}

    def seed(self, base_url: str) -> dict:
        """Makes the demo organisations and the operator, or finds them made: `orgs` and `operator` of `stack.json`."""
        return self._call("demo", "seed", "--base-url", base_url)

    def connect_stripe(self, org: str, key: str) -> dict:
        """Has the organisation's payers pay by that restricted key."""
        return self._call("demo", "connect-stripe", "--org", org, env={"STRIPE_KEY": key})

    def ledger(self, org: str, invoices: list[str], events: list[str] | None = None) -> dict:
        """Invoices with their payments and allocations, and webhook events given as `ENDPOINT:PROVIDER_EVENT_ID`."""
        named = [part for invoice in invoices for part in ("--invoice", invoice)]
        named += [part for event in events or [] for part in ("--events", event)]
        return self._call("demo", "ledger", "--org", org, *named)

    def _call(self, *arguments: str, env: dict[str, str] | None = None) -> dict:
        command = [str(self.binary), *arguments]
        done = subprocess.run(command, env=self.env | (env or {}), capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode != 0:
            raise StackError(f"plixoctl {' '.join(arguments)} failed:\n{(done.stderr or done.stdout).strip()}")
        return json.loads(done.stdout)
