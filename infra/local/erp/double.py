"""The double as one thing that starts and stops, and its control door under `/_double/`."""

import json
import re
import socket
import threading
import time
import traceback

from ..stripe.http import Lost, Request, Response, Server
from . import central, quickbooks, tokens, xero
from .world import KINDS, Connection, Failure, World


def urls(base_url: str) -> dict[str, str]:
    """The environment of a function that is to ask the double there."""
    return {
        "XERO_API_URL": f"{base_url}/xero",
        "XERO_LOGIN_URL": f"{base_url}/xero/connect/token",
        "QUICKBOOKS_API_URL": f"{base_url}/quickbooks",
        "QUICKBOOKS_LOGIN_URL": f"{base_url}/quickbooks/oauth2/v1/tokens/bearer",
        "BUSINESS_CENTRAL_API_URL": f"{base_url}/central",
        "BUSINESS_CENTRAL_LOGIN_URL": f"{base_url}/login",
    }


class Double:
    """ERPs of one's own, while the block lasts: `with Double() as double: double.base_url`."""

    def __init__(self, port: int | socket.socket = 0, connections: list[dict] | None = None):
        self.world = World()
        self.connections = connections or []
        self.server = Server(port, self.answer)
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._connect()

    def __enter__(self) -> "Double":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _connect(self) -> None:
        for connection in self.connections:
            self.world.connect(Connection(**connection))

    def answer(self, request: Request) -> Response | Lost:
        try:
            if request.path.startswith("/_double/"):
                return self._control(request)
            return self._serve(request)
        except Failure as failure:
            return failure.response
        except Exception:
            traceback.print_exc()
            return Response.json(500, {})

    def _serve(self, request: Request) -> Response | Lost:
        world = self.world
        with world.lock:
            world.requests.append({"method": request.method, "path": request.path, "query": request.query, "at": time.time()})
            if fault := world.fault(request.path):
                return Lost() if fault["answer"] == "reset" else Response.json(fault["answer"], {}, fault["headers"])
            if request.path in ("/xero/connect/token", "/quickbooks/oauth2/v1/tokens/bearer") or request.path.startswith("/login/"):
                return tokens.answer(world, request)
            if request.path.startswith("/xero/api.xro/2.0/"):
                return xero.answer(world, request)
            if request.path.startswith("/quickbooks/v3/company/"):
                return quickbooks.answer(world, request)
        if request.path.startswith("/central/v2.0/"):
            # It calls back, and is asked meanwhile.
            return central.answer(world, request, self.base_url)
        return Response.json(404, {})

    # ---- The control door ----------------------------------------------------------------------------------------------

    def _control(self, request: Request) -> Response:
        # A page of another origin may send forms, but not this without being asked for by name.
        if request.body and request.headers.get("content-type") != "application/json":
            return Response.json(415, {"error": "the control door takes application/json"})
        try:
            given = json.loads(request.body or b"{}")
            for method, path, run in DOOR:
                match = re.fullmatch(f"/_double/{path}", request.path)
                if match and method == request.method:
                    with self.world.lock:
                        return Response.json(200, run(self, *match.groups(), **given))
        except (TypeError, ValueError, KeyError) as error:
            return Response.json(400, {"error": f"not what {request.path} takes: {error}"})
        return Response.json(404, {"error": f"{request.method} {request.path} is not at the control door"})

    def show(self) -> dict:
        return {"base_url": self.base_url, "urls": urls(self.base_url), "connections": [it.shown() for it in self.world.connections]}

    def reset(self) -> dict:
        self.world.clear()
        self._connect()
        return self.show()

    def connect(self, **connection) -> dict:
        return self.world.connect(Connection(**connection)).shown()

    def put(self, kind: str, account: str, set: str, document: dict) -> dict:
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        return self.world.put(kind, account, set, document)

    def remove(self, kind: str, account: str, set: str, id: str) -> dict:
        return {"removed": self.world.remove(kind, account, set, id)}

    def tokens(self, access: str = "keep", refresh: str = "keep", grace: bool | None = None, kind: str | None = None) -> dict:
        """`access: expire` ends access tokens, `refresh: revoke` ends connections; without `grace` a spent refresh token is gone."""
        for connection in self.world.connections:
            if kind in (None, connection.kind):
                connection.access.clear() if access == "expire" else None
                connection.refresh.clear() if refresh == "revoke" else None
                connection.grace = connection.grace if grace is None else grace
        return self.show()

    def add_fault(self, path: str, answer: int | str, times: int = 1, headers: dict | None = None) -> dict:
        if answer != "reset" and not (isinstance(answer, int) and 300 <= answer < 600):
            raise ValueError("answer is a status from 300 on, or reset")
        self.world.faults.append({"path": path, "answer": answer, "times": times, "headers": headers or {}})
        return {"data": self.world.faults}

    def clear_faults(self) -> dict:
        self.world.faults.clear()
        return {"data": []}

    def requests(self) -> dict:
        return {"data": self.world.requests}

    def forget_requests(self) -> dict:
        self.world.requests.clear()
        return {"data": []}

    def subscriptions(self, hours: float | None = None) -> dict:
        """The subscriptions; with `hours`, all end in so many from now."""
        if hours is not None:
            for one in self.world.subscriptions.values():
                one["expirationDateTime"] = central.moment(time.time() + hours * 3600)
        return {"data": list(self.world.subscriptions.values())}


DOOR = [
    ("GET", "", Double.show),
    ("POST", "reset", Double.reset),
    ("POST", "connections", Double.connect),
    ("POST", "documents", Double.put),
    ("DELETE", "documents/([^/]+)/([^/]+)/([^/]+)/([^/]+)", Double.remove),
    ("POST", "tokens", Double.tokens),
    ("POST", "faults", Double.add_fault),
    ("DELETE", "faults", Double.clear_faults),
    ("GET", "requests", Double.requests),
    ("DELETE", "requests", Double.forget_requests),
    ("GET", "subscriptions", Double.subscriptions),
    ("POST", "subscriptions", Double.subscriptions),
]
