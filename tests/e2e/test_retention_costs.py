"""What a run of job-retention costs on Amazon's own DynamoDB Local: as much as what is due, however much else there is."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from dynamo import client_of, counting, dynamodb_local, run
from past import LETTERS, ago, id_of, text

# `make bench-retention` measures more than the test does, and a build with optimisation.
BENCH, OPTIMISED = os.environ.get("PLIXO_BENCH_RETENTION"), os.environ.get("PLIXO_BENCH_BIN_DIR")

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


def fill(env, links, invoices, other_links=0, other_invoices=0):
    """An organisation with so many links and invoices that are due, and others that are not: its id."""
    client = client_of(env["AWS_ENDPOINT_URL"])
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

    def parts(count):
        return [min(1_000, count - first) for first in range(0, count, 1_000)]

    with ThreadPoolExecutor(4) as hands:
        list(hands.map(lambda part: put(*part), [
            *((700, some, 0) for some in parts(links)), *((700, 0, some) for some in parts(invoices)),
            *((10, some, 0) for some in parts(other_links)), *((10, 0, some) for some in parts(other_invoices))]))
    return org


def bare(env, org, word, part):
    """How many of an organisation's links or invoices a client a second deletes that does nothing else: by the job's own transactions."""
    client = client_of(env["AWS_ENDPOINT_URL"])
    pages = client.get_paginator("query").paginate(
        TableName="ledger", IndexName="by-since", KeyConditionExpression="since_pk = :it",
        ExpressionAttributeValues={":it": {"S": f"{org}#since#{word}"}})
    keys = [{name: item[name] for name in ("pk", "sk")} for page in pages for item in page["Items"]]
    of_invoices = keys if word == "invoice" else []
    numbers = {key["pk"]["S"]: json.loads(client.get_item(TableName="ledger", Key=key)["Item"]["row"]["S"])["number"] for key in of_invoices}
    same = {"ConditionExpression": "version = :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    rules = [{"ConditionCheck": {"TableName": "ledger", "Key": {"pk": {"S": org}, "sk": {"S": "organisation"}}, **same}},
             {"ConditionCheck": {"TableName": "ledger", "Key": {"pk": {"S": org}, "sk": {"S": "holds"}},
                                 "ConditionExpression": "attribute_not_exists(pk)"}}]

    def gone(keys):
        names = [{"pk": {"S": f"{org}#number#{numbers[key['pk']['S']]}"}, "sk": {"S": "invoice-number"}} for key in keys if numbers]
        return [{"Delete": {"TableName": "ledger", "Key": key, **same}} for key in [*keys, *names]]

    def told(first, count):
        text = "-" * 400
        return [{"Put": {"TableName": "audit", "Item": {"pk": {"S": org}, "sk": {"S": f"bare#{first}#{n}"}, "text": {"S": text}}}}
                for n in range(count)]

    begun = time.monotonic()
    for first in range(0, len(keys), part):
        some = keys[first:first + part]
        events = len(some) if word == "invoice" else 1
        client.transact_write_items(TransactItems=[*gone(some), *rules, *told(first, events)])
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
    fill(other, 300, 30)
    few = cost(other)
    assert few[0] == 330
    fill(other, 300, 30, 6_000, 600)
    many = cost(other)
    assert many[0] == 330
    idle = cost(other)[1]
    # Two organisations are looked at by now instead of one.
    assert many[1]["TransactWriteItems"] == few[1]["TransactWriteItems"]
    for call in ("Query", "BatchGetItem"):
        assert many[1][call] - few[1][call] <= idle[call], (call, few, many, idle)


if BENCH:

    def test_figures(other):
        due, other = int(BENCH), {**other, "PLIXO_BIN_DIR": OPTIMISED}

        def measure(what, count):
            outcome, runs, gone, seconds = None, 0, 0, 0.0
            while outcome != "done":
                outcome, *figures = job(other)
                runs, gone, seconds = runs + 1, gone + int(figures[0]), seconds + float(figures[1])
            print(f"{gone} {what} deleted in {seconds:.0f} s of {runs} runs, {gone / seconds:.0f} a second")
            assert gone == count

        fill(other, due, 0, due * 9, due)
        print(f"\n{due * 10} links, a tenth due, and {due} invoices")
        measure("links", due)
        fill(other, 0, due // 10)
        measure("invoices", due // 10)
        fill(other, 1_000, 100)
        items, units = cost(other)
        print(f"units for {items} things: {units}")
        # Last, for it leaves things that are due. Parts are as large as the job's.
        for word, part in {"portal_link": 96, "invoice": 19}.items():
            org = fill(other, min(due, 10_000), min(due, 1_000))
            print(f"a client that does nothing but delete these: {bare(other, org, word, part):.0f} {word} a second")
