// SPDX-License-Identifier: Apache-2.0
// What a program is shown of the HTTP/2 sessions that end in it: its own two.
'use strict';
const http2 = require('http2');
const { PerformanceObserver } = require('perf_hooks');

const names = [];
new PerformanceObserver((list) => names.push(...list.getEntries().map(({ name }) => name))).observe({ entryTypes: ['http2'] });
process.on('exit', () => console.log(names.sort()));

const server = http2.createServer((request, response) => response.end('answer'));
server.listen(0, '127.0.0.1', () => {
  const client = http2.connect(`http://127.0.0.1:${server.address().port}`);
  const request = client.request();
  request.resume();
  request.on('close', () => {
    client.close();
    server.close();
  });
});
