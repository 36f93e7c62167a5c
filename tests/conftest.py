"""One stack for all end-to-end tests of a run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent


# How many times as long as on a machine that does nothing else something may take before it counts as never.
PATIENCE = 6
# What is answered where a function gave up waiting for a busy emulator: while it started, and later. What asks again does so at these alone.
BUSY = (502, 503)
# So many seconds an answer may take: twice what a function has, for one that did not start in time starts anew, and what its start takes.
ANSWERS_WITHIN = 120


def wait_for(condition, seconds, what):
    """The first truthy answer of `condition`, which is asked until it gives one: ever less often, for asking is work as well."""
    deadline, pause = time.monotonic() + PATIENCE * seconds, 0.02
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(pause)
        pause = min(1.3 * pause, 0.3)
    pytest.fail(f"after {PATIENCE * seconds} s there was still no {what}")


def heard(ask):
    """The answer to a request that may be asked again, status first, once it is not that of a busy emulator."""
    return wait_for(lambda: answer if (answer := ask())[0] not in BUSY else None, 10, "answer in time")


class Stack:
    """A local stack of its own, gone when it is closed or when this process is."""

    def __init__(self, state_dir, *options):
        self.dir, self.bin = Path(state_dir), Path(os.environ["PLIXO_BIN_DIR"])
        output = open(self.dir / "launcher.log", "wb")
        command = [sys.executable, "-m", "infra.local", "run", "--port", "0", "--state-dir", str(self.dir), "--bin-dir", str(self.bin),
                   "--no-walkthrough", "--stop-on-stdin-eof", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
        file = self.dir / "stack.json"
        wait_for(lambda: file.exists() or self.process.poll() is not None, 120, "stack")
        if not file.exists():
            pytest.fail((self.dir / "launcher.log").read_text())
        self.json = json.loads(file.read_text())
        self.base_url = self.json["base_url"]
        self.resources = SimpleNamespace(**self.json["resources"])
        self.orgs = self.json["orgs"]
        self.clients = {}
        self.stop_schedules()

    def close(self):
        self.process.stdin.close()
        self.process.wait(90)

    def stop_schedules(self):
        """Jobs run when a test has them run, and not at some minute of the hour."""
        scheduler = self.aws("scheduler")
        for listed in scheduler.list_schedules()["Schedules"]:
            known = scheduler.get_schedule(Name=listed["Name"])
            kept = {name: known[name] for name in ("Name", "Description", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
            scheduler.update_schedule(**kept, State="DISABLED")

    def aws(self, service):
        env = self.json["env"]
        if service not in self.clients:
            # Of a session of its own: the one that all share is not for threads. A job is called once, and takes up to 300 s.
            config = Config(read_timeout=330, retries={"total_max_attempts": 1}) if service == "lambda" else None
            self.clients[service] = boto3.session.Session().client(
                service, config=config, endpoint_url=self.json["aws_endpoint_url"], region_name=self.json["region"],
                aws_access_key_id=env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"])
        return self.clients[service]

    def plixoctl(self, *arguments):
        """The end of an operators' command."""
        return self.run("plixoctl", *arguments, env={**os.environ, **self.json["env"]})

    def run(self, name, *arguments, env):
        """The end of a command with nothing but this environment."""
        return subprocess.run([self.bin / name, *arguments], env=env, capture_output=True, text=True)

    def ledger(self, org, *what):
        """What `plixoctl demo ledger` shows: the contract's shapes."""
        done = self.plixoctl("demo", "ledger", "--org", org["id"], *what)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def invoice(self, org, invoice_id):
        return self.ledger(org, "--invoice", invoice_id)["invoices"][0]

    def log(self, function):
        """The text of a function's log so far, up to the last whole line."""
        file = self.dir / "logs" / f"{function}.log"
        return file.read_text().rpartition("\n")[0] if file.exists() else ""

    def lines(self, function):
        """The function's log lines so far."""
        return [json.loads(line) for line in self.log(function).splitlines() if line.startswith("{")]

    def worked(self, event_id):
        """The worker's line that ended an event."""
        told = (json.loads(line) for line in self.log("worker-stripe").splitlines() if event_id in line and line.startswith("{"))
        return next((line for line in told if line.get("event_id") == event_id and "error" not in line), None)


# The longest, which come first, so that none is begun when all else is done.
LONGEST = ("test_rights", "test_api", "test_pages", "test_all_at_once", "test_console")


def pytest_collection_modifyitems(items):
    # A log that goes back further than a year, as retention needs one, is long to export: that comes last.
    order = {name: place - len(LONGEST) for place, name in enumerate(LONGEST)} | {"test_retention": 1}
    items.sort(key=lambda item: order.get(item.path.stem, 0))


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.close()
