"""Errors on demand: what is to go wrong with a request, before or after it had its effect."""

import dataclasses
import time
from collections.abc import Callable

from .http import Lost, Response

MESSAGES = {429: "Too many requests: wait, and try again.", 500: "Something went wrong on Stripe's end."}


@dataclasses.dataclass
class Fault:
    """What is to go wrong with the next `times` requests whose path begins so.

    `answer` is a status, or `reset` (the connection), `timeout` (no answer for some seconds, then a reset) or `delay` (the
    right answer, late). `when` is `before` or `after` the effect. `kept` says whether a status becomes the answer of the
    request's idempotency key, as a 500 does if nothing is said.
    """

    path: str
    answer: int | str
    method: str = ""
    when: str = "before"
    seconds: float = 0
    times: int = 1
    kept: bool | None = None


def faulty(fault: Fault | None, execute: Callable[[], Response], keep: Callable[[Response], None] = lambda _: None) -> Response | Lost:
    """Executes a request through a fault. `keep` is called with the answer that its idempotency key has from then on."""

    def executed() -> Response:
        response = execute()
        if response.kept and not (fault and keeps(fault)):
            keep(response)
        return response

    if fault is None:
        return executed()
    if fault.when == "before":
        time.sleep(fault.seconds)
    response = executed() if fault.when == "after" or fault.answer == "delay" else None
    if fault.when == "after":
        time.sleep(fault.seconds)
    if fault.answer == "delay":
        return response
    if not isinstance(fault.answer, int):
        return Lost()
    failure = failing(fault.answer)
    if keeps(fault):
        keep(failure)
    return failure


def keeps(fault: Fault) -> bool:
    return isinstance(fault.answer, int) and (fault.answer == 500 if fault.kept is None else fault.kept)


def failing(status: int) -> Response:
    kind = "api_error" if status >= 500 else "invalid_request_error"
    error = {"message": MESSAGES.get(status, f"An error on demand, {status}."), "type": kind}
    return Response.json(status, {"error": error | ({"code": "rate_limit"} if status == 429 else {})})
