// Enters succeeded payments in a ledger: one read for the batch, and for each event one transaction of seven conditional
// puts, among them the event's text sealed under the organisation's data key.
import crypto from 'node:crypto';
import { BatchGetItemCommand, DynamoDBClient, GetItemCommand, TransactWriteItemsCommand } from '@aws-sdk/client-dynamodb';
import { DecryptCommand, KMSClient } from '@aws-sdk/client-kms';

const ddb = new DynamoDBClient({});
const kms = new KMSClient({});
const { LEDGER_TABLE, WEBHOOK_EVENTS_TABLE, AUDIT_TABLE, ENVELOPE_KEY_ARN } = process.env;
const KEEP_MS = 5 * 60_000;
const EVENT_SECONDS = 35 * 86_400;
const PAYLOAD_SECONDS = 30 * 86_400;
const keys = new Map();

const s = (text) => ({ S: text });
const n = (number) => ({ N: String(number) });
const money = (amount, currency) => ({ M: { amount: n(amount), currency: s(currency) } });

// Keeps the promise, so that the events of a first batch share one call.
function dataKey(org) {
  const kept = keys.get(org);
  if (kept && Date.now() < kept.until) return kept.key;
  const key = fetchDataKey(org);
  keys.set(org, { key, until: Date.now() + KEEP_MS });
  key.catch(() => keys.delete(org));
  return key;
}

async function fetchDataKey(org) {
  const row = await ddb.send(new GetItemCommand({ TableName: LEDGER_TABLE, Key: { pk: s(org), sk: s('data-key') }, ConsistentRead: true }));
  const { Plaintext } = await kms.send(new DecryptCommand({
    KeyId: ENVELOPE_KEY_ARN, CiphertextBlob: row.Item.wrapped.B, EncryptionContext: { org },
  }));
  return Buffer.from(Plaintext);
}

function seal(key, text, bound) {
  const iv = crypto.randomBytes(12);
  const cipher = crypto.createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(Buffer.from(bound));
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

// Of what the event says: Stripe counts `pending_webhooks` down from delivery to delivery.
const fingerprint = (text) =>
  crypto.createHash('sha256').update(text.replace(/"pending_webhooks":\s*[0-9]+/, '')).digest();

function read(record) {
  const { org, endpoint, received_at, request_id, ip } = JSON.parse(record.messageAttributes.plixo.stringValue);
  const event = JSON.parse(record.body);
  const payment = event.data.object;
  return {
    org, endpoint, received_at, request_id, ip, event, payment, text: record.body, fingerprint: fingerprint(record.body),
    keys: {
      event: { pk: s(`${org}#${endpoint}#${event.id}`), sk: s('event') },
      payment: { pk: s(`${org}#stripe#${payment.id}`), sk: s('payment') },
      invoice: { pk: s(`${org}#${payment.metadata.plixo_invoice_id}`), sk: s('invoice') },
    },
  };
}

const name = (key) => `${key.pk.S} ${key.sk.S}`;

async function readRows(tasks) {
  const rows = new Map();
  let wanted = {
    [LEDGER_TABLE]: { Keys: tasks.flatMap((task) => [task.keys.payment, task.keys.invoice]), ConsistentRead: true },
    [WEBHOOK_EVENTS_TABLE]: { Keys: tasks.map((task) => task.keys.event), ConsistentRead: true },
  };
  while (Object.keys(wanted).length) {
    const answer = await ddb.send(new BatchGetItemCommand({ RequestItems: wanted }));
    for (const items of Object.values(answer.Responses)) for (const item of items) rows.set(name(item), item);
    wanted = answer.UnprocessedKeys ?? {};
  }
  return rows;
}

const listed = (index, partition, sort) => ({ [`${index}_pk`]: s(partition), [`${index}_sk`]: s(sort) });

const put = (TableName, Item, version) => ({ Put: version
  ? { TableName, Item, ConditionExpression: 'version = :version', ExpressionAttributeValues: { ':version': version } }
  : { TableName, Item, ConditionExpression: 'attribute_not_exists(pk)' } });

async function work(task, rows) {
  const { org, endpoint, event, payment } = task;
  const seen = rows.get(name(task.keys.event));
  if (seen && !task.fingerprint.equals(seen.fingerprint.B)) throw new Error('the same id with other bytes');
  if (seen || rows.has(name(task.keys.payment))) return;
  const invoice = rows.get(name(task.keys.invoice));
  if (!invoice) throw new Error('no such invoice');

  const now = new Date();
  const [eventId, paymentId, allocationId] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  const currency = payment.currency.toUpperCase();
  const received = payment.amount_received;
  const total = Number(invoice.total.M.amount.N);
  const claims = invoice.claims?.L ?? [];
  const open = total - claims.reduce((sum, claim) => sum + Number(claim.M.applied.N), 0);
  const applied = invoice.total.M.currency.S === currency ? Math.min(received, open) : 0;
  const status = applied === open ? 'paid' : 'partially_paid';
  const receivedAt = Math.floor(Date.parse(task.received_at) / 1000);
  const claim = { M: { payment: s(payment.id), received_at: n(event.created), wanted: n(received), applied: n(applied), allocation: s(allocationId) } };
  const text = seal(await dataKey(org), task.text, `${org}#${eventId}#payload`);

  const audit = (action, kind, id, fields) => {
    const auditId = crypto.randomUUID();
    return put(AUDIT_TABLE, {
      pk: s(`${org}#${now.toISOString().slice(0, 10)}#${parseInt(auditId.slice(-2), 16) % 16}`), sk: s(`${now.toISOString()}#${auditId}`),
      at: s(now.toISOString()), actor: { M: { kind: s('provider'), id: s(endpoint) } }, ip: s(task.ip), action: s(action),
      object: { M: { kind: s(kind), id: s(id) } }, outcome: s('allowed'), fields: { L: fields.map(s) }, request_id: s(task.request_id),
    });
  };
  await ddb.send(new TransactWriteItemsCommand({ TransactItems: [
    put(WEBHOOK_EVENTS_TABLE, {
      ...task.keys.event, id: s(eventId), provider: s('stripe'), type: s(event.type), status: s('applied'), received_at: s(task.received_at),
      applied_at: s(now.toISOString()), fingerprint: { B: task.fingerprint }, expires_at: n(receivedAt + EVENT_SECONDS), version: n(1),
      ...listed('kind', `${org}#webhook-events`, eventId),
    }),
    put(WEBHOOK_EVENTS_TABLE, { pk: task.keys.event.pk, sk: s('payload'), sealed: { B: text }, expires_at: n(receivedAt + PAYLOAD_SECONDS) }),
    put(LEDGER_TABLE, {
      ...task.keys.payment, id: s(paymentId), reference: s(payment.id), status: s('succeeded'), amount: money(received, currency),
      unapplied: money(received - applied, currency), received_at: n(event.created), customer: s(payment.customer),
      invoice_id: invoice.id, version: n(1), ...listed('kind', `${org}#payments`, paymentId),
      ...(received > applied && listed('state', `${org}#payments#unapplied`, paymentId)),
      allocations: { L: [{ M: { id: s(allocationId), invoice_id: invoice.id, amount: n(applied), applied_by: s(endpoint) } }] },
    }),
    put(LEDGER_TABLE, { pk: s(`${org}#${paymentId}`), sk: s('payment-pointer'), reference: s(payment.id), version: n(1) }),
    put(LEDGER_TABLE, {
      ...invoice, claims: { L: [...claims, claim] }, balance: n(open - applied),
      status: s(status), version: n(Number(invoice.version.N) + 1), ...listed('kind', `${org}#invoices`, invoice.id.S),
      ...listed('state', `${org}#invoices#${status}`, `${invoice.due_on.S}#${invoice.id.S}`),
      ...listed('customer', `${org}#${invoice.customer_id.S}#invoices`, invoice.id.S),
    }, invoice.version),
    audit('payment.create', 'payment', paymentId, ['amount', 'status']),
    audit('invoice.update', 'invoice', invoice.id.S, ['allocations']),
  ] }));
}

async function logged(task, record, rows) {
  const began = performance.now();
  const { org, endpoint, event, request_id } = task;
  const line = {
    level: 'INFO', timestamp: new Date().toISOString(), function: 'worker-stripe', request_id, message_id: record.messageId,
    org, endpoint, event_id: event.id, event_type: event.type,
  };
  try {
    await work(task, rows);
  } catch (error) {
    line.level = 'ERROR';
    line.error = String(error);
    throw error;
  } finally {
    line.duration_ms = performance.now() - began;
    console.log(JSON.stringify(line));
  }
}

export const handler = async ({ Records }) => {
  const tasks = Records.map(read);
  const rows = await readRows(tasks);
  const done = await Promise.allSettled(tasks.map((task, at) => logged(task, Records[at], rows)));
  const failed = Records.filter((_, at) => done[at].status === 'rejected');
  return { batchItemFailures: failed.map((record) => ({ itemIdentifier: record.messageId })) };
};
