"""What `make bench` measures still runs, and calls AWS as often as its goals say: they hold in any build. Times are not looked at."""

import os
import subprocess
import sys

from conftest import ROOT


def test_the_functions_that_are_measured_call_aws_as_often_as_their_goals_say(tmp_path):
    command = [sys.executable, ROOT / "benches" / "lambda" / "run.py", "--binaries", os.environ["PLIXO_BIN_DIR"], "--only", "plixo",
               "--quick", "--out", tmp_path / "result.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("AWS calls per warm event") == 10
