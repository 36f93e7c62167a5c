"""Exports from the request to the file, with the real worker, queue and bucket."""

import csv
import io
import json

import pytest
from exports import address, download, ready
from people import Staff


@pytest.fixture(scope="module")
def admin(stack):
    return Staff(stack, "billing_admin")


@pytest.fixture(scope="module")
def controller(stack):
    return Staff(stack, "controller")


def test_customers_as_csv_run_no_formula(admin, controller):
    name = '=HYPERLINK("http://evil.example","Müller, Söhne")'
    admin.make("/customers", {"name": name, "phone": "+49 30 1"})
    export = ready(admin, controller, kind="customers", format="csv", columns=["name", "phone", "id"])
    headers, text = download(admin, export["id"])
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert headers["content-disposition"] == f'attachment; filename="customers-{export["id"]}.csv"'
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert text.startswith("\ufeffname,phone,id\r\n") and len(rows) == export["rows"]
    [row] = [row for row in rows if "evil" in row["name"]]
    assert (row["name"], row["phone"]) == ("'" + name, "'+49 30 1")


def test_invoices_of_a_customer_as_json_are_those_that_the_api_shows(admin, controller):
    customer = admin.stack.orgs[0]["customers"][0]["id"]
    shown = admin.get(f"/invoices?customer_id={customer}&limit=100")["data"]
    export = ready(admin, controller, kind="invoices", format="json", filter={"customer_id": customer})
    _, text = download(controller, export["id"])
    rows = {row["id"]: row for row in json.loads(text)}
    assert export["rows"] == len(rows) == len(shown) > 0
    for invoice in shown:
        for name in ("number", "total", "balance", "status", "due_on", "customer_id"):
            assert rows[invoice["id"]][name] == invoice[name]


def test_the_audit_log_as_json_lines_has_what_the_api_shows(controller):
    compliance = Staff(controller.stack, "compliance")
    compliance.get("/invoices")
    export = ready(compliance, controller, kind="audit", format="json")
    headers, text = download(compliance, export["id"])
    assert headers["content-type"] == "application/jsonl"
    events = {event["id"]: event for event in map(json.loads, text.splitlines()) if "id" in event}
    assert len(events) == export["rows"]
    [asked] = [event for event in events.values() if event["action"] == "export.approve" and event["object"]["id"] == export["id"]]
    assert (asked["outcome"], asked["actor"]["role"]) == ("allowed", "controller")
    [shown] = [event for event in compliance.get(f"/audit-events?object={export['id']}&changes=true")["data"] if event["action"] == "export.approve"]
    # From where it was asked stands sealed in the file.
    assert "origin" in asked and "origin" not in shown and shown["ip"]
    assert {name: shown[name] for name in asked if name != "origin"} | {"origin": asked["origin"]} == asked


def test_two_people_are_needed_and_the_file_is_for_few(admin, controller):
    asked = controller.make("/exports", {"kind": "payments", "format": "csv"})
    status, _, told = controller.ask("POST", f"/exports/{asked['id']}/approve")
    assert (status, told["code"]) == (403, "forbidden")
    export = ready(admin, controller, kind="payments", format="csv", filter={"from": "2020-01-01"})
    for role, status in (("billing_admin", 303), ("controller", 303), ("cfo", 403), ("viewer", 403)):
        assert address(Staff(admin.stack, role), export["id"])[0] == status, role
    other = Staff(admin.stack, "controller", 1)
    assert other.ask("GET", f"/exports/{export['id']}")[0] == 404
    assert other.ask("GET", f"/exports/{export['id']}", org=admin.org)[0] == 404
    status, _, told = controller.ask("POST", f"/exports/{export['id']}/approve")
    assert (status, told["code"]) == (409, "export_not_pending")


def test_a_file_is_one_object_and_no_part_of_it_is_left(stack, admin, controller):
    export = ready(admin, controller, kind="customers", format="json")
    s3 = stack.aws("s3")
    listed = s3.list_objects_v2(Bucket=stack.resources.ExportsBucket, Prefix=f"{admin.org}/{export['id']}")["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in listed] == [(f"{admin.org}/{export['id']}", export["size_bytes"])]
    uploads = s3.list_multipart_uploads(Bucket=stack.resources.ExportsBucket).get("Uploads", [])
    assert not [upload for upload in uploads if upload["Key"] == f"{admin.org}/{export['id']}"]
