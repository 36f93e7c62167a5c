"""Every page in every state, in a browser: accessible, within its policy, no wider than the screen."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_chromium_and_axe_find_nothing_wrong_with_any_page(tmp_path):
    subprocess.run([f"{os.environ['PLIXO_BIN_DIR']}/examples/gallery", tmp_path], check=True)
    looked = subprocess.run(["node", "tests/pages/look.mjs", tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=7200)
    assert looked.returncode == 0, looked.stdout + looked.stderr
