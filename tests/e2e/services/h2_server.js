// SPDX-License-Identifier: Apache-2.0
// HTTP/2 in clear text by Node: h2_server.js PORT FOLDER
// /echo gives the body back as it comes, /headers the fields that came, /trailers has trailers, /push pushes, /hints sends 103
// first, /status/<n> is that status, CONNECT is a tunnel to itself; all else is a file.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const path = require('path');
const [port, folder] = [Number(process.argv[2]), process.argv[3]];

function special(stream, where) {
	if (where.startsWith('/status/')) {
		stream.respond({ ':status': Number(where.split('/')[2]) });
		stream.end('told to\n');
	} else if (where === '/trailers') {
		stream.respond({ ':status': 200 }, { waitForTrailers: true });
		stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
		stream.end('body\n');
	} else if (where === '/hints') {
		stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
		stream.respond({ ':status': 200 });
		stream.end('hinted\n');
	} else if (where === '/push' && stream.pushAllowed) {
		stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
			pushed.respond({ ':status': 200 });
			pushed.end('pushed\n');
			stream.respond({ ':status': 200 });
			stream.end('pushing\n');
		});
	} else {
		return false;
	}
	return true;
}

// A stream may be gone by the time it is answered.
process.on('uncaughtException', (error) => console.error(error));

const server = http2.createServer();
server.on('stream', (stream, headers, flags, raw) => {
	stream.on('error', () => {});
	if (headers[':method'] === 'CONNECT' || headers[':path'] === '/echo') {
		stream.respond({ ':status': 200 });
		stream.pipe(stream);
		return;
	}
	const where = headers[':path'].split('?')[0];
	stream.resume();
	if (where === '/headers') {
		stream.respond({ ':status': 200 });
		stream.end(JSON.stringify(raw));
		return;
	}
	if (special(stream, where))
		return;
	if (headers[':method'] === 'HEAD') {
		stream.respond({ ':status': 200 });
		return;
	}
	// Not by respondWithFile(): with Node 20.20.2 a stream that is reset in the middle of it is the process's end.
	fs.readFile(path.join(folder, where), (error, body) => {
		if (stream.destroyed)
			return;
		stream.respond({ ':status': error ? 404 : 200 });
		stream.end(error ? 'nothing\n' : body);
	});
});
server.listen(port, '127.0.0.1');
