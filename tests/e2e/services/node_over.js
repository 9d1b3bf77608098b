// SPDX-License-Identifier: Apache-2.0
// Asks the upstream for what was asked for when a request, its answer, or its connection is over:
// WHEN is "request close", "response close", "response finish" or "clientError" (of the server).
//   node_over.js UPSTREAM_PORT WHEN
'use strict';
const http = require('http');

const [port, when] = process.argv.slice(2);
const [whose, event] = when.split(' ');
const ask = (path) => http.get({ host: '127.0.0.1', port, path }, (answer) => answer.resume());

const server = http.createServer((request, response) => {
  const it = { request, response }[whose];
  if (it) it.on(event, () => ask(request.url));
  response.write('begun');
  if (request.url === '/whole') response.end();
});
if (when === 'clientError') {
  server.on(when, (_error, socket) => {
    ask('/error');
    socket.end();
  });
}
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
