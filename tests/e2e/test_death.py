"""The worker's process is killed in the middle of its work, and everything still counts once."""

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conftest import Stack, wait_for
from events import event, tell


def processes(stack, function):
    """The processes that run a function of this stack: descendants of its launcher."""
    parents, found = {}, []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    for pid in parents:
        ancestor = pid
        while ancestor in parents and ancestor != stack.process.pid:
            ancestor = parents[ancestor]
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        named = any(it.startswith(b"AWS_LAMBDA_FUNCTION_NAME=") and function.encode() in it for it in environment)
        if ancestor == stack.process.pid and pid != ancestor and named:
            found.append(pid)
    return found


def test_events_survive_a_worker_that_is_killed(tmp_path):
    stack = Stack(tmp_path)
    try:
        org = stack.orgs[0]
        endpoint, invoices = org["webhook_endpoints"][0], [it["id"] for it in org["invoices"] if it["status"] == "open"]
        stack.aws("sqs").set_queue_attributes(QueueUrl=stack.resources.StripeEventsQueue, Attributes={"VisibilityTimeout": "5"})
        made = [event("payment_intent.succeeded", invoice=invoices[number % 4], intent=f"pi_{number}", amount=100) for number in range(80)]
        with ThreadPoolExecutor(8) as senders:
            killed = 0
            for part in range(3):
                worked = len(stack.lines("worker-stripe"))
                sending = senders.map(lambda it: tell(endpoint, it), made[part::3])
                wait_for(lambda: len(stack.lines("worker-stripe")) > worked, 30, "work")
                for pid in processes(stack, "WorkerStripe"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
                assert set(sending) == {200}
        assert killed >= 3
        wait_for(lambda: all(stack.worked(it["id"]) for it in made), 90, "end of work")
        assert [line for line in stack.lines("worker-stripe") if line["receive_count"] > 1], "some were killed in the middle of it"
        for invoice in stack.ledger(org, *(word for it in invoices for word in ("--invoice", it)))["invoices"]:
            assert invoice["total"]["amount"] - invoice["balance"]["amount"] == 20 * 100
            assert len(invoice["allocations"]) == 20
    finally:
        stack.close()
