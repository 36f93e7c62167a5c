"""Says what is missing on this machine, and how to get it, before anything starts."""

import os
import re
import shutil
import subprocess
import sys

NEEDS = {
    "cargo": (["cargo", "--version"], (1, 95), "Rust 1.95: install rustup, which reads rust-toolchain.toml"),
    "python": ([sys.executable, "--version"], (3, 11), "Python 3.11, with venv: apt-get install python3 python3-venv"),
    "node": (["node", "--version"], (20,), "Node 20: apt-get install nodejs npm"),
    "java": (["java", "-version"], (17,), "Java 17, for DynamoDB Local: apt-get install openjdk-17-jre-headless"),
    "chromium": (["chromium", "--version"], (120,), "Chromium, for the pages: apt-get install chromium"),
}
# What is installed without asking, where that may be done.
INSTALLED = {"chromium": "chromium"}


def missing(name):
    command, wanted, how = NEEDS[name]
    if not shutil.which(command[0]):
        return how
    said = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"(\d+)(?:\.(\d+))?", said.stdout + said.stderr)
    version = tuple(int(part) for part in found.groups() if part) if found else ()
    return None if version >= wanted else f"{how} (found {'.'.join(map(str, version)) or 'none'})"


def install(package):
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print(f"installing {package} with apt-get", flush=True)
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
        subprocess.run(["apt-get", "update", "--quiet"], env=environment, stdout=subprocess.DEVNULL)
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL)


for name in sys.argv[1:]:
    if name in INSTALLED and missing(name):
        install(INSTALLED[name])
lacking = [how for how in map(missing, sys.argv[1:]) if how]
if lacking:
    sys.exit("Plixo needs, and this machine lacks:\n" + "\n".join(f"  {how}" for how in lacking))
