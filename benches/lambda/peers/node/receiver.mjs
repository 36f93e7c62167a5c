// Receives Stripe's webhooks (HTTP API, payload 2.0): the official library verifies, SQS takes the raw body.
import Stripe from 'stripe';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

const sqs = new SQSClient({});
const secrets = new SecretsManagerClient({});
const stripe = new Stripe('sk_test_unused'); // for webhooks.constructEvent alone, which calls nobody
const QUEUE_URL = process.env.STRIPE_EVENTS_QUEUE_URL;
const PREFIX = process.env.WEBHOOK_ENDPOINTS_PREFIX;
const KEEP_MS = 5 * 60_000;
const cache = new Map();

async function endpoint(id) {
  const cached = cache.get(id);
  if (cached && Date.now() < cached.until) return cached.entry;
  const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: PREFIX + id }));
  const entry = JSON.parse(SecretString);
  cache.set(id, { entry, until: Date.now() + KEEP_MS });
  return entry;
}

// Card numbers (13 to 19 digits, perhaps with single blanks or dashes, Luhn's check digit) keep their last four digits.
const DIGITS = /(?<![0-9A-Za-z_])[2-6](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z_])/g;
function luhn(digits) {
  let sum = 0;
  for (let at = digits.length - 1, double = false; at >= 0; at--, double = !double) {
    let digit = digits.charCodeAt(at) - 48;
    if (double && (digit *= 2) > 9) digit -= 9;
    sum += digit;
  }
  return sum % 10 === 0;
}
const redact = (text) => text.replace(DIGITS, (found) => {
  const digits = found.replace(/[ -]/g, '');
  return luhn(digits) ? '*'.repeat(digits.length - 4) + digits.slice(-4) : found;
});

const reply = (statusCode, body) => ({ statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

export const handler = async (request) => {
  const began = performance.now();
  const line = { level: 'INFO', timestamp: new Date().toISOString(), function: 'webhook-stripe', request_id: request.requestContext.requestId };
  const response = await receive(request, line);
  line.status = response.statusCode;
  if (line.status >= 400) line.level = 'WARN';
  line.duration_ms = performance.now() - began;
  console.log(JSON.stringify(line));
  return response;
};

async function receive(request, line) {
  const received_at = line.timestamp;
  const id = line.endpoint = request.pathParameters.endpoint;
  const entry = await endpoint(id);
  line.org = entry.org;
  if (entry.state !== 'enabled') return reply(404, { error: 'no such endpoint' });

  const raw = request.isBase64Encoded ? Buffer.from(request.body ?? '', 'base64').toString('utf8') : request.body ?? '';
  let event;
  try {
    event = stripe.webhooks.constructEvent(raw, request.headers['stripe-signature'] ?? '', entry.secrets[0].secret);
  } catch (error) {
    if (error instanceof Stripe.errors.StripeSignatureVerificationError) return reply(400, { error: 'bad signature' });
    throw error;
  }
  line.event_id = event.id;
  line.event_type = event.type;
  if (event.account && event.account !== entry.account) return reply(400, { error: 'another account' });

  const { requestId, http } = request.requestContext;
  const envelope = { v: 1, org: entry.org, endpoint: id, received_at, request_id: requestId, ip: http.sourceIp, encoding: 'identity' };
  await sqs.send(new SendMessageCommand({
    QueueUrl: QUEUE_URL,
    MessageBody: redact(raw),
    MessageAttributes: { plixo: { DataType: 'String', StringValue: JSON.stringify(envelope) } },
  }));
  return reply(200, { received: true });
}
