// SPDX-License-Identifier: Apache-2.0
// A Node service that answers /r/<id> after asking an upstream for /out/<id>:
// relay.js PORT UPSTREAM http|fetch
'use strict';
const http = require('http');
const [port, upstream, client] = [process.argv[2], process.argv[3], process.argv[4]];
const agent = new http.Agent({ keepAlive: true });

function withHttp(path) {
	return new Promise((resolve, reject) => {
		http.get({ host: '127.0.0.1', port: upstream, path, agent }, (r) => {
			const parts = [];
			r.on('data', (c) => parts.push(c));
			r.on('end', () => resolve([r.statusCode, Buffer.concat(parts)]));
		}).on('error', reject);
	});
}

async function withFetch(path) {
	const r = await fetch(`http://127.0.0.1:${upstream}${path}`);
	return [r.status, Buffer.from(await r.arrayBuffer())];
}

const ask = client === 'fetch' ? withFetch : withHttp;

http.createServer(async (request, response) => {
	try {
		if (request.url.startsWith('/r/')) {
			const [status, body] = await ask(request.url.replace('/r/', '/out/'));
			response.writeHead(status, { 'Content-Type': 'text/plain' });
			response.end(body);
		} else if (request.url.startsWith('/status/')) {
			response.writeHead(Number(request.url.split('/')[2]));
			response.end();
		} else {
			response.end('nothing\n');
		}
	} catch (error) {
		response.writeHead(502);
		response.end(String(error));
	}
}).listen(port, '127.0.0.1');
