// SPDX-License-Identifier: Apache-2.0
// One connection, and one worker, opened for whoever comes first and used for all: each makes
// lines(text, callback), and calls back when the text has come back, on its own account.
'use strict';
const tls = require('tls');
const { Worker } = require('worker_threads');

const waiting = (send) => {
  const waits = new Map();
  const come = (text) => {
    const [done, ...rest] = waits.get(text);
    waits.set(text, rest);
    done();
  };
  return (text, done) => {
    waits.set(text, [...(waits.get(text) || []), done]);
    send(text, come);
  };
};

exports.tlsLines = (port) => {
  let socket, rest = '';
  return waiting((text, come) => {
    if (!socket) {
      socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
      socket.setEncoding('latin1').on('data', (data) => {
        const lines = (rest + data).split('\n');
        rest = lines.pop();
        lines.forEach(come);
      });
    }
    socket.write(`${text}\n`);
  });
};

const ECHO = `const { parentPort } = require('worker_threads');
parentPort.on('message', (text) => setTimeout(() => parentPort.postMessage(text), Math.random() * 4));`;

exports.workerLines = () => {
  let worker;
  return waiting((text, come) => {
    if (!worker) worker = new Worker(ECHO, { eval: true }).on('message', come);
    worker.postMessage(text);
  });
};
