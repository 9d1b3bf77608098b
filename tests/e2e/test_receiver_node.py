# SPDX-License-Identifier: Apache-2.0
"""A receiver in Node, built on the official packages, understands what is sent to it."""
import json
import subprocess

import pytest

from harness.npm import SOURCE, install
from harness.run import clean_environment
from harness.wait import wait_for


@pytest.fixture(scope="module")
def packages():
    return install()


class NodeReceiver:
    def __init__(self, log, folder, *certificates):
        self.log = log
        with open(log, "wb") as out:
            self.p = subprocess.Popen(["node", SOURCE / "receiver.js", folder, *certificates],
                                      env=clean_environment(), stdout=out)
        wait_for(lambda: b"\n" in log.read_bytes(), what="the receiver in Node",
                 alive=lambda: self.p.poll() is None or pytest.fail("it ended"))
        self.ports = self.lines()[0]

    def lines(self):
        text = self.log.read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def close(self):
        self.p.kill()
        self.p.wait()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
@pytest.mark.parametrize("tls", [False, True])
def test_spans_arrive(packages, run, certificates, transport, protocol, compression, tls):
    receiver = run.add(NodeReceiver(run.tmp / "node.log", packages,
                                    *([certificates.folder] if tls else [])))
    port = receiver.ports["grpc" if protocol == "grpc" else "http"]
    t = transport(f"http{'s' if tls else ''}://127.0.0.1:{port}",
                  OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                  OTEL_EXPORTER_OTLP_COMPRESSION=compression,
                  OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"))
    for n in (1, 500):
        assert t.send(n, f"GET /{n}")["loss"] == "none", t.log()
    got = wait_for(lambda: len(receiver.lines()) == 3 and receiver.lines()[1:], what="two requests")
    assert [len(r["spans"]) for r in got] == [1, 500]
    assert len({s["spanId"] for r in got for s in r["spans"]}) == 501
    assert {s["name"] for s in got[1]["spans"]} == {"GET /500"}
    assert got[0]["services"] == ["driver"]
    if protocol != "grpc":
        kind = "application/json" if "json" in protocol else "application/x-protobuf"
        assert got[0]["how"] == f"/v1/traces {kind} {compression}"
