// SPDX-License-Identifier: Apache-2.0
// The same service on Node's http module: POST a list of {url, arguments}, each is called in turn.
'use strict';
const http = require('http');

function call(url, body) {
	return new Promise((resolve, reject) => {
		const request = http.request(url, {
			method: 'POST',
			headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
		}, (response) => {
			response.resume();
			response.on('end', resolve);
		});
		request.on('error', reject);
		request.end(body);
	});
}

http.createServer((request, response) => {
	let body = '';
	request.on('data', (chunk) => { body += chunk; });
	request.on('end', async () => {
		try {
			for (const item of JSON.parse(body))
				await call(item.url, JSON.stringify(item.arguments));
			response.end();
		} catch (error) {
			response.writeHead(500);
			response.end(String(error));
		}
	});
}).listen(Number(process.argv[2]), '127.0.0.1');
