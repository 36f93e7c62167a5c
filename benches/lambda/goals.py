"""The goals, and whether the figures of one run hold them."""

import dataclasses

OURS = "plixo"
# What is measured without peers: the workload, and its CPU time to the first response if that is a goal.
ALONE = {"read": 30, "list": 30, "payer": 20, "door": None, "forged": None}
# The AWS calls per warm event of each workload.
CALLS = {
    "webhook": {"SQS.SendMessage": 1},
    "webhook_bad": {},
    "worker": {"DynamoDB.BatchGetItem": 0.1, "DynamoDB.TransactWriteItems": 1},
    "erp": {"SQS.SendMessage": 1},
    "erp_bad": {},
    "read": {"DynamoDB.BatchGetItem": 1, "DynamoDB.TransactWriteItems": 1},
    "list": {"DynamoDB.BatchGetItem": 2, "DynamoDB.Query": 1, "DynamoDB.TransactWriteItems": 1},
    "payer": {"DynamoDB.BatchGetItem": 1, "DynamoDB.TransactWriteItems": 1},
    "door": {"DynamoDB.BatchGetItem": 1},
    "forged": {},
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One goal and what was measured."""

    goal: str
    bound: str
    measured: str
    held: bool


def ratio(rows: dict, workload: str, figure: str, peer: str, most: float, words: str) -> Verdict:
    """Ours is at most that part of the peer's."""
    ours, theirs = rows[workload, OURS][figure], rows[workload, peer][figure]
    return Verdict(f"{workload}: {words}", f"≤ {most:g} of {peer}'s", f"{ours / theirs:.3f}", ours <= most * theirs)


def erps(rows: dict, workload: str, figure: str, most: float, words: str) -> Verdict:
    """Ours for ERPs is at most that part of Node's for Stripe."""
    ours, theirs = rows[workload, OURS][figure], rows["webhook", "node"][figure]
    return Verdict(f"{workload}: {words}", f"≤ {most:g} of node's for Stripe", f"{ours / theirs:.3f}", ours <= most * theirs)


def most(rows: dict, workload: str, figure: str, bound: float, words: str) -> Verdict:
    """Ours is at most so much."""
    ours = rows[workload, OURS][figure]
    return Verdict(f"{workload}: {words}", f"≤ {bound:g}", f"{ours:.3g}", ours <= bound)


def calls(rows: dict, workload: str, wanted: dict[str, float]) -> Verdict:
    """Ours are exactly these per event."""
    ours = rows[workload, OURS]["calls"]
    words = ", ".join(f"{count:g} {name}" for name, count in ours.items()) or "none"
    bound = ", ".join(f"{count:g} {name}" for name, count in wanted.items()) or "none"
    return Verdict(f"{workload}: AWS calls per warm event", bound, words, ours == wanted)


def call_verdicts(results: list[dict]) -> list[Verdict]:
    """The goals that hold in any build and on any machine."""
    rows = {(row["workload"], row["target"]): row for row in results}
    return [calls(rows, workload, wanted) for workload, wanted in CALLS.items() if (workload, OURS) in rows]


def verdicts(results: list[dict], zipped_mb: dict[str, float]) -> list[Verdict]:
    """All goals."""
    rows = {(row["workload"], row["target"]): row for row in results}
    cpu, start, memory = "CPU seconds per 1000 events", "CPU to the first response", "peak memory, MB"
    kms = rows["worker", OURS]["kms_calls"]
    return [
        ratio(rows, "webhook", "cpu_to_first_ms", "node", 0.10, start),
        ratio(rows, "webhook", "cpu_per_1000_s", "node", 0.20, cpu),
        ratio(rows, "webhook_bad", "cpu_per_1000_s", "python", 0.40, cpu),
        erps(rows, "erp", "cpu_per_1000_s", 0.20, cpu),
        most(rows, "erp", "peak_memory_mb", 16, memory),
        ratio(rows, "worker", "cpu_to_first_ms", "node", 0.10, start),
        ratio(rows, "worker", "cpu_per_1000_s", "node", 0.25, cpu),
        most(rows, "webhook", "peak_memory_mb", 16, memory),
        most(rows, "webhook_bad", "peak_memory_mb", 16, memory),
        most(rows, "worker", "peak_memory_mb", 20, memory),
        *call_verdicts(results),
        Verdict("worker: KMS calls of one organisation in the whole run", "≤ 1 in 5 minutes", str(kms), kms <= 1),
        *(
            Verdict(f"{name}: zipped, MB", "≤ 5", f"{size:.2f}", size <= 5)
            for name, size in zipped_mb.items() if name in ("webhook-erp", "webhook-stripe", "worker-stripe")
        ),
        *(
            goal
            for workload, first_ms in ALONE.items()
            for goal in (
                *([most(rows, workload, "cpu_to_first_ms", first_ms, f"{start}, ms")] if first_ms else []),
                most(rows, workload, "cpu_per_1000_s", 2, cpu),
                most(rows, workload, "peak_memory_mb", 30, memory),
            )
        ),
    ]
