// SPDX-License-Identifier: Apache-2.0
// What the services ask, and a collector: takes everything. Prints its port.
'use strict';
const server = require('http').createServer((request, response) => {
  request.resume();
  request.on('end', () => response.end(request.method === 'POST' ? '' : 'upstream'));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
