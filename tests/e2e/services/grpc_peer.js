// SPDX-License-Identifier: Apache-2.0
// test.Echo by grpc-js, either side, as grpc_service.py and grpc_client.py have it:
// grpc_peer.js FOLDER serve PORT, or grpc_peer.js FOLDER call PORT < JSON
// By TLS with certificates of the folder TLS_FOLDER.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const [folder, what, port] = process.argv.slice(2);
const grpc = require(path.join(folder, 'node_modules', '@grpc/grpc-js'));
const same = (b) => b;
const tls = process.env.TLS_FOLDER;
const pem = (name) => fs.readFileSync(path.join(tls, name));

function method(name, requestStream, responseStream) {
	return { path: `/test.Echo/${name}`, requestStream, responseStream, requestSerialize: same,
		requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
}

function text(metadata, name) {
	return metadata.get(name).map(String)[0];
}

const functions = {
	Unary(call, done) {
		const last = new grpc.Metadata();
		last.set('x-last', '2');
		last.set('x-seen', text(call.metadata, 'x-id') || 'none');
		done(null, call.request, last);
	},
	Fail(call, done) {
		done({ code: grpc.status[text(call.metadata, 'x-code')],
			details: text(call.metadata, 'x-message-bin') || '' });
	},
	Slow(call, done) {
		call.on('cancelled', () => done({ code: grpc.status.CANCELLED }));
	},
	ServerStream(call) {
		const [n, size] = call.request.toString().split(' ').map(Number);
		for (let i = 0; i < n; i++)
			call.write(Buffer.alloc(size, i & 255));
		call.end();
	},
	ClientStream(call, done) {
		const parts = [];
		call.on('data', (b) => parts.push(b));
		call.on('end', () => done(null, Buffer.concat(parts)));
	},
	Bidi(call) {
		call.on('data', (b) => call.write(Buffer.from(b).reverse()));
		call.on('end', () => call.end());
		call.on('error', () => {});
	},
};

function serve() {
	const server = new grpc.Server();
	server.addService({
		Unary: method('Unary', false, false), Fail: method('Fail', false, false),
		Slow: method('Slow', false, false), ServerStream: method('ServerStream', false, true),
		ClientStream: method('ClientStream', true, false), Bidi: method('Bidi', true, true),
	}, functions);
	const credentials = tls ?
		grpc.ServerCredentials.createSsl(null, [{ private_key: pem('server.key'), cert_chain: pem('server.pem') }]) :
		grpc.ServerCredentials.createInsecure();
	server.bindAsync(`127.0.0.1:${port}`, credentials, (error) => {
		if (error)
			throw error;
	});
}

function body(size) {
	return Buffer.from(Array.from({ length: size }, (_, n) => n * 31 & 255));
}

const makers = { unary: 'makeUnaryRequest', client: 'makeClientStreamRequest',
	server: 'makeServerStreamRequest', bidi: 'makeBidiStreamRequest' };

function ask(client, c) {
	return new Promise((resolve) => {
		const kind = c.kind || 'unary';
		const data = c.text === undefined ? body(c.size === undefined ? 10 : c.size) : Buffer.from(c.text);
		const sum = crypto.createHash('sha256');
		const result = { bytes: 0, parts: 0, last: [] };
		const metadata = new grpc.Metadata();
		for (const [k, v] of c.metadata || [])
			metadata.add(k, k.endsWith('-bin') ? Buffer.from(v) : v);
		const take = (b) => { sum.update(b); result.bytes += b.length; result.parts++; };
		const answered = (error, b) => b && take(b);
		const call = client[makers[kind]](`/${c.service || 'test.Echo'}/${c.method}`, same, same,
			...(kind === 'unary' || kind === 'server' ? [data] : []), metadata,
			{ deadline: Date.now() + 1000 * (c.timeout || 20) },
			...(kind === 'unary' || kind === 'client' ? [answered] : []));
		call.on('data', take);
		call.on('error', () => {});
		call.on('status', (s) => {
			for (const [k, v] of Object.entries(s.metadata.getMap()))
				result.last.push([k, String(v)]);
			setImmediate(() => resolve(Object.assign(result, { code: grpc.status[s.code],
				message: s.details, sum: sum.digest('hex') })));
		});
		if (kind === 'client' || kind === 'bidi') {
			for (let i = 0; i < (c.count || 3); i++)
				call.write(data);
			call.end();
		}
	});
}

async function main() {
	const client = tls ? new grpc.Client(`localhost:${port}`, grpc.credentials.createSsl(pem('ca.pem'))) :
		new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
	const calls = JSON.parse(fs.readFileSync(0));
	const results = await Promise.all(calls.map((c) => ask(client, c)));
	client.close();
	process.stdout.write(JSON.stringify(results));
}

if (what === 'serve')
	serve();
else
	main();
