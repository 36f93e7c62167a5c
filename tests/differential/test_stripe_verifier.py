"""Our verifier of Stripe's signatures beside Stripe's own for Python and Node, on the same headers and bodies."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from differential import contract
from differential.cases import BODY, CASES_PER_SEED, HOSTILE, NOW, OFFICIAL, SECRET, SEEDS, Case, mutated

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent


class Verifier:
    """A process that answers line by line."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, **question) -> str:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer, f"{self.process.args} died on {question}"
        return answer

    def verdict(self, case: Case) -> str:
        return self.ask(header=encoded(case.header.encode()), body=encoded(case.body), secret=case.secret, now=case.now)

    def sign(self, body: bytes) -> str:
        return self.ask(body=encoded(body), secret=SECRET, now=NOW)

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def our_binary() -> str:
    """The example `verify`: built already (PLIXO_BIN_DIR), or built now."""
    if directory := os.environ.get("PLIXO_BIN_DIR"):
        return f"{directory}/examples/verify"
    build = ["cargo", "build", "--quiet", "--package", "plixo-webhooks", "--example", "verify", "--message-format", "json"]
    messages = subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return [binary for line in messages.splitlines() if (binary := json.loads(line).get("executable"))][-1]


@pytest.fixture(scope="session")
def verifiers():
    node = shutil.which("node")
    assert node, "Node.js is needed: Stripe's Node library is one of the two that this test compares with"
    started = {
        "plixo": Verifier([our_binary()]),
        "python": Verifier([sys.executable, str(HERE / "verify_python.py")]),
        "node": Verifier([node, str(HERE / "verify_node.mjs")]),
    }
    yield started
    for verifier in started.values():
        verifier.stop()


def compare(verifiers, case: Case, tally: Counter) -> bool:
    """Whether we accept, after holding that against the contract and both libraries."""
    answers = {name: verifier.verdict(case) for name, verifier in verifiers.items()}
    ours, python, node = (answers[name] == "accept" for name in ("plixo", "python", "node"))
    assert ours == contract.accepts(case), f"not by the contract: {case} {answers}"
    tally["cases"] += 1
    if python != node:
        tally["where the libraries differ"] += 1
    elif ours == python:
        tally["all accept" if ours else "all refuse"] += 1
    else:
        rules = contract.LOOSER if ours else contract.STRICTER
        reasons = [reason for reason, explains in rules.items() if explains(case)]
        assert reasons, f"no rule says why we {'accept' if ours else 'refuse'}: {case} {answers}"
        tally[f"we alone {'accept' if ours else 'refuse'}: {reasons[0]}"] += 1
    return ours


@pytest.mark.parametrize("case, accepted", OFFICIAL, ids=lambda value: getattr(value, "name", None))
def test_case_of_the_official_suites(verifiers, tally, case, accepted):
    assert compare(verifiers, case, tally) == accepted


@pytest.mark.parametrize("case, accepted", HOSTILE, ids=lambda value: getattr(value, "name", None))
def test_hostile_case(verifiers, tally, case, accepted):
    assert compare(verifiers, case, tally) == accepted


@pytest.mark.parametrize("seed", SEEDS)
def test_random_mutations(verifiers, tally, seed):
    accepted = sum(compare(verifiers, case, tally) for case in mutated(seed))
    assert CASES_PER_SEED / 20 < accepted < CASES_PER_SEED * 19 / 20, "the mutations are too wild or too tame to tell anything"


@pytest.mark.parametrize("signer", ["plixo", "python", "node"])
def test_what_one_signs_all_accept(verifiers, signer):
    header = verifiers[signer].sign(BODY)
    for verifier in verifiers.values():
        assert verifier.verdict(Case(f"signed by {signer}", header)) == "accept"


def test_every_rule_has_a_case(verifiers):
    """A rule that explains nothing would only hide differences."""
    tally = Counter()
    for case, _ in OFFICIAL + HOSTILE:
        compare(verifiers, case, tally)
    for rule in contract.STRICTER:
        assert tally[f"we alone refuse: {rule}"], rule
    for rule in contract.LOOSER:
        assert tally[f"we alone accept: {rule}"], rule
