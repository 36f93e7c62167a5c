"""Figures as Markdown, and their place in docs/PERFORMANCE.md."""

import os
import pathlib
import platform
import re

from goals import Verdict

BEGIN, END = "<!-- figures: begin (benches/lambda/run.py writes up to the end mark) -->", "<!-- figures: end -->"
COLUMNS = {
    "cpu_to_first_ms": "CPU to first response, ms",
    "init_ms": "init, ms",
    "start_ms": "init + first, ms",
    "warm_p50_ms": "warm p50, ms",
    "warm_p99_ms": "warm p99, ms",
    "cpu_per_1000_s": "CPU s per 1000 events",
    "peak_memory_mb": "peak memory, MB",
}


def machine() -> str:
    """The class of machine."""
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    name = model[1] if model else platform.processor()
    return f"{name}, {os.cpu_count()} CPUs, {memory:.0f} GiB, {platform.machine()}, {system}, Linux {platform.release()}"


def verdict_table(verdicts: list[Verdict]) -> str:
    """Goal by goal."""
    rows = [f"| {v.goal} | {v.bound} | {v.measured} | {'yes' if v.held else '**no**'} |" for v in verdicts]
    return "\n".join(["| goal | bound | measured | held |", "| --- | --- | --- | --- |", *rows])


def figure_tables(results: list[dict]) -> str:
    """Workload by workload; in brackets the ratio to the first target."""
    blocks = []
    for workload in dict.fromkeys(row["workload"] for row in results):
        rows = [row for row in results if row["workload"] == workload]
        blocks.append(f"### `{workload}`\n\n" + _figures(rows) + "\n\n" + _calls(rows))
    return "\n\n".join(blocks)


def _figures(rows: list[dict]) -> str:
    def cell(row: dict, key: str) -> str:
        ratio = "" if row is rows[0] else f" ({row[key] / rows[0][key]:.1f}×)"
        return f"{row[key]:.{3 if row[key] < 1 else 2 if row[key] < 10 else 0}f}{ratio}"

    lines = [f"| {row['target']} | " + " | ".join(cell(row, key) for key in COLUMNS) + " |" for row in rows]
    return "\n".join([f"| | {' | '.join(COLUMNS.values())} |", "| --- |" + " ---: |" * len(COLUMNS), *lines])


def _calls(rows: list[dict]) -> str:
    def words(calls: dict) -> str:
        return ", ".join(f"{count:.4g} {name}" for name, count in calls.items()) or "none"

    head = "| | calls up to the first response | calls per warm event | items put per event |\n| --- | --- | --- | ---: |"
    lines = [f"| {r['target']} | {words(r['start_calls'])} | {words(r['calls'])} | {r['puts_per_event']:g} |" for r in rows]
    return "\n".join([head, *lines])


def section(run: dict, verdicts: list[Verdict]) -> str:
    """The generated section."""
    load = " → ".join(f"{value:.1f}" for value in run["load"])
    events = {row["workload"]: row["events"] for row in run["results"]}
    warm = ", ".join(f"{count} of `{workload}`" for workload, count in events.items())
    facts = [
        f"- Command: `{run['command']}`",
        f"- Date: {run['date']} (UTC); load average before → after: {load}",
        f"- Machine: {machine()}",
        f"- Versions: {', '.join(f'{name} {version}' for name, version in run['versions'].items())}",
        f"- Samples for each target: {run['results'][0]['cold_starts']} cold starts of each workload; warm events: {warm}",
    ]
    parts = ["\n".join(facts), "### Goals", verdict_table(verdicts), figure_tables(run["results"])]
    return "\n\n".join(parts)


def write(page: pathlib.Path, text: str):
    """Puts the section between its marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has lost the marks of its generated section")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
