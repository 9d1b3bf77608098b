// SPDX-License-Identifier: Apache-2.0
// A Node relay that pipes: the request to the upstream, its answer back. pipe.js PORT UPSTREAM
'use strict';
const http = require('http');

http.createServer((request, response) => {
	const out = http.request({ host: '127.0.0.1', port: process.argv[3], path: request.url,
		method: request.method, headers: request.headers }, (answer) => {
		response.writeHead(answer.statusCode, answer.headers);
		answer.pipe(response);
	});
	out.on('error', () => response.destroy());
	request.pipe(out);
}).listen(process.argv[2], '127.0.0.1');
