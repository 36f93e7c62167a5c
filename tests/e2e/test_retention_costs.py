"""What a run of job-retention costs on Amazon's own DynamoDB Local: as much as what is due, however much else there is."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from dynamo import counting, dynamodb_local, run
from past import LETTERS, ago, id_of, text

# `make bench-retention` measures more than the test does.
BENCH = os.environ.get("PLIXO_BENCH_RETENTION")

assert dynamodb_local, "the fixture"


def item(org, sk, kind, id, row, since, **more):
    """A row as the store writes it."""
    keys = {"pk": f"{org}#{id}" if id else org, "sk": sk, "kind": kind, "row": json.dumps(row), **more}
    if since:
        word = sk.replace("-", "_")
        keys |= {"since_pk": f"{org}#since#{word}", "since_sk": f"{text(since)}#{id}"}
    return {**{name: {"S": value} for name, value in keys.items()}, "v": {"N": "1"}, "version": {"N": "1"}}


def link(org, invoice, days):
    """A portal link that expired so many days ago."""
    id, made_by = id_of("lnk", ago(days)), {"kind": "member", "id": "mem"}
    row = {"id": id, "invoice": invoice, "made_by": made_by, "made_at": text(ago(days + 14)), "expires_at": text(ago(days))}
    lists = {"kind_pk": f"{org}#{invoice}#portal-links", "kind_sk": f"{row['made_at']}#{id}"}
    return [item(org, "portal-link", "portal_link", id, row, ago(days), **lists)]


def invoice(org, customer, days):
    """An invoice of that age, of which nothing is owed, with the names that lead to it."""
    id = id_of("inv", ago(days))
    number = f"N-{id[-12:]}"
    row = {"id": id, "number": number, "customer_id": customer, "state": "void", "status": "void",
           "total": {"amount": 100, "currency": "EUR"}, "balance": 0, "body": ""}
    lists = {"kind_pk": f"{org}#invoices", "kind_sk": id, "state_pk": f"{org}#invoices#void", "state_sk": f"9999-12-31#{id}",
             "customer_pk": f"{org}#{customer}#invoices", "customer_sk": id}
    named = {"number": number, "invoice": id}
    return [item(org, "invoice", "invoice", id, row, ago(days), **lists),
            item(org, "invoice-number", "invoice_number", f"number#{number}", named, None)]


def fill(env, due, others):
    """An organisation with so many links that are due and a tenth as many invoices, and others that are not: its id."""
    client = client_of(env)
    org, customer = id_of("org", ago(4_500)), id_of("cus", ago(1))
    part = (LETTERS.index(org[-2]) << 5 | LETTERS.index(org[-1])) % 16
    row = {"id": org, "name": "Nordlicht", "residency": "eu", "settings": {"retention": {"audit_event": 7_300}}}
    client.put_item(TableName="ledger", Item=item(org, "organisation", "organisation", None, row, None,
                                                  state_pk=f"jobs#organisations#{part:02}", state_sk=org))

    def put(days, links, invoices):
        items = [it for _ in range(links) for it in link(org, id_of("inv", ago(days)), days)]
        items += [it for _ in range(invoices) for it in invoice(org, customer, 3_000 + days)]
        for first in range(0, len(items), 25):
            requests = [{"PutRequest": {"Item": it}} for it in items[first:first + 25]]
            assert not client.batch_write_item(RequestItems={"ledger": requests})["UnprocessedItems"]

    with ThreadPoolExecutor(4) as hands:
        parts = [(700, min(1_000, due - first), min(1_000, due - first) // 10) for first in range(0, due, 1_000)]
        parts += [(10, min(1_000, others - first), min(1_000, others - first) // 10) for first in range(0, others, 1_000)]
        list(hands.map(lambda part: put(*part), parts))
    return org


def client_of(env):
    return boto3.client("dynamodb", endpoint_url=env["AWS_ENDPOINT_URL"], region_name="eu-west-1", aws_access_key_id="test",
                        aws_secret_access_key="test")


def bare(env, org, part=96):
    """How many of an organisation's links a client a second deletes that does nothing else: by transactions of as many writes as the job's."""
    client = client_of(env)
    pages = client.get_paginator("query").paginate(
        TableName="ledger", IndexName="by-since", KeyConditionExpression="since_pk = :it",
        ExpressionAttributeValues={":it": {"S": f"{org}#since#portal_link"}})
    keys = [{name: item[name] for name in ("pk", "sk")} for page in pages for item in page["Items"]]
    same = {"ConditionExpression": "version = :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    rules = [{"ConditionCheck": {"TableName": "ledger", "Key": {"pk": {"S": org}, "sk": {"S": "organisation"}}, **same}}]
    begun = time.monotonic()
    for first in range(0, len(keys), part):
        gone = [{"Delete": {"TableName": "ledger", "Key": key, **same}} for key in keys[first:first + part]]
        audit = {"Put": {"TableName": "audit", "Item": {"pk": {"S": org}, "sk": {"S": f"bare#{first}"}}}}
        client.transact_write_items(TransactItems=[*gone, *rules, audit])
    return len(keys) / (time.monotonic() - begun)


def job(env):
    """How a run of the job ended, what it deleted, and in how many seconds. What is late has a line of the log before that."""
    return run(env, "due", "-").splitlines()[-1].split()


def cost(env):
    """What a run deletes, and what it costs: units by call."""
    with counting(env) as (counted, calls):
        outcome, items, _ = job(counted)
    units = {}
    for call, used in calls:
        units[call] = units.get(call, 0) + used
    assert outcome == "done"
    return int(items), units


@pytest.fixture
def other(dynamodb_local):
    """The same tables, whatever is in them."""
    return dynamodb_local


def test_a_run_costs_what_is_due_and_not_what_there_is(other):
    fill(other, 300, 0)
    few = cost(other)
    assert few[0] == 330
    fill(other, 300, 6_000)
    many = cost(other)
    assert many[0] == 330
    idle = cost(other)[1]
    # Two organisations are looked at by now instead of one.
    assert many[1]["TransactWriteItems"] == few[1]["TransactWriteItems"]
    for call in ("Query", "BatchGetItem"):
        assert many[1][call] - few[1][call] <= idle[call], (call, few, many, idle)


if BENCH:

    def test_figures(other):
        due = int(BENCH)
        fill(other, due, due * 9)
        outcome, runs, gone, seconds = None, 0, 0, 0.0
        while outcome != "done":
            outcome, *figures = job(other)
            runs, gone, seconds = runs + 1, gone + int(figures[0]), seconds + float(figures[1])
        print(f"\n{due * 10} links and {due} invoices, a tenth due: {gone} deleted in {seconds:.0f} s of {runs} runs, {gone / seconds:.0f} a second")
        assert gone == due + due // 10
        fill(other, 1_000, 0)
        items, units = cost(other)
        print(f"units for {items} things: {units}")
        # Last, for it leaves invoices that are due.
        print(f"a client that does nothing but delete links, by transactions of as many writes: {bare(other, fill(other, min(due, 10_000), 0)):.0f} a second")
