"""Says what is missing on this machine, and how to get it, before anything starts."""

import re
import shutil
import subprocess
import sys

NEEDS = {
    "cargo": (["cargo", "--version"], (1, 95), "Rust 1.95: install rustup, which reads rust-toolchain.toml"),
    "python": ([sys.executable, "--version"], (3, 11), "Python 3.11, with venv: apt-get install python3 python3-venv"),
    "node": (["node", "--version"], (20,), "Node 20: apt-get install nodejs npm"),
    "java": (["java", "-version"], (17,), "Java 17, for DynamoDB Local: apt-get install openjdk-17-jre-headless"),
}


def missing(name):
    command, wanted, how = NEEDS[name]
    if not shutil.which(command[0]):
        return how
    said = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"(\d+)(?:\.(\d+))?", said.stdout + said.stderr)
    version = tuple(int(part) for part in found.groups() if part) if found else ()
    return None if version >= wanted else f"{how} (found {'.'.join(map(str, version)) or 'none'})"


lacking = [how for how in map(missing, sys.argv[1:]) if how]
if lacking:
    sys.exit("Plixo needs, and this machine lacks:\n" + "\n".join(f"  {how}" for how in lacking))
