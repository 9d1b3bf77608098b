// SPDX-License-Identifier: Apache-2.0
// What a service does for a request /SHAPE/ID: it asks for /SHAPE/ID/1 and so on, at times of its own.
'use strict';
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const some = () => sleep(1 + Math.random() * 6);

// Each gets the client, the request's path, and answer(), which sends the response.
exports.shapes = {
  async plain({ get }, path, answer) {
    await get(`${path}/1`);
    await get(`${path}/2`);
    answer();
  },
  async before({ get }, path, answer) {
    await some();
    await get(`${path}/1`);
    await get(`${path}/2`);
    answer();
  },
  async between({ get }, path, answer) {
    await get(`${path}/1`);
    await some();
    await get(`${path}/2`);
    await some();
    await get(`${path}/3`);
    answer();
  },
  async fan({ get }, path, answer) {
    await some();
    await Promise.all([1, 2, 3].map((n) => get(`${path}/${n}`)));
    answer();
  },
  callbacks({ call }, path, answer) {
    setTimeout(() => call(`${path}/1`, () => {
      call(`${path}/2`, () => answer());
    }), Math.random() * 5);
  },
  async answered({ get }, path, answer) {
    answer();
    await some();
    await get(`${path}/1`);
    await get(`${path}/2`);
  },
};

// For requests that are open while it runs it is nobody's.
exports.background = ({ call }) => {
  let n = 0;
  setInterval(() => call(`/background/${n++}`, () => {}), 3);
};
