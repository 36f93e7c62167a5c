"""The double as one thing that starts and stops."""

import socket
import threading
import traceback

from .api import Api
from .control import Control
from .faults import failing
from .http import Lost, Request, Response, Server
from .page import Page
from .webhooks import Webhooks
from .world import World


class Double:
    """A Stripe of one's own, while the block lasts: `with Double() as double: double.base_url`."""

    def __init__(self, port: int | socket.socket = 0, accounts: list[dict] | None = None, unit: float = 0.05):
        self.post = Webhooks(unit)
        self.world = self.post.world = World(self.post)
        self.server = Server(port, self.answer)
        self.world.base_url = self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.api, self.page, self.control = Api(self.world), Page(self.world), Control(self.world, self.post, accounts)

    def __enter__(self) -> "Double":
        for run in (self.server.serve_forever, self.world.keep_time):
            threading.Thread(target=run, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
        with self.world.lock:
            self.world.stopped = True
            self.world.changed.notify_all()
        self.post.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def accounts(self) -> list[dict]:
        """The accounts with their keys and webhook endpoints, as `GET /_double/` shows them."""
        with self.world.lock:
            return self.control.show()["accounts"]

    def answer(self, request: Request) -> Response | Lost:
        door = self.control if request.path.startswith("/_double/") else self.api if request.path.startswith("/v1/") else self.page
        try:
            return door.answer(request)
        except Exception:
            traceback.print_exc()
            return failing(500)
