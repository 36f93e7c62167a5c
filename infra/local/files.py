"""Files that hold secrets."""

import json
import os
import pathlib


def write_private(path: pathlib.Path, value) -> None:
    """Writes JSON for our eyes only, whole from its first moment."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    draft.replace(path)
