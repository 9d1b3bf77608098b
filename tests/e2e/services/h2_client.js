// SPDX-License-Identifier: Apache-2.0
// Requests by Node's http2, all at once on one connection: h2_client.js PORT < JSON
// [{method, path, size, authority}]: a body of `size` bytes goes along. Prints a JSON array of
// {status, bytes, sum, trailers, interim, pushed, error}.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http2 = require('http2');

const wanted = JSON.parse(fs.readFileSync(0));
const session = http2.connect(`http://127.0.0.1:${process.argv[2]}`);
const results = wanted.map(() => ({ bytes: 0, interim: [], pushed: 0 }));
let left = wanted.length;

session.on('error', (error) => results.forEach((r) => { r.session = error.code; }));
session.on('stream', (pushed) => {
	results.forEach((r) => { r.pushed++; });
	pushed.resume();
});

function body(i, size) {
	const block = Buffer.alloc(size);
	for (let n = 0; n < size; n++)
		block[n] = (n * 31 + i * 7) & 255;
	return block;
}

wanted.forEach((w, i) => {
	const r = results[i];
	const sum = crypto.createHash('sha256');
	const head = { ':method': w.method || 'GET', ':path': w.path };
	if (w.method === 'CONNECT') {
		delete head[':path'];
		head[':authority'] = w.authority;
	}
	const stream = session.request(head, { endStream: w.size === undefined && w.method !== 'CONNECT' });
	stream.on('headers', (h) => r.interim.push(h[':status']));
	stream.on('response', (h) => {
		r.status = h[':status'];
		if (w.cancel)
			stream.close(http2.constants.NGHTTP2_CANCEL);
	});
	stream.on('trailers', (h) => { r.trailers = h; });
	stream.on('data', (d) => { r.bytes += d.length; sum.update(d); });
	stream.on('error', (e) => { r.error = e.code; });
	stream.on('close', () => {
		r.sum = sum.digest('hex');
		r.code = stream.rstCode;
		if (--left === 0) {
			session.destroy();
			process.stdout.write(JSON.stringify(results));
		}
	});
	if (w.size !== undefined)
		stream.end(body(i, w.size));
	else if (w.method === 'CONNECT')
		stream.end('through the tunnel');
});
