# SPDX-License-Identifier: Apache-2.0
"""What spans and metrics say of calls between two programs of gRPC's own library."""
import grpc

from harness import paths
from harness.metrics import counted, latest, points_of
from harness.ports import free_port
from harness.spans import CLIENT, ERROR, SERVER, UNSET
from harness.wait import wait_for

NAMES = [c.name for c in sorted(grpc.StatusCode, key=lambda c: c.value[0])]
SERVER_ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
CALLS = 17 + 4
CAPTURE = {f"OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_{side}": names for side, names in (
    ("SERVER_REQUEST", "tenant,key-bin"), ("CLIENT_RESPONSE", "cost,details-bin"))}


def make_calls(run, **env):
    program, port = [paths.PYTHON, paths.SERVICES / "grpc_cart.py"], free_port()
    run.start([*program, "serve", port], "cart", env=env, port=port)
    run.call([*program, "call", port], "shop", env=env)
    return port


def status(span):
    return span["rpc.response.status_code"]


def check(span, port):
    """What holds for each span of a call."""
    name = status(span)
    error = name in SERVER_ERRORS if span.kind == SERVER else name != "OK"
    assert span["rpc.system.name"] == "grpc"
    assert span["server.address"] == "localhost" and span["server.port"] == port
    assert span["network.peer.address"] in ("127.0.0.1", "::1") and span["network.peer.port"]
    assert span.status == (ERROR if error else UNSET), span
    assert span.get("error.type") == (name if error else None), span
    assert not [k for k in span.attributes if k.startswith(("http.", "url."))], span
    # A server span ends UNIMPLEMENTED whoever says so: the library, or the method itself.
    if span.kind == SERVER and name == "UNIMPLEMENTED":
        assert span.name == "grpc" and span["rpc.method"] == "_OTHER"
        assert span["rpc.method_original"].startswith("shop.v1.Cart/")
    else:
        assert span.name == span["rpc.method"] and span.name.startswith("shop.v1.Cart/")
        assert "rpc.method_original" not in span.attributes


def test_spans_of_calls(run):
    port = make_calls(run, **CAPTURE)
    servers = run.spans.wait(CALLS, kind=SERVER)
    clients = run.spans.wait(CALLS, kind=CLIENT)
    for span in [*servers, *clients]:
        check(span, port)
    pairs = [(next(c for c in clients if c.span_id == s.parent_id), s) for s in servers]
    assert all(c.trace_id == s.trace_id and c.link == "none" for c, s in pairs)
    assert not [(c, s) for c, s in pairs if status(c) != status(s)]
    ends = [(c, s) for c, s in pairs if c["rpc.method"].endswith("/End")]
    assert sorted(status(c) for c, s in ends) == sorted(NAMES)
    for c, s in ends:
        assert s["rpc.request.metadata.tenant"] == ["a"]
        assert s["rpc.request.metadata.key-bin"] == ["AAH/"]
        assert c["rpc.response.metadata.cost"] == ["12"]
        assert c["rpc.response.metadata.details-bin"] == ["AA0KIA"]
        for span in c, s:
            assert span.message == ("no such café: 100%" if span.status == ERROR else "")
    rest = sorted((c["rpc.method"].split("/")[1], status(c)) for c, s in pairs if (c, s) not in ends)
    assert rest == [("Echo", "CANCELLED"), ("Echo", "OK"), ("Nope", "UNIMPLEMENTED"),
                    ("Wait", "DEADLINE_EXCEEDED")]


def test_durations_of_calls(run, receiver):
    port = make_calls(run, OTEL_METRICS_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
                      OTEL_METRIC_EXPORT_INTERVAL="100")

    def of(name):
        return latest(points_of(receiver.metrics, name))
    for name in "rpc.server.call.duration", "rpc.client.call.duration":
        wait_for(lambda name=name: counted(of(name)) == CALLS, 15, f"all calls in {name}")
    for p in of("rpc.client.call.duration"):
        code = p["rpc.response.status_code"]
        assert p.attributes == {
            "rpc.system.name": "grpc", "rpc.method": p["rpc.method"], "rpc.response.status_code": code,
            "server.address": "localhost", "server.port": port,
            **({} if code == "OK" else {"error.type": code})}
    assert {(p["rpc.method"], p["rpc.response.status_code"], p.count)
            for p in of("rpc.server.call.duration")} >= {
        ("shop.v1.Cart/End", "OK", 1), ("_OTHER", "UNIMPLEMENTED", 2), ("shop.v1.Cart/Echo", "OK", 1)}
    assert not of("http.server.request.duration") and not of("http.client.request.duration")


def test_a_call_is_drawn(run):
    make_calls(run)
    run.spans.wait(2 * CALLS)
    drawn = run.call([paths.COMMAND, "view", run.traces], traced=False,
                     env={"COLUMNS": "120", "LC_ALL": "C.UTF-8"}).out.decode()
    lines = [line.split() for line in drawn.splitlines() if "shop.v1.Cart/Wait" in line]
    assert [line[-2:] for line in lines if "server" in line] == [["✗", "DEADLINE_EXCEEDED"]]
    assert [line[-3:] for line in lines if "client" in line] == [["✗", "DEADLINE_EXCEEDED", "none"]]
