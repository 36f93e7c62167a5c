"""The stock tools: `sam validate --lint`, cfn-lint with its serverless rules, checkov. All of it offline."""

import contextlib
import dataclasses
import functools
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

from expansion import REGION


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """What a rule holds against a resource."""

    rule: str
    resource: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule} {self.resource}: {self.message}"


def sam_validate(path: pathlib.Path) -> list[Finding]:
    """What `sam validate --lint` says of the template as it is written."""
    sam = pathlib.Path(sys.executable).with_name("sam")
    done = subprocess.run(
        [sam, "validate", "--lint", "--region", REGION, "--template", path],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"}, capture_output=True, text=True, check=False,
    )
    if done.returncode == 0:
        return []
    return [Finding("sam-validate", path.name, (done.stdout + done.stderr).strip())]


def cfn_lint(template: dict) -> list[Finding]:
    """What cfn-lint and its serverless rules say of an expanded template."""
    from cfnlint.api import lint

    matches = lint(json.dumps(template), _cfn_lint_rules(), [REGION])
    return [Finding(match.rule.id, _resource(match.path), match.message) for match in matches]


@functools.cache
def _cfn_lint_rules():
    from cfnlint.core import get_rules

    return get_rules(["cfn_lint_serverless.rules"], [], ["I", "W", "E"], {}, False)


def _resource(path: list) -> str:
    match path:
        case ["Resources", name, *_]:
            return name
    return "/".join(map(str, path))


def checkov(templates: dict[str, dict]) -> dict[str, list[Finding]]:
    """What checkov says of expanded templates, by their names. One run for all: most of its time is its start."""
    from checkov.cloudformation.graph_builder.local_graph import CloudformationLocalGraph as Graph
    from checkov.cloudformation.runner import Runner as Properties
    from checkov.runner_filter import RunnerFilter
    from checkov.secrets.runner import Runner as Secrets

    # To put values in the place of all that refers to them takes twelve times as long as all the rest, and it finds the same without,
    # as the seeded faults show; what parameters are by default is put in all the same.
    build = Graph.build_graph
    Graph.build_graph = lambda graph, render_variables: build(graph, render_variables=False)
    found: dict[str, list[Finding]] = {name: [] for name in templates}
    with tempfile.TemporaryDirectory() as directory, _quiet():
        files, lines = {}, {}
        for number, (name, template) in enumerate(templates.items()):
            file = pathlib.Path(directory) / f"{number}.json"
            text = json.dumps(template, indent=1)
            file.write_text(text)
            files[file.name], lines[file.name] = name, text.splitlines()
        paths = [str(pathlib.Path(directory) / file) for file in files]
        for framework, runner in (("cloudformation", Properties()), ("secrets", Secrets())):
            only = RunnerFilter(framework=[framework], show_progress_bar=False)
            report = runner.run(None, files=paths, runner_filter=only)
            if report.parsing_errors:
                raise ValueError(f"checkov cannot read {report.parsing_errors}")
            for check in report.failed_checks:
                file = pathlib.Path(check.file_path).name
                if framework == "secrets":
                    resource = _resource_at(lines[file], check.file_line_range[0])
                else:
                    resource = check.resource.rpartition(".")[2]
                found[files[file]].append(Finding(check.check_id, resource, check.check_name))
    return found


def _resource_at(lines: list[str], line: int) -> str:
    """The logical id of the resource that a line of an indented template is in."""
    heads = [text for text in lines[:line] if text.startswith('  "') and text.endswith("{")]
    return heads[-1].split('"')[1] if heads else "?"


@contextlib.contextmanager
def _quiet():
    # checkov logs what it skips; what it finds comes back as values.
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
