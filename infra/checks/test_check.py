"""The check lets the template pass, and sees each fault that is seeded into it, for the right reason."""

import copy
import pathlib
import subprocess
import sys

import check
import expansion
import pytest
import rules
import stock
import suppressions
from faults import FAULTS, HARMLESS, OWN_FAULTS, Fault
from stock import Finding

TEMPLATE = pathlib.Path(__file__).parents[2] / "template.yaml"


def changed(change) -> dict:
    template = copy.deepcopy(expansion.load(TEMPLATE))
    before = copy.deepcopy(template)
    change(template)
    assert template != before
    return template


def short(findings: list[Finding]) -> set[str]:
    return {f"{finding.rule} {finding.resource}" for finding in findings}


@pytest.fixture(scope="session")
def found() -> dict[str, list[Finding]]:
    """What is found of all variants, in one run of the tools."""
    templates = {"as it is": expansion.load(TEMPLATE)}
    templates |= {name: changed(change) for name, change in HARMLESS.items()}
    templates |= {fault.name: changed(fault.change) for fault in FAULTS}
    return check.findings(templates)


def test_nothing_counts_against_the_template(found):
    assert found["as it is"] == []


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_counts_against_a_sound_addition(found, name):
    assert found[name] == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_seen_for_what_it_is(found, fault: Fault):
    assert short(found[fault.name]) == fault.seen_by


@pytest.mark.parametrize("fault", OWN_FAULTS, ids=lambda fault: fault.name)
def test_our_rules_see_a_fault_for_what_it_is(fault: Fault):
    assert short(rules.check(expansion.expand(changed(fault.change)))) == fault.seen_by


def test_each_of_our_rules_sees_some_fault():
    seen = {text.split()[0] for fault in FAULTS + OWN_FAULTS for text in fault.seen_by}
    assert {rule.name for rule in rules.RULES} - seen == set()


def test_names_are_unique():
    for names in ([fault.name for fault in FAULTS + OWN_FAULTS], [rule.name for rule in rules.RULES]):
        assert len(names) == len(set(names))


def test_a_suppression_hides_its_finding_and_no_other():
    own = [Finding(s.rule, resource, "") for s in suppressions.SUPPRESSIONS for resource in s.resources]
    other = Finding("CKV_AWS_117", "WebhookErp", "")
    assert suppressions.judged(own) == []
    assert suppressions.judged([*own, other]) == [other]


def test_a_suppression_of_nothing_counts():
    own = [Finding(s.rule, resource, "") for s in suppressions.SUPPRESSIONS for resource in s.resources]
    assert short(suppressions.judged(own[1:])) == {f"unused-suppression {own[0].resource}"}


def test_only_stock_rules_are_suppressed():
    assert {s.rule for s in suppressions.SUPPRESSIONS} & {rule.name for rule in rules.RULES} == set()


def test_sam_validate_sees_what_only_the_source_shows(tmp_path):
    broken = tmp_path / "template.yaml"
    broken.write_text(TEMPLATE.read_text().replace("MemorySize: 256", "MemorySise: 256"))
    [finding] = stock.sam_validate(broken)
    assert finding.rule == "sam-validate"
    assert "MemorySise" in finding.message


@pytest.mark.parametrize(("old", "new", "status", "said"), [
    ("", "", 0, "nothing to object to"),
    ("maxReceiveCount: 5", "maxReceiveCount: 1", 1, "queue-redrive StripeEventsQueue: 1 attempts"),
])
def test_the_command_says_so(tmp_path, old, new, status, said):
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE.read_text().replace(old, new, 1))
    command = [sys.executable, pathlib.Path(check.__file__), template]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    assert said in done.stdout
