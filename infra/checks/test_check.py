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


SOURCE = expansion.load(TEMPLATE)


def changed(*changes) -> dict:
    template = copy.deepcopy(SOURCE)
    for change in changes:
        before = copy.deepcopy(template)
        change(template)
        assert template != before
    return template


def short(findings: list[Finding]) -> set[str]:
    return {f"{finding.rule} {finding.resource}" for finding in findings}


def where(seen_by: set[str]) -> set[str]:
    return {text.split()[1] for text in seen_by}


def touched(fault: Fault) -> set[str]:
    """The resources that a fault changes, and those that it shows on."""
    before, after = SOURCE["Resources"], changed(fault.change)["Resources"]
    return where(fault.seen_by) | {name for name in before | after if before.get(name) != after.get(name)}


def grouped(faults: list[Fault]) -> list[list[Fault]]:
    """Faults that touch different resources share a template, each of which costs the tools a quarter of a minute."""
    groups: list[tuple[set[str], list[Fault]]] = []
    for fault in faults:
        resources = touched(fault)
        taken, group = next((one for one in groups if one[0].isdisjoint(resources)), (set(), []))
        if not group:
            groups.append((taken, group))
        taken |= resources
        group.append(fault)
    return [group for _, group in groups]


def all_of(faults: list[Fault]) -> dict:
    return changed(*(fault.change for fault in faults))


GROUPS, OWN_GROUPS = grouped(FAULTS), grouped(OWN_FAULTS)
by_first_fault = {"ids": lambda group: f"with {group[0].name}"}


@pytest.fixture(scope="session")
def found() -> dict[str, list[Finding]]:
    """What is found of all variants, in one run of the tools."""
    templates = {"as it is": SOURCE}
    templates |= {name: changed(change) for name, change in HARMLESS.items()}
    templates |= {group[0].name: all_of(group) for group in GROUPS}
    return check.findings(templates)


def test_nothing_counts_against_the_template(found):
    assert found["as it is"] == []


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_counts_against_a_sound_addition(found, name):
    assert found[name] == []


@pytest.mark.parametrize("group", GROUPS, **by_first_fault)
def test_faults_are_seen_for_what_they_are(found, group: list[Fault]):
    assert_seen(found[group[0].name], group)


@pytest.mark.parametrize("group", OWN_GROUPS, **by_first_fault)
def test_our_rules_see_faults_for_what_they_are(group: list[Fault]):
    assert_seen(rules.check(expansion.expand(all_of(group))), group)


def assert_seen(findings: list[Finding], group: list[Fault]):
    seen = {fault.name: {text for text in short(findings) if where({text}) <= where(fault.seen_by)} for fault in group}
    assert seen == {fault.name: fault.seen_by for fault in group}
    assert short(findings) == set().union(*seen.values())


def test_each_of_our_rules_sees_some_fault():
    seen = {text.split()[0] for fault in FAULTS + OWN_FAULTS for text in fault.seen_by}
    assert {rule.name for rule in rules.RULES} - seen == set()


def test_names_are_unique():
    for names in ([fault.name for fault in FAULTS + OWN_FAULTS], [rule.name for rule in rules.RULES]):
        assert len(names) == len(set(names))


def test_a_suppression_hides_its_finding_and_no_other():
    own = [Finding(s.rule, resource, "") for s in suppressions.SUPPRESSIONS for resource in s.resources]
    other = Finding("CKV_AWS_117", "WebhookOther", "")
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


def test_the_command_says_so(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE.read_text().replace("maxReceiveCount: 5", "maxReceiveCount: 1", 1))
    command = [sys.executable, pathlib.Path(check.__file__), template]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "queue-redrive StripeEventsQueue: 1 attempts" in done.stdout
