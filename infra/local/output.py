"""What people see: plain lines, with colours on a terminal."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator

WIDTH = 58


def _styled(code: str, text: str) -> str:
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{code}m{text}\x1b[0m" if coloured else text


def bold(text: str) -> str:
    return _styled("1", text)


def dim(text: str) -> str:
    return _styled("2", text)


def green(text: str) -> str:
    return _styled("32", text)


def red(text: str) -> str:
    return _styled("31", text)


def say(text: str = "") -> None:
    """One line, at once: whoever reads along through a pipe must not wait for a full buffer."""
    print(text, flush=True)


def seconds(since: float) -> str:
    return f"{time.monotonic() - since:.1f} s"


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """A line that says what is going on, and once it is done how long it took."""
    since = time.monotonic()
    print(f"  {text} ", end="", flush=True)
    try:
        yield
    except BaseException:
        say(dim(f"stopped after {seconds(since)}"))
        raise
    say(dim(f"{'.' * max(2, WIDTH - len(text))} {seconds(since)}"))
