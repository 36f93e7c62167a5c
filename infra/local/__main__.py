"""`python -m infra.local`: see README.md."""

import sys

if sys.version_info < (3, 11):
    sys.exit("The local stack needs Python 3.11 or newer; this is %d.%d (%s)." % (*sys.version_info[:2], sys.executable))

from .cli import main  # noqa: E402  (its syntax and its imports need that Python)

if __name__ == "__main__":
    sys.exit(main())
