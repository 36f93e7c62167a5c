// Answers each line of standard input with what Stripe's Node library says to it: see README.md.

import { createInterface } from "node:readline";
import Stripe from "stripe";

const TOLERANCE_SECONDS = 300;
const { webhooks, errors } = new Stripe("sk_test_unused");

function answer({ header, body, secret, now }) {
  const payload = Buffer.from(body, "base64");
  if (header === undefined) {
    return webhooks.generateTestHeaderString({ payload: payload.toString(), secret, timestamp: now });
  }
  const text = Buffer.from(header, "base64").toString();
  try {
    webhooks.signature.verifyHeader(payload, text, secret, TOLERANCE_SECONDS, undefined, now * 1000);
  } catch (error) {
    const refused = error instanceof errors.StripeSignatureVerificationError;
    return refused ? `reject ${error.message.split("\n")[0]}` : `error ${error.name}`;
  }
  return "accept";
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(answer(JSON.parse(line)));
}
