# SPDX-License-Identifier: Apache-2.0
"""An OTLP/gRPC receiver on Debian's own grpc: keeps what it is sent, and answers as it is told.

Behaviours (first call, second, ...; the last one stays): ok, status:NAME (with message:TEXT and
retry-info:SECONDS), partial:REJECTED:MESSAGE, slow:SECONDS, hang, gzip (the answer is compressed).
"""
import threading
import time
from concurrent import futures

import grpc

from otlp_receiver import _message, decode, partial_success

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def retry_info(seconds):
    """A google.rpc.Status with a RetryInfo."""
    whole, nanos = divmod(round(seconds * 1e9), 10 ** 9)
    info = _message((1, _message((1, whole), (2, nanos))))
    other = _message((1, b"type.googleapis.com/google.rpc.DebugInfo"), (2, b""))
    detail = _message((1, b"type.googleapis.com/google.rpc.RetryInfo"), (2, info))
    return _message((1, 8), (2, b"busy"), (3, other), (3, detail))


class Call:
    def __init__(self, method, body, context):
        self.method, self.body = method, body
        self.metadata = dict(context.invocation_metadata())
        self.time_left = context.time_remaining()
        self.time, self.peer = time.monotonic(), context.peer()
        self.spans = []


class GrpcReceiver(grpc.GenericRpcHandler):
    def __init__(self, certificates=None, ask_client=False, port=0):
        self.lock = threading.Condition()
        self.calls, self.script, self.closing = [], ["ok"], threading.Event()
        self.server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(self,))
        self.scheme = "https" if certificates else "http"
        address = f"127.0.0.1:{port}"
        if certificates:
            credentials = grpc.ssl_server_credentials(
                [(certificates.read("server.key"), certificates.read("server.pem"))],
                certificates.read("ca.pem") if ask_client else None, ask_client)
            self.port = self.server.add_secure_port(address, credentials)
        else:
            self.port = self.server.add_insecure_port(address)
        self.server.start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def spans(self):
        with self.lock:
            return [s for c in self.calls for s in c.spans]

    def behave(self, *behaviours):
        with self.lock:
            self.script = list(behaviours)

    def close(self):
        self.closing.set()
        self.server.stop(0).wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def service(self, details):
        if details.method in (TRACES, METRICS):
            return grpc.unary_unary_rpc_method_handler(
                lambda body, context: self._export(details.method, body, context))
        return None

    def _export(self, method, body, context):
        call = Call(method, body, context)
        with self.lock:
            what = self.script[0] if len(self.script) == 1 else self.script.pop(0)
        words = dict((w.split(":", 1) + [""])[:2] for w in what.split())
        if "slow" in words:
            self.closing.wait(float(words["slow"]))
        if "status" not in words and method == TRACES:
            call.spans = [span for rs in decode(body).get("resourceSpans", [])
                          for ss in rs["scopeSpans"] for span in ss["spans"]]
        with self.lock:
            self.calls.append(call)
        if "hang" in words:
            self.closing.wait(60)
        if "retry-info" in words:
            context.set_trailing_metadata((
                ("grpc-status-details-bin", retry_info(float(words["retry-info"]))),))
        if "status" in words:
            context.abort(grpc.StatusCode[words["status"]], words.get("message", "told to: é 100%"))
        if "gzip" in words:
            context.set_compression(grpc.Compression.Gzip)
        rejected, _, message = words.get("partial", "0:").partition(":")
        return partial_success(int(rejected), message)


