// SPDX-License-Identifier: Apache-2.0
// Asks for a URL of https, with a file as body if one is named, and writes the answer out.
//     tls_ask.js http1|http2 AUTHORITY URL [FILE]
const fs = require('fs');
const [how, authority, url, file] = process.argv.slice(2);
const ca = fs.readFileSync(authority);
const body = file ? fs.readFileSync(file) : undefined;
const method = file ? 'POST' : 'GET';

function byHttp1() {
	const headers = body ? { 'Content-Length': body.length } : {};

	require('https').request(url, { ca, method, headers }, (res) => res.pipe(process.stdout)).end(body);
}

function byHttp2() {
	const session = require('http2').connect(url, { ca });
	const stream = session.request({ ':path': new URL(url).pathname, ':method': method },
		{ endStream: !body });

	stream.on('end', () => session.close()).pipe(process.stdout);
	if (body)
		stream.end(body);
}

({ http1: byHttp1, http2: byHttp2 })[how]();
