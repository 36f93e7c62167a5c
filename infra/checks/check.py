"""Checks a SAM template with the stock tools and our own rules.

    python infra/checks/check.py template.yaml
"""

import argparse
import pathlib
import sys
import time

import expansion
import rules
import stock
import suppressions
from stock import Finding


def findings(templates: dict[str, dict]) -> dict[str, list[Finding]]:
    """What counts against each of some templates as they are written, by their names."""
    expanded = {name: expansion.expand(template) for name, template in templates.items()}
    by_checkov = stock.checkov(expanded)
    return {
        name: suppressions.judged(by_checkov[name] + stock.cfn_lint(template) + rules.check(template))
        for name, template in expanded.items()
    }


def main() -> int:
    """Gives the exit status: 0 for a template that nothing counts against."""
    parser = argparse.ArgumentParser(description="Checks a SAM template.")
    parser.add_argument("template", type=pathlib.Path)
    path = parser.parse_args().template

    began = time.monotonic()
    found = stock.sam_validate(path)
    if not found:
        found = findings({path.name: expansion.load(path)})[path.name]
    for finding in found:
        print(finding)
    verdict = f"{len(found)} findings" if found else "nothing to object to"
    print(f"{path}: {verdict} (sam validate, cfn-lint with serverless rules, checkov, {len(rules.RULES)} rules of ours, "
          f"{len(suppressions.SUPPRESSIONS)} stock rules suppressed somewhere; {time.monotonic() - began:.1f} s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
