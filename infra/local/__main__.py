"""`python -m infra.local`: see README.md."""

import sys

if sys.version_info < (3, 11):
    sys.exit("The local stack needs Python 3.11 or newer; this is " + sys.version)

# An older Python could not even read this.
from .cli import main

if __name__ == "__main__":
    sys.exit(main())
