// What a program can see of the objects that requests are made of, once one has come in.
'use strict';
const http = require('http');
const http2 = require('http2');

const keysOf = (object) => {
  const keys = [];
  for (const key in object) keys.push(key);
  return keys.sort().filter((key) => !/^(?:domain|_closed)$/.test(key)).join();
};

const told = (fn) => {
  try {
    return typeof fn();
  } catch (error) {
    return `${error.code} ${error.message}`;
  }
};

const looksOf = (fn) => `${fn.name} ${fn.length}`;

const server = http.createServer((request, response) => {
  if (request.url === '/inner') {
    response.end('inner');
    return;
  }
  const asked = http.get({ port: server.address().port, path: '/inner' }, (answer) => {
    console.log(keysOf(asked), keysOf(answer), keysOf(request), keysOf(response));
    console.log(asked._header.replace(/:\d+/, ''), JSON.stringify(asked.getHeaders()).replace(/:\d+/, ''));
    for (const name of ['getHeader', '_send', '_storeHeader', 'emit']) console.log(looksOf(asked[name]));
    answer.resume().on('end', () => askByTwo(response));
  });
  console.log(new Error('here').stack.replace(/.*node:internal.*\n?/g, '').replace(/:\d+/g, ''));
});

const askByTwo = (response) => {
  const two = http2.createServer().listen(0, '127.0.0.1', () => {
    const session = http2.connect(`http://127.0.0.1:${two.address().port}`);
    for (const headers of [null, 5, 'text', true]) console.log(told(() => session.request(headers)));
    console.log(looksOf(session.request));
    session.destroy();
    two.close();
    response.end();
  });
};

server.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, path: '/', agent: false }, (answer) => {
    answer.resume().on('end', () => {
      server.close();
      server.closeAllConnections();
      http.globalAgent.destroy();
    });
  });
});
