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
const { trace, metrics } = require(path.join(modules, generated)).opentelemetry.proto.collector;
const signals = {
  traces: [trace.v1.ExportTraceServiceRequest, trace.v1.ExportTraceServiceResponse],
  metrics: [metrics.v1.ExportMetricsServiceRequest, metrics.v1.ExportMetricsServiceResponse],
};
const folder = process.argv[3];
const pem = (name) => fs.readFileSync(path.join(folder, name));

function amount(metric) {
  const points = (metric.histogram || metric.sum || metric.gauge).dataPoints;
  return points.reduce((sum, p) => sum + Number(metric.histogram ? p.count : p.asInt || 0), 0);
}

function keep(how, request) {
  const resources = request.resourceSpans || request.resourceMetrics;
  const scopes = resources.flatMap((r) => r.scopeSpans || r.scopeMetrics);
  const spans = scopes.flatMap((s) => s.spans || []);
  const hex = (id) => (typeof id === 'string' ? id : Buffer.from(id).toString('hex'));
  console.log(JSON.stringify({
    how,
    services: resources.map((r) => r.resource.attributes
      .find((a) => a.key === 'service.name').value.stringValue),
    spans: spans.map((s) => ({ spanId: hex(s.spanId), name: s.name })),
    metrics: scopes.flatMap((s) => s.metrics || []).map((m) => ({ name: m.name, amount: amount(m) })),
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
    const [Request, Response] = signals[message.url.split('/').pop()];
    keep(`${message.url} ${type} ${zipped ? 'gzip' : 'none'}`,
      json ? JSON.parse(body) : Request.decode(body));
    answer.setHeader('content-type', type);
    answer.end(json ? '{}' : Response.encode({}).finish());
  });
}

const tls = folder && { cert: pem('server.pem'), key: pem('server.key') };
const web = tls ? https.createServer(tls, serve) : http.createServer(serve);
const rpc = new grpc.Server();
for (const [name, [Request, Response]] of [['trace.v1.TraceService', signals.traces],
  ['metrics.v1.MetricsService', signals.metrics]]) {
  rpc.addService({
    export: {
      path: `/opentelemetry.proto.collector.${name}/Export`,
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
}
const credentials = tls
  ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }], false)
  : grpc.ServerCredentials.createInsecure();
web.listen(0, '127.0.0.1', () => rpc.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error) throw error;
  console.log(JSON.stringify({ http: web.address().port, grpc: port }));
}));
