# SPDX-License-Identifier: Apache-2.0
"""An OTLP receiver on the official packages for Python: http/protobuf, http/json and grpc. With a folder of
certificates over TLS. Prints its two ports, then a JSON line for each request."""
import base64
import gzip
import http.server
import json
import pathlib
import ssl
import sys
import threading
from concurrent import futures

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

SIGNALS = {"traces": (traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse),
           "metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse)}
lock = threading.Lock()


def say(line):
    with lock:
        print(json.dumps(line), flush=True)


def span_id(span, is_json):
    # OTLP's JSON has ids in hex (OTLP specification, "JSON Protobuf Encoding"), which the package reads as base64.
    return base64.b64encode(span.span_id).decode() if is_json else span.span_id.hex()


def amount(metric):
    points = getattr(metric, metric.WhichOneof("data")).data_points
    return sum(p.count if hasattr(p, "count") else p.as_int for p in points)


def keep(how, request, is_json=False):
    resources = getattr(request, "resource_spans", None) or getattr(request, "resource_metrics", ())
    scopes = [s for r in resources for s in getattr(r, "scope_spans", None) or r.scope_metrics]
    say({"how": how,
         "services": [a.value.string_value for r in resources for a in r.resource.attributes
                      if a.key == "service.name"],
         "spans": [{"spanId": span_id(span, is_json), "name": span.name}
                   for s in scopes for span in getattr(s, "spans", ())],
         "metrics": [{"name": m.name, "amount": amount(m)} for s in scopes for m in getattr(s, "metrics", ())]})


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind, coding = self.headers["Content-Type"], self.headers.get("Content-Encoding", "none")
        if coding == "gzip":
            body = gzip.decompress(body)
        request, response = SIGNALS[self.path.rsplit("/", 1)[1]]
        is_json = kind == "application/json"
        # A field that the package does not know is an error.
        message = json_format.Parse(body, request()) if is_json else request.FromString(body)
        keep(f"{self.path} {kind} {coding}", message, is_json)
        answer = b"{}" if is_json else response().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def method(request, response):
    def export(message, context):
        coding = dict(context.invocation_metadata()).get("grpc-encoding", "none")
        keep(f"grpc {coding}", message)
        return response()
    return grpc.unary_unary_rpc_method_handler(export, request.FromString, response.SerializeToString)


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    rpc = grpc.server(futures.ThreadPoolExecutor(4))
    for signal, name in (("traces", "trace.v1.TraceService"), ("metrics", "metrics.v1.MetricsService")):
        rpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
            f"opentelemetry.proto.collector.{name}", {"Export": method(*SIGNALS[signal])})])
    if folder:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        web.socket = tls.wrap_socket(web.socket, server_side=True)
        key, chain = (folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes()
        port = rpc.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    say({"http": web.server_address[1], "grpc": port})
    web.serve_forever()


main()
