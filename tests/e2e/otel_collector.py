# SPDX-License-Identifier: Apache-2.0
"""A real OpenTelemetry Collector, built once from its Go modules: tests/e2e/collector."""
import json

from harness import paths
from harness.golang import go_build
from harness.ports import free_port
from harness.wait import wait_for

SOURCE = paths.E2E / "collector"
PROGRAM = paths.BUILD / "collector"


def build():
    go_build(SOURCE, PROGRAM)


class Collector:
    """Running, with OTLP over gRPC and HTTP on ports of its own; `certificates`: over TLS, and only
    for clients that show one of the same authority."""

    def __init__(self, run, certificates=None):
        self.grpc_port, self.http_port = free_port(), free_port()
        self.scheme = "https" if certificates else "http"
        self.lines = run.tmp / "collected.jsonl"
        tls = "" if not certificates else (
            f", tls: {{cert_file: {certificates.path('server.pem')}, key_file: "
            f"{certificates.path('server.key')}, client_ca_file: {certificates.path('ca.pem')}}}")
        config = run.tmp / "collector.yaml"
        config.write_text(f"""
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{self.grpc_port}"{tls}}}
      http: {{endpoint: "127.0.0.1:{self.http_port}"{tls}}}
exporters:
  lines: {{path: {self.lines}}}
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [lines]}}
    metrics: {{receivers: [otlp], exporters: [lines]}}
""")
        self.process = run.bare([PROGRAM, f"--config=file:{config}"], port=self.grpc_port)
        self.process.wait_port(self.http_port)

    def url(self, protocol):
        port = self.grpc_port if protocol == "grpc" else self.http_port
        return f"{self.scheme}://127.0.0.1:{port}"

    def collected(self):
        if not self.lines.exists():
            return []
        return [json.loads(line) for line in self.lines.read_text().splitlines()]

    def spans(self):
        return [span for line in self.collected() for rs in line.get("resourceSpans", [])
                for ss in rs["scopeSpans"] for span in ss["spans"]]

    def metrics(self):
        """Each with the attributes of its resource."""
        return [{**metric, "resource": rm["resource"]["attributes"]} for line in self.collected()
                for rm in line.get("resourceMetrics", []) for sm in rm["scopeMetrics"] for metric in sm["metrics"]]

    def wait_spans(self, n):
        wait_for(lambda: len(self.spans()) >= n, what=f"{n} spans in the Collector")
        return self.spans()
