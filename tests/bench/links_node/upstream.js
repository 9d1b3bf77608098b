// SPDX-License-Identifier: Apache-2.0
// What the services ask: HTTP/1.1, the same by TLS, HTTP/2, where it answers gRPC as well, and lines
// by TLS, which come back. Prints its ports, then for each request a line of JSON: its path and what traceparent headers it had.
//   upstream.js KEY CERTIFICATE
'use strict';
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const tls = require('tls');

const [key, cert] = process.argv.slice(2, 4).map((file) => fs.readFileSync(file));

const valuesOf = (raw, name) => raw.filter((_, i) => i % 2 && raw[i - 1].toLowerCase() === name);

const note = (path, raw) => {
  process.stdout.write(`${JSON.stringify({ path, traceparent: valuesOf(raw, 'traceparent') })}\n`);
};

const later = (fn) => setTimeout(fn, Math.random() * 4);

const answer = (request, response) => {
  note(request.url, request.rawHeaders);
  request.resume();
  later(() => response.end(request.url));
};

const answerCall = (stream, headers, _flags, raw) => {
  note(headers[':path'], raw);
  stream.resume();
  const grpc = String(headers['content-type']).startsWith('application/grpc');
  later(() => {
    if (!grpc) {
      stream.respond({ ':status': 200 });
      stream.end(headers[':path']);
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 0])); // one empty message
  });
};

const echo = (socket) => {
  socket.pipe(socket);
  socket.on('error', () => {});
};

const servers = {
  http: http.createServer(answer),
  https: https.createServer({ key, cert }, answer),
  lines: tls.createServer({ key, cert }, echo),
  http2: http2.createServer().on('stream', answerCall),
};
const ports = {};
for (const [name, server] of Object.entries(servers)) {
  server.listen(0, '127.0.0.1', () => {
    ports[name] = server.address().port;
    if (Object.keys(ports).length === Object.keys(servers).length) process.stdout.write(`${JSON.stringify(ports)}\n`);
  });
}
