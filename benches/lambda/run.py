"""Measures the release builds of the receiver and the worker beside the same handlers in Node and Python, and api-ledger and
pages-portal alone.

    python3 benches/lambda/run.py            builds, measures, holds the goals, rewrites docs/PERFORMANCE.md's figures
    python3 benches/lambda/run.py --quick    a tenth of the samples; rewrites nothing

Ends with 1 if a goal is missed. README.md says what is measured and how.
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zipfile

import goals
import report
from measure import HERE, WORKLOADS, Plan, Target, measure

PROJECT = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "plixo" / "bench"
PACKAGES = {
    "receiver": "webhook-stripe",
    "worker": "worker-stripe",
    "ledger": "api-ledger",
    "links": "api-portal-links",
    "portal": "pages-portal",
    "erps": "webhook-erp",
}


def install(name: str, make) -> pathlib.Path:
    """The installed peer, made anew when anything of its folder changes."""
    source = HERE / "peers" / name
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:16]
    place = CACHE / f"{name}-{digest}"
    if not (place / "made").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for path in files:
            shutil.copy(path, place)
        make(place)
        (place / "made").touch()
    return place


def make_node(place: pathlib.Path):
    """Installs what package-lock.json pins, and bundles each handler into one file."""
    run(place, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
    # The bundled packages of the older module system ask for `require`.
    banner = "--banner:js=import{createRequire}from'module';const require=createRequire(import.meta.url);"
    options = ["--bundle", "--minify", "--platform=node", "--target=node20", "--format=esm", "--log-level=warning", banner]
    run(place, "npx", "esbuild", "receiver.mjs", "worker.mjs", "bootstrap.mjs", *options, "--outdir=dist", "--out-extension:.js=.mjs")


def make_python(place: pathlib.Path):
    """Installs what requirements.txt pins, compiled to bytecode."""
    run(place, sys.executable, "-m", "venv", "venv")
    run(place, "venv/bin/pip", "install", "--quiet", "--no-deps", "--compile", "-r", "requirements.txt")
    run(place, "venv/bin/python", "-m", "compileall", "-q", "receiver.py", "worker.py")


def run(directory: pathlib.Path, *command: str) -> str:
    """Runs a command and answers what it printed; its complaints go to ours."""
    return subprocess.run(command, cwd=directory, check=True, stdout=subprocess.PIPE, text=True).stdout


def build() -> dict[str, pathlib.Path]:
    """The release binaries, by function."""
    packages = [argument for package in PACKAGES.values() for argument in ("-p", package)]
    lines = run(PROJECT, "cargo", "build", "--release", "--locked", *packages, "--message-format=json-render-diagnostics")
    made = (json.loads(line) for line in lines.splitlines())
    binaries = {message["target"]["name"]: message["executable"] for message in made if message.get("executable")}
    return {function: pathlib.Path(binaries[package]) for function, package in PACKAGES.items()}


def zipped_mb(binary: pathlib.Path) -> float:
    """What is uploaded to Lambda, MB of 10^6 bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.write(binary, "bootstrap")
    return len(archive.getvalue()) / 1e6


def ours(binaries: dict[str, pathlib.Path], wrap: list[str]) -> Target:
    return Target(goals.OURS, PROJECT, *([*wrap, str(binaries[function])] for function in PACKAGES))


def node() -> Target:
    bundled = install("node", make_node) / "dist"
    loop = ["node", str(bundled / "bootstrap.mjs")]
    return Target("node", bundled, loop, loop)


def python() -> Target:
    place = install("python", make_python)
    ric = [str(place / "venv" / "bin" / "python"), "-m", "awslambdaric"]
    return Target("python", place, [*ric, "receiver.handler"], [*ric, "worker.handler"])


def versions(python: pathlib.Path) -> dict[str, str]:
    """Of the languages and of the peers' own packages."""
    node = json.loads((HERE / "peers" / "node" / "package.json").read_text())["dependencies"]
    packages = dict(line.split("==") for line in (HERE / "peers" / "python" / "requirements.txt").read_text().splitlines()[1:])
    return {
        "rustc": run(PROJECT, "rustc", "--version").split()[1],
        "node": run(PROJECT, "node", "--version").strip().removeprefix("v"),
        "stripe (npm)": node["stripe"],
        "@aws-sdk/client-sqs": node["@aws-sdk/client-sqs"],
        "python": run(PROJECT, str(python), "--version").split()[1],
        "stripe (PyPI)": packages["stripe"],
        "boto3": packages["boto3"],
        "awslambdaric": packages["awslambdaric"],
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples; docs/PERFORMANCE.md stays as it is")
    parser.add_argument("--binaries", type=pathlib.Path, help="measure the binaries in this folder instead of building them")
    parser.add_argument("--only", help=f"targets, comma-separated: {goals.OURS}, node, python")
    parser.add_argument("--workloads", help="comma-separated: " + ", ".join(workload.name for workload in WORKLOADS))
    parser.add_argument("--warm", type=float, default=1, help="so many times the usual number of warm events")
    parser.add_argument("--delay-ms", type=int, default=0, help="what the fake AWS waits before each answer")
    parser.add_argument("--wrap", default="", help="a command to start our functions under, such as a profiler")
    parser.add_argument("--out", type=pathlib.Path, default=CACHE / "result.json", help="where the figures go as JSON")
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    binaries = {f: wanted.binaries / name for f, name in PACKAGES.items()} if wanted.binaries else build()
    # Ours first: ratios are to the first.
    targets = {goals.OURS: lambda: ours({f: path.resolve() for f, path in binaries.items()}, wanted.wrap.split()), "node": node, "python": python}
    plan = Plan(cold=3, warm=0.1) if wanted.quick else Plan(cold=21, warm=wanted.warm)
    whole = not (wanted.quick or wanted.warm != 1 or wanted.binaries or wanted.only or wanted.workloads or wanted.delay_ms or wanted.wrap)
    chosen = [make() for name, make in targets.items() if not wanted.only or name in wanted.only.split(",")]
    workloads = [workload for workload in WORKLOADS if not wanted.workloads or workload.name in wanted.workloads.split(",")]
    load = os.getloadavg()[0]
    figures = {
        "command": " ".join(["python3", "benches/lambda/run.py", *sys.argv[1:]]),
        "date": time.strftime("%F %R", time.gmtime()),
        "results": measure(chosen, workloads, plan, wanted.delay_ms),
    }
    if whole:
        figures["versions"] = versions(pathlib.Path(chosen[-1].receiver[0]))
    figures["load"] = [load, os.getloadavg()[0]]
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    wanted.out.write_text(json.dumps(figures, indent=1))
    print(report.figure_tables(figures["results"]))
    if len(chosen) < len(targets) or len(workloads) < len(WORKLOADS):
        verdicts = goals.call_verdicts(figures["results"])
    else:
        zipped = {PACKAGES[function]: zipped_mb(path) for function, path in binaries.items()}
        verdicts = goals.verdicts(figures["results"], zipped)
    print("\n" + report.verdict_table(verdicts))
    if whole:
        report.write(PROJECT / "docs" / "PERFORMANCE.md", report.section(figures, verdicts))
    return 0 if all(verdict.held for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
