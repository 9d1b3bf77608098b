// SPDX-License-Identifier: Apache-2.0
// What is priced: / answers, /call asks the upstream first. Prints its port.
//   app.js http|express UPSTREAM_PORT
'use strict';
const http = require('http');

const [kind, upstream] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });

const call = (done) => {
  http.get({ host: '127.0.0.1', port: upstream, path: '/', agent }, (response) => {
    response.resume();
    response.on('end', done);
  });
};

const servers = {
  http: () => http.createServer((request, response) => {
    const answer = () => response.end('{"hello":"world"}');
    if (request.url === '/call') call(answer);
    else answer();
  }),
  express: () => {
    const app = require(require.resolve('express', { paths: [process.cwd()] }))();
    app.get('/', (request, response) => response.json({ hello: 'world' }));
    app.get('/call', (request, response) => call(() => response.json({ hello: 'world' })));
    return http.createServer(app);
  },
};

const server = servers[kind]();
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
