// SPDX-License-Identifier: Apache-2.0
// HTTPS by HTTP/1.1 and HTTP/2, as the client wants: answers with the body it got, or else with the
// traceparent headers it saw.   tls_echo.js PORT CERTIFICATE KEY
const fs = require('fs');
const http2 = require('http2');
const [port, cert, key] = process.argv.slice(2);
const options = { allowHTTP1: true, cert: fs.readFileSync(cert), key: fs.readFileSync(key) };

http2.createSecureServer(options, (req, res) => {
	const parts = [];

	req.on('data', (part) => parts.push(part));
	req.on('end', () => {
		const body = Buffer.concat(parts);

		res.end(body.length ? body : req.headers.traceparent || '');
	});
}).listen(Number(port), '127.0.0.1');
