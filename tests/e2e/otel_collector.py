# SPDX-License-Identifier: Apache-2.0
"""A real OpenTelemetry Collector, built once from its Go modules: tests/e2e/collector."""
import json
import os
import platform
import re
import shutil
import subprocess

from harness import paths
from harness.ports import free_port
from harness.wait import wait_for

SOURCE = paths.E2E / "collector"
PROGRAM = paths.BUILD / "collector"
GO = (1, 26)
PROCESSOR = {"aarch64": "arm64"}.get(platform.machine(), "amd64")
TOOLCHAIN = f"golang.org/toolchain@v0.0.1-go1.26.0.linux-{PROCESSOR}"


def _version(go):
    out = subprocess.run([go, "version"], capture_output=True, text=True, cwd="/", check=True).stdout
    return tuple(int(n) for n in re.search(r"go(\d+)\.(\d+)", out).groups())


def _go():
    """A Go that is new enough: Debian's fetches a newer one from the module proxy, as newer ones
    would do by themselves."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if _version(go) >= GO:
        return go
    copy = paths.BUILD / "go"
    if not (copy / "bin/go").exists():
        out = subprocess.run([go, "mod", "download", "-json", TOOLCHAIN], cwd="/", check=True,
                             capture_output=True, text=True, env=dict(os.environ, GOFLAGS="-mod=mod"))
        shutil.copytree(json.loads(out.stdout)["Dir"], copy, copy_function=shutil.copyfile)
        for path in copy.rglob("*"):            # of the module cache, where nothing can be run
            path.chmod(0o755)
    return str(copy / "bin/go")


def build():
    """Minutes the first time, which is when nothing of it is in Go's caches."""
    if PROGRAM.exists() and all(PROGRAM.stat().st_mtime > f.stat().st_mtime
                                for f in SOURCE.iterdir()):
        return
    subprocess.run(["nice", "-n", "10", _go(), "build", "-mod=readonly", "-trimpath",
                    "-ldflags=-s -w", "-o", str(PROGRAM), "."], cwd=SOURCE, check=True,
                   env=dict(os.environ, GOFLAGS="", CGO_ENABLED="0"))
    os.utime(PROGRAM)


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

    def wait_spans(self, n):
        wait_for(lambda: len(self.spans()) >= n, what=f"{n} spans in the Collector")
        return self.spans()
