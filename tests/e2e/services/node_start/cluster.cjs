// SPDX-License-Identifier: Apache-2.0
// Two workers answer in turn.
'use strict';
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
  const ports = [];
  for (let i = 0; i < 2; i++) {
    cluster.fork().on('message', (port) => {
      ports.push(port);
      if (ports.length < 2) return;
      const got = new Set();
      const ask = () => http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
        response.setEncoding('utf8').on('data', (id) => got.add(id)).on('end', () => {
          if (got.size < 2) return ask();
          console.log('both', Object.keys(cluster.workers));
          return cluster.disconnect();
        });
      });
      ask();
    });
  }
} else {
  const server = http.createServer((request, response) => response.end(String(cluster.worker.id)));
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}
