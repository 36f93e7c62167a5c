"""Answers each line of standard input with what Stripe's Python library says to it: see README.md."""

import base64
import json
import sys
from unittest import mock

from stripe import SignatureVerificationError, WebhookSignature

TOLERANCE_SECONDS = 300


def answer(case: dict) -> str:
    body = base64.b64decode(case["body"])
    if "header" not in case:
        return WebhookSignature.generate_signature_header(body.decode(), case["secret"], case["now"])
    header = base64.b64decode(case["header"]).decode()
    try:
        with mock.patch("stripe._webhook.time.time", return_value=case["now"]):
            WebhookSignature.verify_header(body, header, case["secret"], TOLERANCE_SECONDS)
    except SignatureVerificationError as error:
        return "reject " + str(error).splitlines()[0]
    except Exception as error:
        return "error " + type(error).__name__
    return "accept"


if __name__ == "__main__":
    for line in sys.stdin:
        print(answer(json.loads(line)), flush=True)
