// A bare loop on Lambda's Runtime API, without the managed runtime's own work: the fastest that Node starts and answers.
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1, noDelay: true });

const call = (method, resource, body) => new Promise((resolve, reject) => {
  const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const request = http.request({ host, port, method, path: `/2018-06-01/runtime${resource}`, agent, headers }, (response) => {
    const chunks = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
  });
  request.on('error', reject);
  request.end(body);
});

const fault = (error) => JSON.stringify({ errorType: error.name, errorMessage: error.message });

let handler;
try {
  const [file, name] = process.env._HANDLER.split('.');
  const module = await import(pathToFileURL(path.resolve(process.env.LAMBDA_TASK_ROOT, `${file}.mjs`)).href);
  handler = module[name];
} catch (error) {
  await call('POST', '/init/error', fault(error));
  process.exit(1);
}
for (;;) {
  const { headers, body } = await call('GET', '/invocation/next');
  const id = headers['lambda-runtime-aws-request-id'];
  try {
    const answer = await handler(JSON.parse(body), { awsRequestId: id });
    await call('POST', `/invocation/${id}/response`, JSON.stringify(answer ?? null));
  } catch (error) {
    await call('POST', `/invocation/${id}/error`, fault(error));
  }
}
