// SPDX-License-Identifier: Apache-2.0
// A service written without tracing: listens by SERVER, asks by CLIENT. Prints its port.
//   service.js FOLDER SERVER CLIENT PORTS KEY CERTIFICATE [background]
// FOLDER has node_modules, PORTS is what upstream.js has printed.
'use strict';
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const { createRequire } = require('module');
const { background, shapes } = require('./shapes.js');
const { client } = require('./clients.js');

const [folder, server, by, ports, key, cert, more] = process.argv.slice(2);
const load = createRequire(`${folder}/`);
const asks = client(by, load, JSON.parse(ports));
const tls = () => ({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) });

const serve = (path, answer) => shapes[path.split('/')[1]](asks, path, answer);

// The body is read by events, as middleware does.
const handler = (request, response) => {
  request.on('data', () => {});
  request.on('end', () => serve(request.url, () => response.end('done')));
};

const listening = (it) => process.stdout.write(`${it.address().port}\n`);

const servers = {
  http: () => http.createServer(handler),
  https: () => https.createServer(tls(), handler),
  http2: () => http2.createServer(handler),
  http2s: () => http2.createSecureServer(tls(), handler),
  streams: () => http2.createServer().on('stream', (stream, headers) => {
    stream.resume();
    stream.on('end', () => serve(headers[':path'], () => stream.end('done')));
  }),
  express: () => {
    const express = load('express');
    const app = express();
    app.use(express.json());
    app.get('*', (request, response) => serve(request.path, () => response.send('done')));
    return http.createServer(app);
  },
};

if (more) background(asks);
if (server === 'fastify') {
  const app = load('fastify')();
  app.get('/:shape/:id', (request) => new Promise((resolve) => {
    serve(request.url, () => resolve('done'));
  }));
  app.listen({ port: 0, host: '127.0.0.1' }).then(() => listening(app.server));
} else {
  const it = servers[server]();
  it.listen(0, '127.0.0.1', () => listening(it));
}
