"""Accounts at the stack's double of Xero."""

import json
import urllib.request
import uuid


def xero_source(stack, name="Books"):
    """What a data source of a tenant is connected with that the double knows from now on."""
    credentials = {"account": str(uuid.uuid4()), "client_id": f"client-{uuid.uuid4()}", "client_secret": str(uuid.uuid4())}
    url = f"{stack.json['erps']['base_url']}/_double/connections"
    told = json.dumps({"kind": "xero", **credentials}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, told, {"content-type": "application/json"}, method="POST")) as answer:
        assert answer.status == 200
    return {"name": name, "kind": "xero", **credentials}
