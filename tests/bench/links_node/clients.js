// SPDX-License-Identifier: Apache-2.0
// Ways to ask: each makes get(path, callback) of the ports of upstream.js.
'use strict';
const http = require('http');
const http2 = require('http2');
const https = require('https');

const { tlsLines, workerLines } = require('./lines.js');

const byCore = (module, options) => (path, done) => {
  module.get({ path, ...options }, (response) => {
    response.resume();
    response.on('end', () => done(null));
  }).on('error', done);
};

const byPromise = (ask) => (path, done) => {
  ask(path).then(() => done(null), done);
};

const after = (lines, ask) => (path, done) => lines(path, () => ask(path, done));

const asking = (load, ports) => ({
  http: () => byCore(http, { host: '127.0.0.1', port: ports.http }),
  keep: () => byCore(http, { host: '127.0.0.1', port: ports.http, agent: new http.Agent({ keepAlive: true }) }),
  pool: () => byCore(http, { host: '127.0.0.1', port: ports.http, agent: new http.Agent({ keepAlive: true, maxSockets: 4 }) }),
  fresh: () => byCore(http, { host: '127.0.0.1', port: ports.http, agent: false }),
  names: () => byCore(http, { host: 'localhost', port: ports.http, family: 4 }),
  array: () => byCore(http, { host: '127.0.0.1', port: ports.http, headers: ['Host', 'somewhere', 'X-A', 'b'] }),
  https: () => byCore(https, { host: '127.0.0.1', port: ports.https, rejectUnauthorized: false, agent: new https.Agent({ keepAlive: true, maxSockets: 4 }) }),
  pipe: () => (path, done) => {
    const request = http.request({ host: '127.0.0.1', port: ports.http, path, method: 'POST' }, (response) => {
      response.resume();
      response.on('end', () => done(null));
    });
    request.on('error', done);
    setTimeout(() => request.end('some body'), 1);
  },
  fetch: () => byPromise(async (path) => (await fetch(`http://127.0.0.1:${ports.http}${path}`)).text()),
  'fetch of few': () => {
    const { Agent, setGlobalDispatcher } = load('undici');
    setGlobalDispatcher(new Agent({ connections: 4 }));
    return byPromise(async (path) => (await fetch(`http://127.0.0.1:${ports.http}${path}`)).text());
  },
  undici: () => {
    const { Pool } = load('undici');
    const pool = new Pool(`http://127.0.0.1:${ports.http}`, { connections: 4 });
    return byPromise(async (path) => (await pool.request({ path, method: 'GET' })).body.text());
  },
  // The dispatcher is of another copy of undici than fetch() is.
  'fetch by a pool': () => {
    const loaded = fetch('data:,');
    let dispatcher;
    return byPromise(async (path) => {
      await loaded;
      if (!dispatcher) dispatcher = new (load('undici').Pool)(`https://127.0.0.1:${ports.https}`, { connections: 4, connect: { rejectUnauthorized: false } });
      await (await fetch(`https://127.0.0.1:${ports.https}${path}`, { dispatcher })).text();
    });
  },
  // Callbacks of what works for many: whose they are is not known.
  'after tls': () => after(tlsLines(ports.lines), byCore(http, { host: '127.0.0.1', port: ports.http })),
  'after a worker': () => after(workerLines(), byCore(http, { host: '127.0.0.1', port: ports.http })),
  http2: () => {
    let session;
    return (path, done) => {
      session = session && !session.destroyed ? session : http2.connect(`http://127.0.0.1:${ports.http2}`);
      const stream = session.request({ ':path': path });
      stream.resume();
      stream.on('end', () => done(null));
      stream.on('error', done);
    };
  },
  grpc: () => {
    const grpc = load('@grpc/grpc-js');
    const client = new grpc.Client(`127.0.0.1:${ports.http2}`, grpc.credentials.createInsecure());
    const same = (bytes) => bytes;
    return (path, done) => client.makeUnaryRequest(path, same, same, Buffer.alloc(0), (error) => done(error));
  },
});

// The client `name` as { get(path) -> promise, call(path, callback) }.
exports.client = (name, load, ports) => {
  const ask = asking(load, ports)[name]();
  return {
    call: ask,
    get: (path) => new Promise((resolve, reject) => {
      ask(path, (error) => (error ? reject(error) : resolve()));
    }),
  };
};
