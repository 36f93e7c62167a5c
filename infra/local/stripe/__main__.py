"""`python -m infra.local.stripe`: see README.md."""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import socket
import sys
import threading

from .double import Double


def main() -> None:
    """Runs the double until a signal, or until standard input ends where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.stripe", description="A Stripe double on this machine.")
    parser.add_argument("--port", type=int, default=12111, help="on 127.0.0.1; 0 takes any free one (default: 12111)")
    parser.add_argument("--socket", type=int, metavar="FD", help="a listening socket that is handed over, instead of --port")
    parser.add_argument("--state", type=pathlib.Path, metavar="FILE", help="where address, accounts and keys are written, mode 0600")
    parser.add_argument("--accounts", type=pathlib.Path, metavar="FILE", help="accounts that are there at the start: see README.md")
    parser.add_argument("--retry-unit", type=float, default=0.05, metavar="SECONDS", help="pauses between deliveries grow from it")
    parser.add_argument("--stop-on-stdin-eof", action="store_true", help="stop when standard input ends")
    args = parser.parse_args()

    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: stop.set())
    if args.stop_on_stdin_eof:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), stop.set()), daemon=True).start()
    accounts = json.loads(args.accounts.read_text()) if args.accounts else None
    port = args.port if args.socket is None else socket.socket(fileno=args.socket)
    with Double(port, accounts, args.retry_unit) as double, published(args.state, double):
        print(f"Stripe double at {double.base_url}", flush=True)
        stop.wait()
    # A delivery under way must not keep the process.
    os._exit(0)


@contextlib.contextmanager
def published(path: pathlib.Path | None, double: Double):
    """Writes the state file, at once and whole; it is gone with the double."""
    if path is None:
        yield
        return
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"base_url": double.base_url, "accounts": double.accounts}, file, indent=2)
    new.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
