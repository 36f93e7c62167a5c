"""Exports, from the request to the file."""

import urllib.error
import urllib.request

from conftest import ANSWERS_WITHIN, wait_for
from people import NoRedirect


def address(person, export):
    """Where a download leads: status, and location."""
    url = f"{person.stack.base_url}/v1/orgs/{person.org}/exports/{export}/download"
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {person.token}"})
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=ANSWERS_WITHIN) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("location")


def download(person, export):
    """The file: its headers and text."""
    status, to = address(person, export)
    assert status == 303, status
    with urllib.request.urlopen(to, timeout=ANSWERS_WITHIN) as answer:
        return answer.headers, answer.read().decode()


def ready(requester, approver, seconds=60, **order):
    """The export once its file is there."""

    def ended():
        shown = requester.get(f"/exports/{asked['id']}")
        return shown if shown["status"] in ("ready", "failed") else None

    # Where somebody is erased meanwhile, it says so, and is asked for again.
    for _ in range(5):
        asked = requester.make("/exports", order)
        assert asked["status"] == "pending_approval", asked
        status, _, told = approver.ask("POST", f"/exports/{asked['id']}/approve", {"digest": asked["digest"]})
        assert (status, told["status"]) == (200, "approved"), told
        shown = wait_for(ended, seconds, "file")
        if shown.get("failure") != "erased":
            break
    assert shown["status"] == "ready", shown
    return shown
