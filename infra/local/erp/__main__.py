"""`python -m infra.local.erp`: see README.md."""

import argparse
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
    parser = argparse.ArgumentParser(prog="python -m infra.local.erp", description="ERPs that only notify, on this machine.")
    parser.add_argument("--port", type=int, default=12121, help="on 127.0.0.1; 0 takes any free one (default: 12121)")
    parser.add_argument("--socket", type=int, metavar="FD", help="a listening socket that is handed over, instead of --port")
    parser.add_argument("--connections", type=pathlib.Path, metavar="FILE", help="who may read what from the start: see README.md")
    parser.add_argument("--stop-on-stdin-eof", action="store_true", help="stop when standard input ends")
    args = parser.parse_args()

    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: stop.set())
    if args.stop_on_stdin_eof:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), stop.set()), daemon=True).start()
    connections = json.loads(args.connections.read_text()) if args.connections else None
    port = args.port if args.socket is None else socket.socket(fileno=args.socket)
    with Double(port, connections) as double:
        print(f"ERP double at {double.base_url}", flush=True)
        stop.wait()
    # A request under way must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
