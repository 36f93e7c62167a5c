"""Measures functions side by side: cold starts first, then warm events, each workload's targets in turn."""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import ssl
import statistics
import subprocess
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Callable

import world
from environment import Environment

HERE = pathlib.Path(__file__).resolve().parent
KMS_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Target:
    """Somebody's functions."""

    name: str
    directory: pathlib.Path
    receiver: list[str]
    worker: list[str]
    ledger: list[str] = ()
    links: list[str] = ()
    portal: list[str] = ()
    erps: list[str] = ()


@dataclasses.dataclass(frozen=True)
class Workload:
    """Events of one kind, and what counts as their answer."""

    name: str
    function: str
    event: Callable[[world.Events, int], dict]
    done: Callable[[dict], bool]
    invocations: int
    events: int = 1
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    # Makes what the events are about, with requests to functions by their names.
    prepare: Callable[[world.Events, Callable[[str, dict], dict]], None] | None = None


KEPT = {"LEDGER_TABLE": world.KEPT_TABLE}
WORKLOADS = [
    Workload("webhook", "receiver", world.Events.delivery, lambda answer: answer["statusCode"] == 200, 2000),
    Workload("webhook_bad", "receiver", world.Events.forged, lambda answer: answer["statusCode"] == 400, 2000),
    Workload("worker", "worker", world.Events.batch, lambda answer: answer["batchItemFailures"] == [], 400, world.BATCH),
    Workload("erp", "erps", world.Events.erp, lambda answer: answer["statusCode"] == 200, 2000),
    Workload("erp_bad", "erps", world.Events.erp_forged, lambda answer: answer["statusCode"] == 401, 2000),
    Workload("read", "ledger", world.Staff.read, lambda answer: answer["statusCode"] == 200, 2000, variables=KEPT,
             prepare=world.Staff.open),
    Workload("list", "ledger", world.Staff.list, lambda answer: len(json.loads(answer["body"])["data"]) == world.LIST, 1000, variables=KEPT,
             prepare=world.Staff.open),
    # With its button: it can be paid.
    Workload("payer", "portal", world.Payers.payer, lambda answer: answer["statusCode"] == 200 and "/p/session/checkout" in answer["body"],
             2000, variables=KEPT, prepare=world.Payers.come),
    Workload("door", "portal", world.Payers.door, lambda answer: answer["statusCode"] == 200, 2000, variables=KEPT,
             prepare=world.Payers.come),
    Workload("forged", "portal", world.Payers.guess, lambda answer: answer["statusCode"] == 404, 2000, variables=KEPT,
             prepare=world.Payers.come),
]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How many cold starts; warm events as a multiple of the workload's; in how many turns these are dealt."""

    cold: int
    warm: float
    rounds: int = 4


class FakeAws:
    """The counting fake, over https with a certificate of a throw-away authority, whose root stands among the system's
    own: so trust costs what it costs on AWS."""

    def __init__(self, cpu: int | None, delay_ms: int):
        self._folder = tempfile.TemporaryDirectory(prefix="plixo-bench-")
        folder = pathlib.Path(self._folder.name)
        _certificates(folder)
        (folder / "world.json").write_text(json.dumps(world.contents()))
        env = {"WORLD": folder / "world.json", "CERT": folder / "leaf.pem", "KEY": folder / "leaf.key", "DELAY_MS": delay_ms}
        command = ["node", str(HERE / "fake_aws.mjs")]
        self._process = subprocess.Popen(
            command, env=os.environ | {key: str(value) for key, value in env.items()}, stdout=subprocess.PIPE
        )
        if cpu is not None:
            os.sched_setaffinity(self._process.pid, {cpu})
        ports = json.loads(self._process.stdout.readline())
        self._base = f"http://127.0.0.1:{ports['http']}"
        endpoint = f"https://localhost:{ports['https']}"
        trust = {"SSL_CERT_FILE": "bundle.pem", "AWS_CA_BUNDLE": "bundle.pem", "NODE_EXTRA_CA_CERTS": "ca.pem"}
        self.variables = {
            "AWS_ENDPOINT_URL": endpoint,
            **{name: str(folder / file) for name, file in trust.items()},
            **world.variables(endpoint),
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def reset(self):
        """Counts from zero."""
        self._get("/_reset")

    def counts(self) -> Counter:
        """Calls by operation since the last reset."""
        return Counter(self._get("/_counts"))

    def _get(self, path: str) -> dict:
        with urllib.request.urlopen(self._base + path, timeout=5) as answer:
            return json.load(answer)


def _certificates(folder: pathlib.Path):
    def openssl(*arguments: str):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new, "-days", "2", "-subj", "/CN=bench-ca", "-keyout", "ca.key", "-out", "ca.pem",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    openssl("req", *new, "-subj", "/CN=localhost", "-keyout", "leaf.key", "-out", "leaf.csr")
    (folder / "ext").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "ext", "-out", "leaf.pem")
    roots = pathlib.Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    (folder / "bundle.pem").write_bytes(roots.read_bytes() + (folder / "ca.pem").read_bytes())


@dataclasses.dataclass
class _Samples:
    init: list[float] = dataclasses.field(default_factory=list)
    first: list[float] = dataclasses.field(default_factory=list)
    cpu_to_first: list[float] = dataclasses.field(default_factory=list)
    start_calls: Counter = dataclasses.field(default_factory=Counter)
    warm: list[float] = dataclasses.field(default_factory=list)
    cpu: float = 0.0
    memory: float = 0.0
    calls: Counter = dataclasses.field(default_factory=Counter)
    kms_calls: int = 0


def measure(targets: list[Target], workloads: list[Workload], plan: Plan, delay_ms: int = 0) -> list[dict]:
    """The figures of each workload and target."""
    cpus = sorted(os.sched_getaffinity(0))
    function_cpu, own_cpu = (cpus[-1], cpus[0]) if len(cpus) > 1 else (None, None)
    if own_cpu is not None:
        os.sched_setaffinity(0, {own_cpu})
    try:
        with FakeAws(own_cpu, delay_ms) as aws:
            events = world.Payers(HERE.parent.parent / "events" / "stripe")
            runs = (_Run(aws, events, function_cpu, plan, workload, targets) for workload in workloads)
            return [row for run in runs for row in run.rows()]
    finally:
        os.sched_setaffinity(0, set(cpus))


class _Run:
    def __init__(self, aws: FakeAws, events: world.Events, cpu: int | None, plan: Plan, workload: Workload, targets: list[Target]):
        self.aws, self.events, self.cpu, self.plan, self.workload = aws, events, cpu, plan, workload
        # The peers have neither staff nor payers.
        self.targets = [target for target in targets if getattr(target, workload.function)]
        self.samples = {target.name: _Samples() for target in self.targets}

    def rows(self) -> list[dict]:
        # Before each, for a payer's session does not last for ever.
        self._prepare()
        self._cold()
        self._prepare()
        self._warm()
        return [self._row(target.name) for target in self.targets]

    def _in_turn(self, times: int):
        """All targets in turn, in reverse order every other time, so that the machine's noise falls on all of them."""
        for at in range(times):
            yield from ((at, target) for target in self.targets[:: -1 if at % 2 else 1])

    def _prepare(self):
        if not (self.workload.prepare and self.targets):
            return
        with contextlib.ExitStack() as stack:
            environments = {}

            def ask(function: str, request: dict) -> dict:
                if function not in environments:
                    environments[function] = stack.enter_context(self._start(self.targets[0], function))
                answer = json.loads(environments[function].invoke(json.dumps(request).encode())[1])
                if answer["statusCode"] >= 400:
                    raise SystemExit(f"not made: {answer}")
                return answer

            self.workload.prepare(self.events, ask)

    def _start(self, target: Target, function: str | None = None) -> Environment:
        function = function or self.workload.function
        command = getattr(target, function)
        handler = {"_HANDLER": f"{function}.handler"}
        return Environment(command, target.directory, self.aws.variables | self.workload.variables | handler, self.cpu)

    def _event(self, n: int) -> bytes:
        return json.dumps(self.workload.event(self.events, n)).encode()

    def _invoke(self, environment: Environment, event: bytes) -> float:
        seconds, answer = environment.invoke(event)
        if not self.workload.done(json.loads(answer)):
            raise SystemExit(f"{self.workload.name}: a wrong answer: {answer[:500]!r}")
        return seconds

    def _cold(self):
        for at, target in self._in_turn(self.plan.cold):
            samples = self.samples[target.name]
            self.aws.reset()
            with self._start(target) as environment:
                samples.first.append(self._invoke(environment, self._event(at)))
                samples.init.append(environment.init_seconds)
                samples.cpu_to_first.append(environment.cpu_seconds())
                samples.start_calls = self.aws.counts()

    def _warm(self):
        number = math.ceil(self.workload.invocations * self.plan.warm / self.plan.rounds)
        with contextlib.ExitStack() as stack:
            environments = {}
            for target in self.targets:
                self.aws.reset()
                environments[target.name] = environment = stack.enter_context(self._start(target))
                # What compiles while it runs has compiled, and what is kept is there.
                for n in range(max(20, number * self.plan.rounds // 10)):
                    self._invoke(environment, self._event(n))
                self.samples[target.name].kms_calls += self.aws.counts()["KMS.Decrypt"]
            for at, target in self._in_turn(self.plan.rounds):
                samples, environment = self.samples[target.name], environments[target.name]
                events = [self._event((at + 1) * 1_000_000 + n) for n in range(number)]
                self.aws.reset()
                before = environment.cpu_seconds()
                samples.warm += [self._invoke(environment, event) for event in events]
                samples.cpu += environment.cpu_seconds() - before
                samples.memory = environment.peak_memory_mb()
                samples.calls += self.aws.counts()
                samples.kms_calls += self.aws.counts()["KMS.Decrypt"]

    def _row(self, target: str) -> dict:
        samples = self.samples[target]
        count = len(samples.warm) * self.workload.events
        puts = samples.calls.pop("puts", 0)
        start = [init + first for init, first in zip(samples.init, samples.first)]
        return {
            "workload": self.workload.name,
            "target": target,
            "cold_starts": len(start),
            "events": count,
            "init_ms": statistics.median(samples.init) * 1e3,
            "first_ms": statistics.median(samples.first) * 1e3,
            "start_ms": statistics.median(start) * 1e3,
            "cpu_to_first_ms": statistics.median(samples.cpu_to_first) * 1e3,
            "warm_p50_ms": statistics.median(samples.warm) * 1e3,
            "warm_p99_ms": statistics.quantiles(samples.warm, n=100)[-1] * 1e3,
            "cpu_per_1000_s": samples.cpu / count * 1e3,
            "peak_memory_mb": samples.memory,
            "start_calls": {name: calls for name, calls in sorted(samples.start_calls.items()) if name != "puts"},
            "calls": {name: calls / count for name, calls in sorted(samples.calls.items())},
            "puts_per_event": puts / count,
            "kms_calls": samples.kms_calls,
        }
