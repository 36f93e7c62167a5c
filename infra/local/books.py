"""The ERP double beside the stack: its process. Who may read what there is told at its control door."""

import contextlib
import dataclasses
import pathlib
import socket
import subprocess
from collections.abc import Iterator

from . import erp, seller

FIRST_PORT = 12121


@dataclasses.dataclass(eq=False)
class Erps:
    """A running double."""

    process: subprocess.Popen
    base_url: str
    log: pathlib.Path

    def description(self) -> dict:
        """`erps` of `stack.json`."""
        return {"base_url": self.base_url, "urls": erp.urls(self.base_url)}


def parameters(base_url: str) -> dict[str, str]:
    """The template's parameters that say where the double is: `XERO_API_URL` is `XeroApiUrl`."""
    return {name.title().replace("_", ""): url for name, url in erp.urls(base_url).items()}


@contextlib.contextmanager
def running(listener: socket.socket, logs: pathlib.Path) -> Iterator[Erps]:
    """The double on a listening socket, which it takes over, until the block ends. What it knows is gone with it."""
    log, url = logs / "erp-double.log", seller.address(listener)
    with seller.beside("ERP", "infra.local.erp", listener, log) as process:
        yield Erps(process, url, log)
