// SPDX-License-Identifier: Apache-2.0
// A Node service: /hello.txt, /status/<code>, and 404 for everything else.
'use strict';
require('http').createServer((request, response) => {
	const path = request.url.split('?')[0];
	if (path === '/hello.txt') {
		response.end('hello, world\n');
	} else {
		response.writeHead(path.startsWith('/status/') ? Number(path.split('/')[2]) : 404);
		response.end('no\n');
	}
}).listen(Number(process.argv[2]), '127.0.0.1');
