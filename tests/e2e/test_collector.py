# SPDX-License-Identifier: Apache-2.0
"""A real OpenTelemetry Collector understands what is sent to it, over every protocol."""
import struct

import pytest

import otel_collector
from harness import load, supervised
from harness.metrics import CLIENT, SERVER, counted, latest, points_of
from harness.ports import free_port
from otel_collector import Collector
from otlp_receiver import _message


@pytest.fixture(scope="module")
def built():
    otel_collector.build()


@pytest.fixture
def collector(built, run):
    return Collector(run)


def gauge(name, value):
    """An ExportMetricsServiceRequest with one point."""
    def tag(number, wire):
        return bytes([number << 3 | wire])
    point = tag(3, 1) + struct.pack("<Q", 1700000000 * 10 ** 9) + tag(4, 1) + struct.pack("<d", value)
    metric = _message((1, name.encode()), (5, _message((1, point))))
    return _message((1, _message((2, _message((2, metric))))))


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
@pytest.mark.parametrize("tls", [False, True])
def test_spans_arrive(built, run, certificates, transport, protocol, compression, tls):
    collector = Collector(run, certificates if tls else None)
    t = transport(collector.url(protocol), OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                  OTEL_EXPORTER_OTLP_COMPRESSION=compression,
                  OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"),
                  **certificates.client_variables())
    for n in (1, 100, 2000):
        o = t.send(n, f"GET /{n}")
        assert (o["loss"], o["rejected"]) == ("none", 0), t.log()
    spans = collector.wait_spans(2101)
    assert len({s["spanId"] for s in spans}) == len(spans) == 2101
    assert {s["name"] for s in spans} == {"GET /1", "GET /100", "GET /2000"}
    assert {len(s["traceId"]) for s in spans} == {32}
    resource = collector.collected()[0]["resourceSpans"][0]["resource"]["attributes"]
    assert {"key": "service.name", "value": {"stringValue": "driver"}} in resource
    assert t.warned() == "" and t.log() == ""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_metrics_arrive(collector, transport, protocol):
    t = transport(collector.url(protocol), signal="metrics", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert t.post(gauge("temperature", 21.5))["loss"] == "none", t.log()
    metric = collector.collected()[0]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
    assert metric["name"] == "temperature" and metric["gauge"]["dataPoints"][0]["asDouble"] == 21.5


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
@pytest.mark.parametrize("sealed", [False, True])
def test_what_a_program_did_arrives_whole(built, run, certificates, protocol, sealed):
    """Spans, histograms and the supervisor's own counters of a program under `tagalong run`; sealed: TLS and gzip."""
    collector, port = Collector(run, certificates if sealed else None), free_port()
    front = supervised.start(run, None, ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", port],
                             port=port, env={
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(protocol), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip" if sealed else "none", "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": "300", "TAGALONG_SHUTDOWN_TIMEOUT": "10000",
        **(certificates.client_variables() if sealed else {}),
        "OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.path("ca.pem") if sealed else None})
    load.drive(port, 30, in_flight=1, path="/")
    front.stop()
    assert {(s["name"], s["kind"]) for s in collector.wait_spans(30)} == {("GET /", 2)}
    assert len(collector.spans()) == 30
    points = latest(points_of(collector.metrics(), SERVER))
    assert counted(points) == 30 and sum(p.sum for p in points) > 0
    assert {p["http.request.method"] for p in points} == {"GET"} and not points_of(collector.metrics(), CLIENT)
    exported = latest(points_of(collector.metrics(), "otel.sdk.exporter.span.exported"))
    assert sum(p.value for p in exported) == 30 and {p.service for p in points} == {"svc"}


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_what_it_cannot_read_is_refused_for_good(collector, transport, protocol):
    t = transport(collector.url(protocol), OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert t.post(b"{\xff\xff\xff")["loss"] == "response"
    assert "answers" in t.log()


def test_a_collector_that_restarts_loses_nothing(collector, run, transport):
    t = transport(collector.url("grpc"), OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert t.send(3)["loss"] == "none"
    collector.process.stop()
    t.tell("send 4")
    again = run.bare(collector.process.cmd, port=collector.grpc_port)
    assert '"loss": "none"' in t.answer(), t.log()
    assert len(collector.wait_spans(7)) == 7 and again
