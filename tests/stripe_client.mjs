// What Stripe's Node library makes of the Stripe double, and of what it delivers: see infra/local/tests/test_stripe.py.

import { text } from "node:stream/consumers";
import Stripe from "stripe";

const script = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await { call, construct }[script.do](script)));

function construct({ taken }) {
  const { webhooks } = new Stripe("sk_test_unused");
  return taken.map(({ body, signature, secret }) => webhooks.constructEvent(body, signature, secret).type);
}

async function call({ base, key, amount }) {
  const { hostname: host, port } = new URL(base);
  const client = (with_key) => new Stripe(with_key, { host, port, protocol: "http", maxNetworkRetries: 0 });
  const stripe = client(key);
  const given = {
    mode: "payment",
    success_url: "https://pay.example/{CHECKOUT_SESSION_ID}",
    line_items: [{ quantity: 1, price_data: { currency: "eur", unit_amount: amount, product_data: { name: "Invoice" } } }],
  };
  const first = await stripe.checkout.sessions.create(given, { idempotencyKey: "node-1" });
  const again = await stripe.checkout.sessions.create(given, { idempotencyKey: "node-1" });
  const reused = await failure(stripe.checkout.sessions.create({ ...given, locale: "de" }, { idempotencyKey: "node-1" }));
  const read = await stripe.checkout.sessions.retrieve(first.id, { expand: ["line_items"] });

  for (let i = 0; i < 12; i++) await stripe.customers.create({ name: `C ${i}` });
  let listed = 0;
  for await (const _ of stripe.customers.list({ limit: 5 })) listed++;

  const pay = (payment_method) => stripe.paymentIntents.create({ amount: 700, currency: "eur", confirm: true, payment_method });
  const paid = await pay("pm_card_visa");
  const failures = [
    await failure(client("sk_test_wrong").customers.list()),
    await failure(stripe.customers.create({ colour: "red" })),
    await failure(stripe.checkout.sessions.retrieve("cs_test_none")),
    await failure(pay("pm_card_chargeDeclined")),
  ];
  // A closed connection is tried again once by the library itself.
  for (const [answer, times] of [[429, 1], [500, 1], ["reset", 2]]) {
    await fetch(`${base}/_double/faults`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: "/v1/customers", answer, times }),
    });
    failures.push(await failure(stripe.customers.list()));
  }
  return {
    session: read.status,
    same: again.id === first.id && read.line_items.data[0].amount_total === amount,
    replayed: again.lastResponse.headers["idempotent-replayed"],
    reused: reused.type,
    listed,
    received: paid.amount_received,
    errors: failures.map((error) => error.type),
    codes: failures.map((error) => (error.type === "StripeConnectionError" ? null : (error.code ?? null))),
  };
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}
