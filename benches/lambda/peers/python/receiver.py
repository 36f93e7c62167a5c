"""Receives Stripe's webhooks (HTTP API, payload 2.0): the official library verifies, SQS takes the raw body."""

import base64
import json
import os
import re
import time
from datetime import datetime, timezone

import boto3
import stripe

sqs = boto3.client("sqs")
secrets = boto3.client("secretsmanager")
QUEUE_URL = os.environ["STRIPE_EVENTS_QUEUE_URL"]
PREFIX = os.environ["WEBHOOK_ENDPOINTS_PREFIX"]
KEEP_SECONDS = 300
cache = {}


def endpoint(id):
    entry, until = cache.get(id, (None, 0.0))
    if time.monotonic() >= until:
        entry = json.loads(secrets.get_secret_value(SecretId=PREFIX + id)["SecretString"])
        cache[id] = entry, time.monotonic() + KEEP_SECONDS
    return entry


# Card numbers (13 to 19 digits, perhaps with single blanks or dashes, Luhn's check digit) keep their last four digits.
DIGITS = re.compile(r"(?<![0-9A-Za-z_])[2-6](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z_])")


def luhn(digits):
    values = [int(digit) for digit in reversed(digits)]
    doubled = (2 * value - 9 if value > 4 else 2 * value for value in values[1::2])
    return (sum(values[::2]) + sum(doubled)) % 10 == 0


def mask(match):
    digits = re.sub("[ -]", "", match[0])
    return "*" * (len(digits) - 4) + digits[-4:] if luhn(digits) else match[0]


def reply(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def handler(request, context):
    began = time.perf_counter()
    line = {
        "level": "INFO",
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "function": "webhook-stripe",
        "request_id": request["requestContext"]["requestId"],
    }
    response = receive(request, line)
    line["status"] = response["statusCode"]
    if line["status"] >= 400:
        line["level"] = "WARN"
    line["duration_ms"] = (time.perf_counter() - began) * 1000
    print(json.dumps(line))
    return response


def receive(request, line):
    id = line["endpoint"] = request["pathParameters"]["endpoint"]
    entry = endpoint(id)
    line["org"] = entry["org"]
    if entry["state"] != "enabled":
        return reply(404, {"error": "no such endpoint"})

    raw = request.get("body") or ""
    if request.get("isBase64Encoded"):
        raw = base64.b64decode(raw).decode()
    try:
        event = stripe.Webhook.construct_event(
            raw, request["headers"].get("stripe-signature", ""), entry["secrets"][0]["secret"]
        )
    except (ValueError, stripe.SignatureVerificationError):
        return reply(400, {"error": "bad signature"})
    line["event_id"], line["event_type"] = event["id"], event["type"]
    if "account" in event and event["account"] != entry.get("account"):
        return reply(400, {"error": "another account"})

    envelope = {
        "v": 1,
        "org": entry["org"],
        "endpoint": id,
        "received_at": line["timestamp"],
        "request_id": request["requestContext"]["requestId"],
        "ip": request["requestContext"]["http"]["sourceIp"],
        "encoding": "identity",
    }
    sqs.send_message(
        QueueUrl=QUEUE_URL,
        MessageBody=DIGITS.sub(mask, raw),
        MessageAttributes={"plixo": {"DataType": "String", "StringValue": json.dumps(envelope)}},
    )
    return reply(200, {"received": True})
