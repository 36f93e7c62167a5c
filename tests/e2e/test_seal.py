"""The audit log sealed, exported with its checkpoints, and verified offline with the public key alone."""

import json
import os
import re
import subprocess
import time

import pytest
from conftest import wait_for
from exports import download, ready
from people import Staff, seal


@pytest.fixture(scope="module")
def exported(stack):
    """A log as a file, the name and the key of it, and until when it is sealed."""
    compliance, controller = Staff(stack, "compliance"), Staff(stack, "controller")
    controller.make("/customers", {"name": "Weber"})
    assert seal(stack)
    for _ in range(3):
        compliance.get("/invoices")
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert seal(stack)
    export = ready(compliance, controller, kind="audit", format="json")
    told = stack.plixoctl("audit", "key", "--org", controller.org)
    assert told.returncode == 0, told.stderr
    return download(compliance, export["id"])[1], json.loads(told.stdout), until


@pytest.fixture
def verify(stack, exported, tmp_path):
    """Verifies a file with nothing of the stack at hand: the code it ends with, and what it says."""

    def verified(text, *options, key=exported[1]["key"]):
        (file := tmp_path / "audit.jsonl").write_text(text)
        done = stack.run("plixoctl", "audit", "verify", str(file), "--key", key, *options, env={})
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    return verified


def test_a_log_is_as_it_was_sealed(exported, verify):
    text, log, until = exported
    assert re.fullmatch(r"plixo[^/]*/audit/org_\w+", log["log"]), log
    code, told = verify(text, "--until", until)
    assert code == 0, told
    lines = [line for line in text.splitlines() if line.startswith('{"id":')]
    assert (told["verified"], told["log"]) == (True, log["log"])
    assert told["events"] + told["not_sealed_yet"] == len(lines) and told["events"] > 5 and told["not_sealed_yet"] > 0
    assert told["sealed_to"] >= until
    # From where people came is nobody's to read who has the file.
    assert "user_agent" not in "".join(line for line in lines if '"kind":"member"' in line)


def test_what_it_says_may_go_unread_but_not_unwritten(stack, exported, tmp_path):
    (file := tmp_path / "audit.jsonl").write_text(exported[0])
    command = [stack.bin / "plixoctl", "audit", "verify", str(file), "--key", exported[1]["key"]]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed, open("/dev/full", "w") as full:
        unread = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, env={}, text=True)
        unwritten = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env={}, text=True)
    assert (unread.returncode, unread.stderr) == (0, "")
    assert unwritten.returncode == 1 and unwritten.stderr.startswith("Error: printing"), unwritten.stderr


def test_what_was_done_to_it_is_named(exported, verify):
    text, _, until = exported
    assert verify(text, "--until", until)[0] == 0
    lines = text.splitlines(keepends=True)
    events = [n for n, line in enumerate(lines) if line.startswith('{"id":')]
    sealed = [n for n in events if n < lines.index('{"unsealed":true}\n')]
    victim = next(n for n in sealed[len(sealed) // 2 :] if '"outcome":"allowed"' in lines[n])
    id = json.loads(lines[victim])["id"]
    altered = lines[victim].replace('"outcome":"allowed"', '"outcome":"denied"')
    others = {
        f"event {id} was altered": [*lines[:victim], altered, *lines[victim + 1:]],
        f"event {id} is missing": [*lines[:victim], *lines[victim + 1:]],
    }
    for what, told in others.items():
        code, said = verify("".join(told))
        assert code == 1 and what in said, said
    assert f"event {json.loads(lines[sealed[-1]])['id']} is missing" in verify("".join(lines[: sealed[-1]]))[1]
    last = max(n for n, line in enumerate(lines) if line.startswith('{"checkpoint":'))
    code, said = verify("".join(lines[:last]), "--until", until)
    assert code == 1 and f"nothing is sealed until {until}" in said, said
    first = next(n for n, line in enumerate(lines) if n and line.startswith('{"checkpoint":'))
    assert verify("".join(lines[first:]))[0] == 1, "the first checkpoint is missing"
    assert verify(text)[0] == 0


def test_what_was_put_into_the_table_is_in_the_next_export_and_named(stack, exported, verify):
    compliance, controller = Staff(stack, "compliance"), Staff(stack, "controller")
    sealed, _ = exported[0].split('{"unsealed":true}\n')
    id = [json.loads(line)["id"] for line in sealed.splitlines() if line.startswith('{"id":')][0]
    dynamodb, table = stack.aws("dynamodb"), stack.resources.AuditTable
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    item = next(item for page in pages for item in page["Items"] if item["sk"]["S"] == id)
    # An entry of a sealed hour once more, in another partition of its day.
    day, shard = item["pk"]["S"].rsplit("#", 1)
    copy = {**item, "pk": {"S": f"{day}#{(int(shard) + 1) % 16:02}"}}
    dynamodb.put_item(TableName=table, Item=copy)
    try:
        export = ready(compliance, controller, kind="audit", format="json")
        code, said = verify(download(compliance, export["id"])[1])
    finally:
        dynamodb.delete_item(TableName=table, Key={"pk": copy["pk"], "sk": copy["sk"]})
    assert code == 1 and f"event {id} was added" in said, said


def test_another_key_verifies_nothing(stack, exported, verify):
    other = json.loads(stack.plixoctl("audit", "key", "--org", stack.orgs[1]["id"]).stdout)
    code, said = verify(exported[0], key=other["key"])
    assert code == 1 and "not signed by the key" in said, said


def test_an_empty_span_has_a_checkpoint_and_nothing_else(stack, exported):  # noqa: ARG001 - all is sealed by then
    s3, bucket = stack.aws("s3"), stack.resources.CheckpointsBucket
    names = lambda: {it["Key"] for it in s3.list_objects_v2(Bucket=bucket, Prefix=stack.orgs[1]["id"])["Contents"]}  # noqa: E731
    before = names()
    # Its log has only what was done to seed it, so the next spans are empty.
    wait_for(lambda: seal(stack) and names() > before, 10, "checkpoint")
    assert all("/checkpoints/" in name for name in names() - before)


def test_a_run_is_told_of_and_one_that_asks_for_the_future_fails(stack):
    line = wait_for(lambda: [it for it in stack.lines("job-audit-seal") if it["outcome"] == "sealed"], 5, "line")[-1]
    assert line["items"] >= 0 and line["span"] == "job"
    order = json.dumps({"seal_until": "2100-01-01T00:00:00Z"}).encode()
    answer = stack.aws("lambda").invoke(FunctionName=stack.resources.JobAuditSeal, Payload=order)
    assert "FunctionError" in answer
