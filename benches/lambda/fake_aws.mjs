// A fake of the four AWS services that the functions call (awsJson 1.0 and 1.1). It answers at once, keeps nothing but what
// goes into tables that the world names as kept, and counts. Its contents (the vault's entry, a wrapped data key, an open invoice) come from the file that WORLD names.
//
//   GET /_counts   {"SQS.SendMessage": 12, …}; `puts` counts the items of all transactions
//   GET /_reset    zeroes the counts
//
// It prints its two ports as JSON, http and https; CERT and KEY name the PEM files for https, DELAY_MS delays every answer.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const DELAY_MS = Number(process.env.DELAY_MS ?? 0);
const world = JSON.parse(fs.readFileSync(process.env.WORLD));
const SERVICES = { AmazonSQS: 'SQS', secretsmanager: 'SecretsManager', TrentService: 'KMS', DynamoDB_20120810: 'DynamoDB' };
let counts = {};

class Refusal extends Error {}
const refuse = (code) => { throw new Refusal(code); };

const md5 = (bytes) => crypto.createHash('md5').update(bytes).digest('hex');

// As SQS reckons it: the SDKs check it.
function attributesMd5(attributes) {
  const parts = [];
  const add = (text) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  };
  for (const [name, { DataType, StringValue }] of Object.entries(attributes).sort()) {
    add(name);
    add(DataType);
    parts.push(Buffer.from([1]));
    add(StringValue);
  }
  return md5(Buffer.concat(parts));
}

// Ours keep an invoice as one JSON text, the peers as attributes: each gets what it would have written.
function invoice(pk, sk, ours) {
  const id = pk.S.slice(world.org.length + 1);
  if (!ours) return { ...world.invoiceItem, pk, sk, id: { S: id } };
  return { kind: { S: 'invoice' }, v: { N: '1' }, version: { N: '1' }, pk, sk, row: { S: JSON.stringify({ id, ...world.invoiceRow }) } };
}

function item({ pk, sk }, ours) {
  if (sk.S === 'data-key' && pk.S === world.org) return world.dataKeyItem;
  return sk.S === 'invoice' && pk.S.startsWith(`${world.org}#`) ? invoice(pk, sk, ours) : undefined;
}

const kept = new Map(Object.entries(world.kept).map(([table, items]) => [table, new Map(items.map((item) => [name(item), item]))]));

function name({ pk, sk }) {
  return `${pk.S}\n${sk.S}`;
}

const lookUp = (table, key, ours) => (kept.get(table)?.get(name(key)) ?? item(key, ours));
const found = (ours) => ([table, { Keys, ProjectionExpression, ExpressionAttributeNames: names }]) => {
  const wanted = ProjectionExpression?.split(', ').map((name) => names[name] ?? name);
  const projected = (item) => (wanted ? Object.fromEntries(wanted.filter((name) => name in item).map((name) => [name, item[name]])) : item);
  return [table, Keys.map((key) => lookUp(table, key, ours)).filter(Boolean).map(projected)];
};

// One page of a list, in an index's order.
function query({ TableName, ExpressionAttributeNames: names, ExpressionAttributeValues: values, ScanIndexForward, Limit }) {
  const [partition, sort] = [names['#partition'], names['#sort']];
  const items = [...kept.get(TableName).values()].filter((row) => row[partition]?.S === values[':partition'].S);
  items.sort((a, b) => (a[sort].S < b[sort].S ? -1 : 1) * (ScanIndexForward === false ? -1 : 1));
  return { Items: items.slice(0, Limit).map((row) => ({ pk: row.pk, sk: row.sk, [sort]: row[sort] })) };
}

const operations = {
  'SQS.GetQueueAttributes': () => ({ Attributes: { QueueArn: 'arn:aws:sqs:eu-central-1:000000000000:stripe-events' } }),
  'SQS.SendMessage': ({ MessageBody, MessageAttributes }) => ({
    MessageId: crypto.randomUUID(), MD5OfMessageBody: md5(MessageBody), MD5OfMessageAttributes: attributesMd5(MessageAttributes),
  }),
  'SecretsManager.GetSecretValue': ({ SecretId }) => ({
    ARN: `arn:aws:secretsmanager:eu-central-1:000000000000:secret:${SecretId}`, Name: SecretId, VersionStages: ['AWSCURRENT'],
    SecretString: world.secrets[SecretId] ?? refuse('ResourceNotFoundException'), VersionId: crypto.randomUUID(), CreatedDate: 1.78e9,
  }),
  'KMS.DescribeKey': ({ KeyId }) => ({ KeyMetadata: { KeyId, Arn: KeyId, Enabled: true, KeyState: 'Enabled' } }),
  'KMS.Decrypt': ({ KeyId, CiphertextBlob, EncryptionContext }) => (
    CiphertextBlob === world.dataKeyItem.wrapped.B && EncryptionContext?.org === world.org
      ? { KeyId, Plaintext: world.dataKey, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }
      : refuse('InvalidCiphertextException')),
  'DynamoDB.Query': query,
  'DynamoDB.GetItem': ({ Key }) => ({ Item: item(Key) }),
  'DynamoDB.BatchGetItem': ({ RequestItems }, ours) => (
    { Responses: Object.fromEntries(Object.entries(RequestItems).map(found(ours))), UnprocessedKeys: {} }),
  'DynamoDB.TransactWriteItems': ({ TransactItems }) => {
    for (const { Put, Delete } of TransactItems) {
      if (Put) kept.get(Put.TableName)?.set(name(Put.Item), Put.Item);
      if (Delete) kept.get(Delete.TableName)?.delete(name(Delete.Key));
    }
    return {};
  },
};

// A call that is tried again, for its answer came too late, is one call.
const invocations = new Set();

function count(name, asked, invocation) {
  if (invocations.has(invocation)) return;
  if (invocation) invocations.add(invocation);
  counts[name] = (counts[name] ?? 0) + 1;
  if (name === 'DynamoDB.TransactWriteItems') {
    counts.puts = (counts.puts ?? 0) + asked.TransactItems.filter(({ Put }) => Put?.ConditionExpression).length;
  }
}

function answer(target, body, { 'user-agent': agent, 'amz-sdk-invocation-id': invocation }) {
  const [service, operation] = target.split('.');
  const name = `${SERVICES[service]}.${operation}`;
  const asked = JSON.parse(body);
  count(name, asked, invocation);
  try {
    return [200, (operations[name] ?? refuse('UnknownOperationException'))(asked, agent?.includes('aws-sdk-rust'))];
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [400, { __type: error.message, message: name }];
  }
}

function handle(request, response, body) {
  const send = (status, type, data) => {
    const bytes = Buffer.from(JSON.stringify(data));
    response.writeHead(status, { 'content-type': type, 'content-length': bytes.length, 'x-amzn-requestid': 'bench' });
    response.end(bytes);
  };
  if (request.url === '/_counts') return send(200, 'application/json', counts);
  if (request.url === '/_reset') {
    invocations.clear();
    return send(200, 'application/json', (counts = {}));
  }
  const [status, data] = answer(request.headers['x-amz-target'] ?? '', body, request.headers);
  const reply = () => send(status, request.headers['content-type'], data);
  return DELAY_MS ? setTimeout(reply, DELAY_MS) : reply();
}

const listen = (server) => new Promise((resolve) => {
  server.on('request', (request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => handle(request, response, Buffer.concat(chunks)));
  });
  server.keepAliveTimeout = 300_000;
  server.listen(0, '127.0.0.1', () => resolve(server.address().port));
});
const cert = { cert: fs.readFileSync(process.env.CERT), key: fs.readFileSync(process.env.KEY) };
console.log(JSON.stringify({ http: await listen(http.createServer()), https: await listen(https.createServer(cert)) }));
