// SPDX-License-Identifier: Apache-2.0
// Asks a service for COUNT requests of each shape, CONCURRENCY at a time, all shapes mixed. With
// `context` each has a traceparent, whose span id is the request's number.
//   drive.js SERVER PORT SHAPE,... COUNT CONCURRENCY [context]
'use strict';
const http = require('http');
const http2 = require('http2');
const https = require('https');

const [server, port, names, count, concurrency, context] = process.argv.slice(2);
const agent = new (server === 'https' ? https : http).Agent({ keepAlive: true, maxSockets: Number(concurrency) });
const byTwo = ['http2', 'http2s', 'streams'].includes(server);
const session = byTwo && http2.connect(`http${server === 'http2s' ? 's' : ''}://127.0.0.1:${port}`, { rejectUnauthorized: false });
const paths = [];
for (let id = 1; id <= Number(count); id++) for (const name of names.split(',')) paths.push(`/${name}/${id}`);

const headersOf = (number) => {
  if (!context) return {};
  const span = number.toString(16).padStart(16, '0');
  return { traceparent: `00-${'7'.repeat(16)}${span}-${span}-01` };
};

const ask = (path, headers) => new Promise((resolve, reject) => {
  if (byTwo) {
    const stream = session.request({ ':path': path, ...headers });
    stream.resume();
    stream.on('end', resolve);
    stream.on('error', reject);
    return;
  }
  const module = server === 'https' ? https : http;
  module.get({ host: '127.0.0.1', port, path, headers, agent, rejectUnauthorized: false }, (response) => {
    response.resume();
    response.on('end', resolve);
  }).on('error', reject);
});

let next = 0;
const worker = async () => {
  while (next < paths.length) {
    const number = ++next;
    await ask(paths[number - 1], headersOf(number));
  }
};

Promise.all(Array.from({ length: Number(concurrency) }, worker)).then(() => {
  if (session) session.close();
  agent.destroy();
}, (error) => {
  console.error(error);
  process.exit(1);
});
