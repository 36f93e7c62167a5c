"""The contract of the tables, of people and of buckets, on the local stack and on Amazon's own DynamoDB Local."""

import json
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from dynamo import client_of, counting, dynamodb_local, listening, ports, run

assert dynamodb_local, "the fixture"


def hold(env):
    run(env, "contract", uuid.uuid4().hex)


def test_the_local_stack_holds_the_contract(stack):
    hold(stack.json["env"])


def test_a_bucket_of_the_local_stack_holds_the_contract(stack):
    s3, bucket, key = stack.aws("s3"), f"contract-{uuid.uuid4().hex}", uuid.uuid4().hex
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    address = run({**stack.json["env"], "BUCKET": bucket}, "objects", key).strip()
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.read() == b"there" and answer.headers["content-disposition"] == 'attachment; filename="file.csv"'
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_dynamodb_local_holds_the_contract(dynamodb_local):
    hold(dynamodb_local)


class Nothing(BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


def test_who_else_has_the_port_is_not_taken_for_dynamodb_local(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        with listening(tmp_path, [other.server_port, *ports()]) as endpoint:
            assert client_of(endpoint).list_tables()["TableNames"] == []
        other.shutdown()


def test_a_page_costs_the_same_among_a_hundred_invoices_and_ten_thousand(dynamodb_local, stack):
    org, invoice = stack.orgs[0]["id"], stack.orgs[0]["invoices"][0]["id"]
    table = stack.aws("dynamodb")
    key = {"pk": {"S": f"{org}#{invoice}"}, "sk": {"S": "invoice"}}
    model = table.get_item(TableName=stack.resources.LedgerTable, Key=key)["Item"]
    letters = "0123456789abcdefghjkmnpqrstvwxyz"

    def numbered(number):
        last = "".join(letters[number >> shift & 31] for shift in (15, 10, 5, 0))
        return json.loads(json.dumps({name: value for name, value in model.items()}).replace(invoice, invoice[:-4] + last))

    def put(numbers):
        local = client_of(dynamodb_local["AWS_ENDPOINT_URL"])
        for first in range(numbers.start, numbers.stop, 25):
            items = [{"PutRequest": {"Item": numbered(number)}} for number in range(first, min(first + 25, numbers.stop))]
            assert not local.batch_write_item(RequestItems={"ledger": items})["UnprocessedItems"]

    def cost():
        with counting(dynamodb_local) as (env, calls):
            assert run(env, "page", org) == "25\n"
            return list(calls)

    put(range(100))
    few = cost()
    with ThreadPoolExecutor(4) as hands:
        list(hands.map(put, [range(100 + 2_475 * hand, 100 + 2_475 * (hand + 1)) for hand in range(4)]))
    many = cost()
    assert few == many == [("Query", 1.0), ("BatchGetItem", 25.0)]
