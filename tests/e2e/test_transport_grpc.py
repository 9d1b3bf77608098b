# SPDX-License-Identifier: Apache-2.0
"""OTLP over gRPC by libcurl, in front of Debian's own gRPC server, and of servers that are odd."""
import gzip

import pytest

from grpc_receiver import METRICS, TRACES, GrpcReceiver
from harness.h2_server import (END_HEADERS, END_STREAM, GOAWAY, RST_STREAM, DATA, H2Server, frame,
                               headers)
from harness.proxy import Proxy
from otlp_receiver import OtlpReceiver

GRPC = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
GZIP = {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}


@pytest.fixture
def grpc_receiver():
    with GrpcReceiver() as r:
        yield r


# -- what is sent --

def test_a_call_is_as_grpc_has_it(grpc_receiver, transport):
    t = transport(grpc_receiver.url + "/ignored", **GRPC,
                  OTEL_EXPORTER_OTLP_HEADERS="Api-Key=se%20cret,grpc-timeout=1S,te=x")
    assert t.ask("encoding") == "protobuf" and t.ask("describe") == grpc_receiver.url
    assert t.send(3)["loss"] == "none"
    call, = grpc_receiver.calls
    assert call.method == TRACES and len(call.spans) == 3
    assert call.metadata["api-key"] == "se cret"
    assert call.metadata["user-agent"].startswith("tagalong/")
    assert 8 < call.time_left <= 10             # OTEL_EXPORTER_OTLP_TIMEOUT


@pytest.mark.parametrize("answer", ["ok", "gzip", "gzip partial:0:"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("tls", [False, True])
def test_every_way_to_send(certificates, transport, answer, compression, tls):
    with GrpcReceiver(certificates if tls else None) as r:
        r.behave(answer)
        t = transport(r.url, **GRPC, OTEL_EXPORTER_OTLP_COMPRESSION=compression,
                      OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"))
        for _ in range(3):
            assert t.send(100)["loss"] == "none"
        assert len({s["spanId"] for s in r.spans}) == 300
        assert len({c.peer for c in r.calls}) == 1
        assert t.warned() == "" and t.log() == ""


def test_large_batches_flow(grpc_receiver, transport):
    t = transport(grpc_receiver.url, **GRPC)
    o = t.send(2000, "n" * 200)
    assert o["loss"] == "none" and o["took_ms"] < 3000
    assert len(grpc_receiver.spans) == 2000


def test_metrics_have_a_service_of_their_own(grpc_receiver, transport):
    t = transport(grpc_receiver.url, signal="metrics", OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc")
    grpc_receiver.behave("partial:2:old")
    o = t.post(b"\x0a\x00", items=7)
    assert (o["loss"], o["rejected"]) == ("none", 2)
    assert grpc_receiver.calls[0].method == METRICS and grpc_receiver.calls[0].body == b"\x0a\x00"


def test_a_client_certificate_is_shown(certificates, transport):
    with GrpcReceiver(certificates, ask_client=True) as r:
        ca = {"OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.path("ca.pem"),
              "OTEL_EXPORTER_OTLP_TIMEOUT": 1200}
        assert transport(r.url, **GRPC, **ca).send()["loss"] == "retries"
        t = transport(r.url, **GRPC, **ca, **certificates.client_variables())
        assert t.send()["loss"] == "none" and len(r.spans) == 3


# -- endpoints without a scheme --

def test_a_plain_endpoint_without_a_scheme_works(grpc_receiver, transport):
    t = transport(f"127.0.0.1:{grpc_receiver.port}", **GRPC)
    assert t.send()["loss"] == "none"
    assert t.warned().count("\n") == 1 and "no scheme" in t.warned()
    t = transport(f"127.0.0.1:{grpc_receiver.port}", **GRPC, OTEL_EXPORTER_OTLP_INSECURE="true")
    before = t.warned()
    assert t.send()["loss"] == "none" and t.warned() == before


def test_insecure_false_means_tls_where_no_scheme_says_otherwise(certificates, transport):
    with GrpcReceiver(certificates) as r:
        t = transport(f"127.0.0.1:{r.port}", **GRPC, OTEL_EXPORTER_OTLP_INSECURE="false",
                      OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"))
        assert t.ask("describe").startswith("https://")
        assert t.send()["loss"] == "none" and t.warned() == ""


def test_defaults(transport):
    assert transport(**GRPC).ask("describe") == "http://localhost:4317"
    assert transport().ask("describe") == "http://localhost:4318/v1/traces"
    t = transport("collector:4317")
    assert t.ask("describe") == "http://collector:4317" and t.warned().count("\n") == 2
    assert "grpc is assumed" in t.warned()
    t = transport("http://collector:4317", OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert t.ask("describe") == "http://collector:4317/v1/traces"


# -- answers --

@pytest.mark.parametrize("code", ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE",
                                  "UNAVAILABLE", "DATA_LOSS"])
def test_exactly_these_codes_are_retried(grpc_receiver, transport, code):
    grpc_receiver.behave(f"status:{code}", "ok")
    t = transport(grpc_receiver.url, **GRPC)
    assert t.send()["loss"] == "none"
    first, second = grpc_receiver.calls
    assert 0.7 < second.time - first.time < 2 and first.body == second.body
    assert f"answers grpc-status {code}: told to: ?? 100%" in t.log()


@pytest.mark.parametrize("code", ["UNKNOWN", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS",
                                  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
                                  "UNIMPLEMENTED", "INTERNAL", "UNAUTHENTICATED"])
def test_no_other_code_is_retried(grpc_receiver, transport, code):
    grpc_receiver.behave(f"status:{code}", "ok")
    o = transport(grpc_receiver.url, **GRPC).send()
    assert o["loss"] == "response" and len(grpc_receiver.calls) == 1


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_retry_info_says_when(grpc_receiver, transport, code):
    grpc_receiver.behave(f"status:{code} retry-info:2.25", "ok")
    o = transport(grpc_receiver.url, **GRPC).send()
    assert o["loss"] == "none" and 2200 <= o["took_ms"] < 3500


def test_retry_info_of_nothing_still_allows_a_retry(grpc_receiver, transport):
    grpc_receiver.behave("status:RESOURCE_EXHAUSTED retry-info:0", "ok")
    o = transport(grpc_receiver.url, **GRPC).send()
    assert o["loss"] == "none" and 700 < o["took_ms"] < 2000


def test_retry_info_makes_no_other_code_retryable(grpc_receiver, transport):
    grpc_receiver.behave("status:INVALID_ARGUMENT retry-info:1", "ok")
    o = transport(grpc_receiver.url, **GRPC).attempt()
    assert (o["loss"], o["final"], o["asked_ms"]) == ("response", True, 0)


@pytest.mark.parametrize("answer", ["partial:2:too-old", "gzip partial:2:too-old"])
def test_a_partial_success_is_counted(grpc_receiver, transport, answer):
    grpc_receiver.behave(answer)
    t = transport(grpc_receiver.url, **GRPC, **GZIP)
    o = t.send(5)
    assert (o["loss"], o["rejected"]) == ("none", 2)
    assert "rejected 2 of the spans: too-old" in t.log()


def test_a_receiver_that_hangs_costs_the_budget_and_no_more(grpc_receiver, transport):
    grpc_receiver.behave("hang")
    o = transport(grpc_receiver.url, **GRPC, OTEL_EXPORTER_OTLP_TIMEOUT=700).send()
    assert o["loss"] == "retries" and 600 <= o["took_ms"] < 1200


def test_stop_ends_the_wait(grpc_receiver, transport):
    grpc_receiver.behave("hang")
    t = transport(grpc_receiver.url, **GRPC)
    t.ask("stop 300")
    o = t.send()
    assert o["loss"] == "undeliverable" and o["took_ms"] < 450


# -- somebody else answers --

@pytest.mark.parametrize("status,retried", [(503, True), (429, True), (502, True), (504, True),
                                            (404, False), (401, False), (400, False), (200, False)])
def test_an_http_status_stands_in_for_a_missing_grpc_status(transport, status, retried):
    def answer(stream, _):
        return headers(stream, [(":status", str(status)), ("content-type", "text/html"),
                                ("retry-after", "3")], END_HEADERS | END_STREAM)
    with H2Server(answer) as server:
        o = transport(server.url, **GRPC).attempt()
        assert o["final"] == (not retried) and o["asked_ms"] == (3000 if retried else 0)
        assert o["loss"] == "response"


@pytest.mark.parametrize("code,retried", [(2, False), (7, True), (8, True), (11, False), (12, False)])
def test_a_stream_that_is_reset_has_the_status_grpc_gives_it(transport, code, retried):
    with H2Server(lambda stream, _: frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))) as server:
        o = transport(server.url, **GRPC, OTEL_EXPORTER_OTLP_TIMEOUT=1500).attempt()
        assert o["final"] == (not retried)


def test_a_status_counts_although_the_stream_is_reset_behind_it(transport):
    def answer(stream, _):
        return headers(stream, [(":status", "200"), ("content-type", "application/grpc"),
                                ("grpc-status", "3")], END_HEADERS | END_STREAM) + \
            frame(RST_STREAM, 0, stream, (0).to_bytes(4, "big"))
    with H2Server(answer) as server:
        assert transport(server.url, **GRPC).send()["loss"] == "response"


def test_trailers_follow_a_body(transport):
    def answer(stream, _):
        return headers(stream, [(":status", "200"), ("content-type", "application/grpc")]) + \
            frame(DATA, 0, stream, b"\0\0\0\0\0") + \
            headers(stream, [("grpc-status", "0")], END_HEADERS | END_STREAM)
    with H2Server(answer) as server:
        assert transport(server.url, **GRPC).send()["loss"] == "none"


def test_a_body_without_trailers_is_no_success(transport):
    def answer(stream, _):
        return headers(stream, [(":status", "200"), ("content-type", "application/grpc")]) + \
            frame(DATA, END_STREAM, stream, b"\0\0\0\0\0")
    with H2Server(answer) as server:
        t = transport(server.url, **GRPC)
        assert t.send()["loss"] == "response" and "without grpc-status" in t.log()


def test_a_server_that_goes_away_gets_the_batch_on_a_new_connection(transport):
    def answer(stream, number):
        if number == 1:
            return frame(GOAWAY, 0, 0, (0).to_bytes(8, "big"))
        return headers(stream, [(":status", "200"), ("grpc-status", "0")], END_HEADERS | END_STREAM)
    with H2Server(answer) as server:
        assert transport(server.url, **GRPC).send()["loss"] == "none"
        assert server.connections == 2


def test_a_server_of_http_1_is_no_grpc_server(transport):
    with OtlpReceiver() as r:
        t = transport(r.url, **GRPC, OTEL_EXPORTER_OTLP_TIMEOUT=1500)
        o = t.send()
        assert o["loss"] in ("retries", "response") and o["took_ms"] < 2500
        assert t.log().count("\n") >= 1
        r.errors.clear()


# -- proxies --

def test_calls_go_through_a_tunnel(grpc_receiver, transport):
    with Proxy(grpc_receiver.port) as proxy:
        t = transport("http://collector.test:4317", **GRPC, http_proxy=proxy.url)
        for _ in range(2):
            assert t.send()["loss"] == "none"
        assert proxy.lines == ["CONNECT collector.test:4317 HTTP/1.1"]
        assert len(grpc_receiver.spans) == 6


def test_bodies_are_small_with_gzip(transport):
    def answer(stream, _):
        return headers(stream, [(":status", "200"), ("grpc-status", "0")], END_HEADERS | END_STREAM)
    with H2Server(answer) as server:
        assert transport(server.url, **GRPC, **GZIP).send(100)["loss"] == "none"
        body = server.bodies[1]
        assert body[0] == 1 and int.from_bytes(body[1:5], "big") == len(body) - 5
        assert len(gzip.decompress(body[5:])) > 3 * len(body)
