# SPDX-License-Identifier: Apache-2.0
"""Receivers in Node and in Python, built on the official packages, understand what is sent to them."""
import json
import subprocess

import pytest

from harness import load, npm, paths, pypi, supervised
from harness.ports import free_port
from harness.run import clean_environment
from harness.wait import wait_for

EVERY_WAY = [pytest.mark.parametrize("language", ["node", "python"]),
             pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"]),
             pytest.mark.parametrize("tls", [False, True])]


def every_way(test):
    for mark in EVERY_WAY:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def command():
    return {"node": ["node", paths.E2E / "node/receiver.js", npm.install()],
            "python": [pypi.install(), pypi.SOURCE / "receiver.py"]}


class Receiver:
    def __init__(self, log, cmd, certificates=None):
        self.log = log
        self.scheme = "https" if certificates else "http"
        with open(log, "wb") as out:
            self.p = subprocess.Popen([*cmd, *([certificates.folder] if certificates else [])],
                                      env=clean_environment(), stdout=out)
        wait_for(lambda: b"\n" in log.read_bytes(), what=f"the receiver {cmd}",
                 alive=lambda: self.p.poll() is None or pytest.fail("it ended"))
        self.ports = self.lines()[0]

    def lines(self):
        text = self.log.read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def got(self):
        return self.lines()[1:]

    def url(self, protocol):
        return f"{self.scheme}://127.0.0.1:{self.ports['grpc' if protocol == 'grpc' else 'http']}"

    def close(self):
        self.p.kill()
        self.p.wait()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@every_way
def test_spans_arrive(command, run, certificates, transport, language, protocol, compression, tls):
    receiver = run.add(Receiver(run.tmp / "receiver.log", command[language], certificates if tls else None))
    t = transport(receiver.url(protocol),
                  OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                  OTEL_EXPORTER_OTLP_COMPRESSION=compression,
                  OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"))
    for n in (1, 500):
        assert t.send(n, f"GET /{n}")["loss"] == "none", t.log()
    got = wait_for(lambda: len(receiver.lines()) == 3 and receiver.got(), what="two requests")
    assert [len(r["spans"]) for r in got] == [1, 500]
    assert len({s["spanId"] for r in got for s in r["spans"]}) == 501
    assert {len(s["spanId"]) for r in got for s in r["spans"]} == {16}
    assert {s["name"] for s in got[1]["spans"]} == {"GET /500"}
    assert got[0]["services"] == ["driver"]
    if protocol != "grpc":
        kind = "application/json" if "json" in protocol else "application/x-protobuf"
        assert got[0]["how"] == f"/v1/traces {kind} {compression}"


@every_way
def test_what_a_program_did_arrives_whole(command, run, certificates, language, protocol, tls):
    """Spans and metrics of a server under `tagalong run`, with TLS also compressed."""
    receiver = run.add(Receiver(run.tmp / "receiver.log", command[language], certificates if tls else None))
    port = free_port()
    front = supervised.start(run, None, ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", port],
                             port=port, env={
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url(protocol), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip" if tls else "none", "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000", "TAGALONG_SHUTDOWN_TIMEOUT": "10000",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.path("ca.pem")})
    load.drive(port, 30, in_flight=1, path="/")
    front.stop()
    spans = [s["name"] for r in receiver.got() for s in r["spans"]]
    assert spans == ["GET /"] * 30
    metrics = {m["name"]: m["amount"] for r in receiver.got() for m in r["metrics"]}
    assert metrics["http.server.request.duration"] == 30
    assert metrics["otel.sdk.exporter.span.exported"] == 30
