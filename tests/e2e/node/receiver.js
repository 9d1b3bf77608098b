// SPDX-License-Identifier: Apache-2.0
// An OTLP receiver on the official packages for Node: http/protobuf, http/json and grpc. With a
// folder of certificates over TLS. Prints its two ports, then a JSON line for each request.
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const path = require('path');
const zlib = require('zlib');
// The packages are in another folder than this file: the first argument names it.
const modules = path.join(process.argv[2], 'node_modules');
const grpc = require(path.join(modules, '@grpc/grpc-js'));
const generated = '@opentelemetry/otlp-transformer/build/src/generated/root';
const { trace } = require(path.join(modules, generated)).opentelemetry.proto.collector;
const Request = trace.v1.ExportTraceServiceRequest;
const Response = trace.v1.ExportTraceServiceResponse;
const folder = process.argv[3];
const pem = (name) => fs.readFileSync(path.join(folder, name));

function keep(how, request) {
  const spans = request.resourceSpans.flatMap((r) => r.scopeSpans).flatMap((s) => s.spans);
  const hex = (id) => (typeof id === 'string' ? id : Buffer.from(id).toString('hex'));
  console.log(JSON.stringify({
    how,
    services: request.resourceSpans.map((r) => r.resource.attributes
      .find((a) => a.key === 'service.name').value.stringValue),
    spans: spans.map((s) => ({ spanId: hex(s.spanId), name: s.name })),
  }));
}

function serve(message, answer) {
  const pieces = [];
  message.on('data', (piece) => pieces.push(piece));
  message.on('end', () => {
    const type = message.headers['content-type'];
    const zipped = message.headers['content-encoding'] === 'gzip';
    const body = zipped ? zlib.gunzipSync(Buffer.concat(pieces)) : Buffer.concat(pieces);
    const json = type === 'application/json';
    keep(`${message.url} ${type} ${zipped ? 'gzip' : 'none'}`,
      json ? JSON.parse(body) : Request.decode(body));
    answer.setHeader('content-type', type);
    answer.end(json ? '{}' : Response.encode({}).finish());
  });
}

const tls = folder && { cert: pem('server.pem'), key: pem('server.key') };
const web = tls ? https.createServer(tls, serve) : http.createServer(serve);
const rpc = new grpc.Server();
rpc.addService({
  export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestDeserialize: (body) => Request.decode(body),
    responseSerialize: (answer) => Buffer.from(Response.encode(answer).finish()),
  },
}, {
  export: (call, done) => {
    keep(`grpc ${call.metadata.get('grpc-encoding')[0] || 'none'}`, call.request);
    done(null, {});
  },
});
const credentials = tls
  ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }], false)
  : grpc.ServerCredentials.createInsecure();
web.listen(0, '127.0.0.1', () => rpc.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error) throw error;
  console.log(JSON.stringify({ http: web.address().port, grpc: port }));
}));
