# SPDX-License-Identifier: Apache-2.0
"""gRPC by Debian's grpcio (the C core), on both sides: one span a call and side, with the status of
the call; contexts travel as metadata; messages arrive whole."""
import random
import urllib.request

import grpc
import pytest

from harness import http2, http2_servers, paths, servers
from harness.conventions import check_form
from harness.grpc import (body, call, check_pair, check_rpc_client, check_rpc_server, digest, service)
from harness.load import drive
from harness.paths import SERVICES, scale
from harness.ports import free_port
from harness.spans import CLIENT, ERROR, SERVER

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
CODES = [c.name for c in grpc.StatusCode if c.name != "OK"]


@pytest.fixture
def port(run):
    return service(run)


def test_a_unary_call(run, port):
    got, = call(run, port, {"method": "Unary", "size": 100, "metadata": [["x-id", "7"], ["b-bin", "x"]]})
    assert (got["code"], got["sum"]) == ("OK", digest(body(100)))
    assert ["x-first", "1"] in got["first"] and ["x-last", "2"] in got["last"]
    assert ["x-seen", "7"] in got["last"]
    client, server = check_pair(run, "test.Echo/Unary", port=port)
    assert server.start >= client.start and server.end <= client.end


@pytest.mark.parametrize("size", [0, 1, 5000, 100_000, 3_000_000])
def test_messages_of_all_sizes(run, port, size):
    got, = call(run, port, {"method": "Unary", "size": size})
    assert (got["bytes"], got["sum"]) == (size, digest(body(size)))
    check_pair(run, "test.Echo/Unary", port=port)


def test_a_stream_of_the_server(run, port):
    got, = call(run, port, {"method": "ServerStream", "kind": "server", "text": "50 9000"})
    assert got["code"] == "OK" and got["parts"] == 50
    assert got["sum"] == digest(b"".join(bytes([i]) * 9000 for i in range(50)))
    check_pair(run, "test.Echo/ServerStream", port=port)


def test_a_stream_of_the_client(run, port):
    got, = call(run, port, {"method": "ClientStream", "kind": "client", "size": 5000, "count": 40})
    assert got["code"] == "OK" and got["sum"] == digest(body(5000) * 40)
    check_pair(run, "test.Echo/ClientStream", port=port)


def test_streams_both_ways(run, port):
    got, = call(run, port, {"method": "Bidi", "kind": "bidi", "size": 7000, "count": 30})
    assert got["code"] == "OK" and got["sum"] == digest(body(7000)[::-1] * 30) and got["parts"] == 30
    check_pair(run, "test.Echo/Bidi", port=port)


@pytest.mark.parametrize("code", CODES)
def test_every_code(run, port, code):
    """A call that fails at once: its status comes without a message (Trailers-Only)."""
    got, = call(run, port, {"method": "Fail", "metadata": [["x-code", code], ["x-message-bin", "so é 100%"]]})
    assert (got["code"], got["message"]) == (code, "so é 100%")
    # Whoever says UNIMPLEMENTED may not have the method at all.
    client, server = (run.spans.one(service=s) for s in ("client", "service"))
    check_rpc_client(client, "test.Echo/Fail", code, port=port)
    assert client.message == "so é 100%"
    unknown = code == "UNIMPLEMENTED"
    check_rpc_server(server, None if unknown else "test.Echo/Fail", code,
                     (client.trace_id, client.span_id), original="test.Echo/Fail" if unknown else None)
    assert server.message == ("so é 100%" if server.status == ERROR else "")


def test_a_method_that_is_not_there(run, port):
    got, = call(run, port, {"method": "Nothing"})
    assert got["code"] == "UNIMPLEMENTED"
    client, server = (run.spans.one(service=s) for s in ("client", "service"))
    check_rpc_client(client, "test.Echo/Nothing", "UNIMPLEMENTED", port=port)
    check_rpc_server(server, None, "UNIMPLEMENTED", (client.trace_id, client.span_id),
                     original="test.Echo/Nothing")


def test_a_deadline(run, port):
    got, = call(run, port, {"method": "Slow", "timeout": 0.3})
    assert got["code"] == "DEADLINE_EXCEEDED"
    client, server = (run.spans.one(service=s) for s in ("client", "service"))
    check_rpc_client(client, "test.Echo/Slow", "DEADLINE_EXCEEDED", port=port)
    assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id)
    assert server["rpc.response.status_code"] in ("DEADLINE_EXCEEDED", "CANCELLED")


def test_a_call_that_is_cancelled(run, port):
    got = call(run, port, {"method": "Bidi", "kind": "bidi", "count": 1, "cancel": "late"},
               {"method": "Unary"})
    assert [g["code"] for g in got] == ["CANCELLED", "OK"]
    spans = {s["rpc.method"]: s for s in run.spans.wait(2, service="client")}
    check_rpc_client(spans["test.Echo/Unary"], "test.Echo/Unary", port=port)
    assert spans["test.Echo/Bidi"]["rpc.response.status_code"] in ("CANCELLED", "OK")
    assert len(run.spans.wait(2, service="service")) == 2


def test_nobody_is_there(run):
    """No request was written: no span."""
    got, = call(run, free_port(), {"method": "Unary", "timeout": 2})
    assert got["code"] == "UNAVAILABLE"
    assert not run.spans.select()


def test_the_callers_context_is_the_parent(run, port):
    call(run, port, {"method": "Unary", "metadata": [["traceparent", GOOD], ["tracestate", "a=1"]]},
         traced=False)
    span = check_rpc_server(run.spans.one(), "test.Echo/Unary", parent=(TRACE, SPAN), port=port)
    assert span.trace_state == "a=1"


def test_a_program_that_traces_itself_is_left_alone(run, port):
    call(run, port, {"method": "Unary", "metadata": [["traceparent", GOOD]]})
    check_rpc_server(run.spans.one(), "test.Echo/Unary", parent=(TRACE, SPAN), port=port)


@pytest.mark.parametrize("values", [["garbage"], [GOOD + "0"], [f"00-{'0' * 32}-{SPAN}-01"],
                                    [GOOD, GOOD.replace(TRACE, TRACE[::-1])]])
def test_a_context_that_is_none_starts_a_trace(run, port, values):
    call(run, port, {"method": "Unary", "metadata": [["traceparent", v] for v in values]}, traced=False)
    check_rpc_server(run.spans.one(), "test.Echo/Unary", port=port)


def test_100_calls_at_once(run, port):
    chance = random.Random(2)
    wanted = [{"method": "Unary", "size": chance.randrange(50_000), "metadata": [["x-id", str(i)]]}
              for i in range(100)]
    for w, got in zip(wanted, call(run, port, *wanted)):
        assert got["code"] == "OK" and got["sum"] == digest(body(w["size"]))
        assert ["x-seen", w["metadata"][0][1]] in got["last"]
    clients = {s.span_id: s for s in run.spans.wait(100, service="client")}
    services = run.spans.wait(100, service="service")
    assert len(clients) == len(services) == 100
    for s in services:
        c = clients.pop(s.parent_id)
        check_rpc_client(c, "test.Echo/Unary", port=port)
        check_rpc_server(s, "test.Echo/Unary", parent=(c.trace_id, c.span_id), port=port)


def test_old_names_beside_the_new_ones(run, port):
    call(run, port, {"method": "Unary"}, env={"OTEL_SEMCONV_STABILITY_OPT_IN": "rpc/dup"})
    span = run.spans.one(service="client")
    check_form(span)
    assert (span["rpc.system"], span["rpc.service"], span["rpc.grpc.status_code"]) == ("grpc", "test.Echo", 0)
    assert span["rpc.method"] == "test.Echo/Unary"


def test_metadata_is_recorded_by_name(run):
    port = service(run, env={"OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_REQUEST": "x-id",
                             "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_RESPONSE": "x-first,x-last"})
    call(run, port, {"method": "Unary", "metadata": [["x-id", "7"]]},
         env={"OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_CLIENT_RESPONSE": "x-last"})
    client, server = check_pair(run, "test.Echo/Unary", port=port)
    assert server["rpc.request.metadata.x-id"] == ["7"]
    assert server["rpc.response.metadata.x-first"] == ["1"]
    assert server["rpc.response.metadata.x-last"] == client["rpc.response.metadata.x-last"] == ["2"]


def test_grpc_web_is_http(run):
    """Its content type begins as gRPC's does, and it is another protocol."""
    http2_servers.site(run)
    node = http2_servers.node(run)
    for kind, rpc in (("application/grpc-web+proto", False), ("application/grpc-web-text", False),
                      ("application/grpcx", False), ("application/grpc+json", True),
                      ("application/grpc;x=1", True), ("application/grpc", True)):
        n = len(run.spans.select())
        http2.fetch(node, "/echo", "POST", [("content-type", kind), ("te", "trailers")], b"\0\0\0\0\0")
        span = run.spans.wait(n + 1)[n]
        assert ("rpc.system.name" in span.attributes) == rpc, (kind, span)
        assert ("http.request.method" in span.attributes) != rpc, (kind, span)


# -- through a gateway --

GATEWAYS = {
    "threading http.server": lambda run, up: _gateway(run, up, "grpc_gateway.py"),
    "asyncio": lambda run, up: _gateway(run, up, "grpc_gateway_aio.py"),
    "gunicorn gthread": lambda run, up: servers.gunicorn(
        run, "grpc_gateway:app", "gthread", threads=32, name="gateway", env={"UPSTREAM": up}),
}


def _gateway(run, up, script):
    port = free_port()
    run.start([paths.PYTHON, SERVICES / script, port, up], "gateway", port=port)
    return port


def test_a_gateway_that_is_audited_sees_nothing_of_us(run):
    """PEP 578: to be asked for the code of a frame is an event."""
    up, port = service(run), free_port()
    gateway = run.start([paths.PYTHON, SERVICES / "grpc_gateway.py", port, up], "gateway", port=port, env={"AUDIT": 1})
    drive(port, 20, in_flight=2)
    assert len(run.spans.wait(20, service="gateway", kind=CLIENT)) == 20
    assert {s.link for s in run.spans.select(service="gateway", kind=CLIENT)} == {"header"}
    assert "looks at" not in gateway.log()


@pytest.mark.parametrize("with_context", [True, False], ids=["with traceparent", "without"])
@pytest.mark.parametrize("gateway", GATEWAYS)
def test_32_calls_through_a_gateway_have_the_right_parents(run, gateway, with_context):
    """The C core writes calls on other threads than those that make them, all on one connection."""
    port = service(run, env={"OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_REQUEST": "x-id"})
    front = GATEWAYS[gateway](run, port)
    n = scale(300, 10000)
    sent = drive(front, n, in_flight=32, with_context=lambda i: with_context)
    assert {s.status for s in sent} == {200}
    calls = run.spans.wait(n, service="service", timeout=30)
    for kind in (CLIENT, SERVER):
        run.spans.wait(n, service="gateway", kind=kind)
    ids, right, wrong, none = run.spans.by_id(), 0, [], 0
    for s in calls:
        client = ids[s.parent_id]
        assert client.service == "gateway" and client.kind == CLIENT and client.trace_id == s.trace_id
        parent = ids.get(client.parent_id)
        number = s["rpc.request.metadata.x-id"][0]
        if not client.parent_id:
            none += 1
        elif parent and parent.kind == SERVER and parent.path == f"/r/{number}":
            right += 1
        else:
            wrong.append((number, client, parent))
    print(gateway, with_context, f"right {right} none {none} wrong {len(wrong)}")
    assert not wrong, wrong[:3]
    assert right == n


@pytest.mark.parametrize("gateway", ["threading http.server", "asyncio"])
def test_tracestate_and_baggage_go_along(run, gateway):
    """What the caller sent beside its context, once; and with it gone, the context alone."""
    port = service(run, env={
        "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_REQUEST": "x-id,tracestate,baggage"})
    front = GATEWAYS[gateway](run, port)
    head = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": "a=1,b=2", "baggage": "c=3"}
    for headers in (head, {}):
        request = urllib.request.Request(f"http://127.0.0.1:{front}/r/7", headers=headers)
        assert urllib.request.urlopen(request, timeout=20).status == 200
    with_all, alone = sorted(run.spans.wait(2, service="service"), key=lambda s: s.start)
    assert with_all.trace_id == "ab" * 16
    assert with_all["rpc.request.metadata.tracestate"] == ["a=1,b=2"]
    assert with_all["rpc.request.metadata.baggage"] == ["c=3"]
    assert not {"rpc.request.metadata.tracestate", "rpc.request.metadata.baggage"} & alone.attributes.keys()
    assert alone.parent_id


def test_a_service_that_calls_a_service(run):
    """Three processes: client -> forwarding service -> service."""
    last = service(run, name="last")
    middle = service(run, last, name="middle")
    got = call(run, middle, *[{"method": "Forward", "size": 50 + i} for i in range(20)])
    assert [g["bytes"] for g in got] == [50 + i for i in range(20)]
    run.spans.wait(20, service="client")
    clients = run.spans.wait(20, service="middle", kind=CLIENT)
    middles = run.spans.wait(20, service="middle", kind=SERVER)
    ends = run.spans.wait(20, service="last")
    assert {len(x) for x in (clients, middles, ends)} == {20}
    ids = run.spans.by_id()
    for s in ends:
        assert ids[s.parent_id] in clients
    for s in middles:
        assert ids[s.parent_id].service == "client"
    for c in clients:
        assert not c.parent_id or ids[c.parent_id] in middles
