"""The worker's process is killed in the middle of its work, and everything still counts once."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conftest import Stack, wait_for
from events import deliver, event


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
        endpoint, invoice = org["webhook_endpoints"][0], org["invoices"][2]
        stack.aws("sqs").set_queue_attributes(QueueUrl=stack.resources.StripeEventsQueue, Attributes={"VisibilityTimeout": "2"})
        made = [event("payment_intent.succeeded", invoice=invoice["id"], intent=f"pi_{number}", amount=1_000) for number in range(120)]
        with ThreadPoolExecutor(8) as senders:
            sending = senders.map(lambda it: deliver(endpoint, it), made)
            killed = 0
            for _ in range(3):
                worked = len(stack.lines("worker-stripe"))
                wait_for(lambda: len(stack.lines("worker-stripe")) > worked + 5, 30, "work")
                for pid in processes(stack, "WorkerStripe"):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            assert set(sending) == {200}
        assert killed >= 3
        wait_for(lambda: all(stack.worked(it["id"]) for it in made), 90, "end of work")
        shown = stack.invoice(org, invoice["id"])
        assert len(shown["allocations"]) == 64 and shown["total"]["amount"] - shown["balance"]["amount"] == 64_000
        names = [word for number in range(120) for word in ("--payment", f"pi_{number}")]
        payments = stack.ledger(org, *names)["payments"]
        assert sum(it["amount"]["amount"] for it in payments) == 120_000
        assert sum(it["unapplied"]["amount"] for it in payments) == 56_000
    finally:
        stack.close()
