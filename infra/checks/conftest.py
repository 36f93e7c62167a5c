"""Lets the tests import their neighbours, as `python infra/checks/check.py` does."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
