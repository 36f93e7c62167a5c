"""Shows at the end how many cases were compared, and with what result."""

from collections import Counter

import pytest

TALLY = Counter()


@pytest.fixture(scope="session")
def tally() -> Counter:
    return TALLY


def pytest_terminal_summary(terminalreporter):
    if TALLY:
        terminalreporter.section("Stripe's verifiers compared")
        for what, count in sorted(TALLY.items(), key=lambda item: -item[1]):
            terminalreporter.write_line(f"{count:6} {what}")
