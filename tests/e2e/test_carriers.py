# SPDX-License-Identifier: Apache-2.0
"""Client libraries that write on other threads than those that ask carry our id: the C core of gRPC,
as grpc++ calls it, and libcurl. No parent may be wrong, and each request has one traceparent."""
import http.client

import pytest

from harness import http2_servers, paths
from harness.grpc import build_cpp, check_rpc_client, service
from harness.load import drive, judge, judge_inbound
from harness.paths import scale
from harness.ports import free_port
from harness.spans import CLIENT, SERVER

N = scale(400, 10000)
STARTING = 60   # requests that may pass before the process has shown that readers answer
CAPTURE = {"OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_REQUEST": "x-id,traceparent"}


def grpc_gateway(run, **env):
    """A gateway by grpc++ and the service behind it; returns the gateway's port."""
    up, port = service(run, env=CAPTURE), free_port()
    run.start([build_cpp("gateway"), port, up], "gateway", port=port, env=env)
    return port


def judge_calls(run, sent, n):
    """Each call the service got, by its x-id: how many have the right parent, and how many none."""
    calls = run.spans.wait(n, service="service", timeout=30)
    clients = run.spans.wait(n, service="gateway", kind=CLIENT)
    assert len(calls) == len(clients) == n
    judge_inbound(run.spans, sent, "gateway")
    ids, right, none = run.spans.by_id(), 0, 0
    for s in calls:
        client = ids[s.parent_id]
        number = s["rpc.request.metadata.x-id"][0]
        assert client.service == "gateway" and client.kind == CLIENT and client.trace_id == s.trace_id
        parent = ids.get(client.parent_id)
        if not client.parent_id:
            none += 1
            continue
        assert parent and parent.kind == SERVER and parent.path.endswith(f"/r/{number}"), (client, parent)
        assert client.link == "header" and parent.trace_id == client.trace_id
        right += 1
    print(f"right {right} none {none} of {n}")
    return right, none


@pytest.mark.parametrize("with_context", [True, False], ids=["with traceparent", "without"])
def test_32_calls_by_grpc_cpp_have_their_parents(run, with_context):
    port = grpc_gateway(run)
    sent = drive(port, N, in_flight=32, with_context=lambda i: with_context)
    assert {s.status for s in sent} == {200}
    right, none = judge_calls(run, sent, N)
    assert none <= STARTING


def one_traceparent(span):
    value, = span["rpc.request.metadata.traceparent"]
    return value.split("-")[1:3]


def warm_up(run, port):
    """Readers answer, it turns out; nothing of it is kept."""
    drive(port, 200, in_flight=32)
    run.spans.wait(200, service="service")


@pytest.mark.parametrize("kind", ["", "/stream", "/later"])
def test_a_call_has_one_traceparent_and_its_client_span_sent_it(run, kind):
    port = grpc_gateway(run)
    sent = drive(port, 200, in_flight=32, path=kind + "/r/{id}", with_context=lambda i: i % 2)
    assert {s.status for s in sent} == {200}
    right, none = judge_calls(run, sent, 200)
    assert none <= STARTING
    ids = run.spans.by_id()
    for s in run.spans.select(service="service"):
        # What the service reads is its own span's id, put in place of the client span's.
        assert one_traceparent(s)[0] == s.trace_id
        check_rpc_client(ids[s.parent_id], "test.Echo/ClientStream" if kind == "/stream" else
                         "test.Echo/Unary", parent=ids.get(ids[s.parent_id].parent_id))


def test_a_traceparent_of_the_programs_own_stays_alone(run):
    port = grpc_gateway(run)
    warm_up(run, port)
    drive(port, 40, in_flight=8, path="/own/r/{id}", with_context=lambda i: True)
    calls = run.spans.wait(40, service="service",
                           where=lambda s: s.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736")
    assert len(calls) == 40
    for s in calls:
        assert s.parent_id == "00f067aa0ba902b7" and len(one_traceparent(s)) == 2


def test_tracestate_and_baggage_go_along(run):
    """What the caller sent beside its traceparent."""
    up, port = service(run, env={
        "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_REQUEST": "x-id,tracestate,baggage"}), free_port()
    run.start([build_cpp("gateway"), port, up], "gateway", port=port)
    warm_up(run, port)
    head = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": "a=1,b=2", "baggage": "c=3"}
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.request("GET", "/r/7", headers=head)
    assert c.getresponse().read() == b"ok\n"
    c.close()
    call = run.spans.one(service="service", where=lambda s: s.trace_id == "ab" * 16)
    assert call["rpc.request.metadata.tracestate"] == ["a=1,b=2"]
    assert call["rpc.request.metadata.baggage"] == ["c=3"]


@pytest.mark.parametrize("env", [{"TAGALONG_CARRIERS": "off"}, {"TAGALONG_PROPAGATE_TO": "localhost"}])
def test_calls_are_left_as_they_are(run, env):
    """Where that is asked for, or where our id might go to a host that must not have it."""
    port = grpc_gateway(run, **env)
    drive(port, 200, in_flight=32)
    calls = run.spans.wait(200, service="service")
    clients = {s.span_id: s for s in run.spans.wait(200, service="gateway", kind=CLIENT)}
    assert {s.link for s in clients.values()} == {"none"}
    if "TAGALONG_PROPAGATE_TO" in env:
        assert not [s for s in calls if s.parent_id or s.get("rpc.request.metadata.traceparent")]


# -- libcurl --

def answered(request):
    return b"out " + request.path.encode()


def judge_requests(run, up, sent, total, timeout=30):
    """Each request the upstream received by its path; exactly one traceparent in each."""
    assert {s.status for s in sent} == {200}
    received = list(up.received)
    assert len(received) == total
    verdict = judge(run.spans, received, "svc", timeout)
    print(verdict)
    assert verdict.wrong == 0, verdict
    judge_inbound(run.spans, sent, "svc")
    return verdict


def start_curl(run, victim, way, port_of_upstream, **env):
    port = free_port()
    run.traced([victim("curl_ways", ["-lcurl"]), port, port_of_upstream, way], "svc", port=port, env=env)
    return port


@pytest.mark.parametrize("way", ["multi", "loop", "easy2", "lists"])
def test_libcurl_has_the_callers_request(run, upstreams, victim, way):
    """A multi handle of the thread's own, one that another thread drives, HTTP/2, and a list of
    headers with which all is done that may be done to it."""
    up = upstreams(answered)
    back = http2_servers.nghttpx(run, up.port, traced=False) if way == "easy2" else up.port
    port, each = start_curl(run, victim, way, back), 5 if way == "lists" else 1
    n = N // each
    sent = drive(port, n, in_flight=32, with_context=lambda i: i % 2)
    verdict = judge_requests(run, up, sent, n * each)
    assert verdict.orphan <= STARTING * each
    assert set(verdict.links) <= {"header", "thread", "none"} and verdict.links["header"] > n // 2
    names = [(r.all("x-one"), r.all("x-two")) for r in up.received]
    assert names.count((["1"], ["2"])) == (3 * n if way == "lists" else 0)


@pytest.mark.parametrize("way, link", [("loop", "none"), ("easy2", "none"), ("multi", "thread")])
def test_libcurl_is_left_as_it_is_where_that_is_asked_for(run, upstreams, victim, way, link):
    up = upstreams(answered)
    back = http2_servers.nghttpx(run, up.port, traced=False) if way == "easy2" else up.port
    port = start_curl(run, victim, way, back, TAGALONG_CARRIERS="off")
    sent = drive(port, 200, in_flight=16)
    assert set(judge_requests(run, up, sent, 200).links) <= {link, "none"}


def test_who_stands_before_libcurl_is_called_as_before(run, upstreams, victim):
    """A library that is preloaded too, and has a function of that name: the loader has not been asked yet when
    libcurl is found."""
    up, port = upstreams(answered), free_port()
    before = victim("curl_before", ["-shared", "-fPIC"])
    program = [victim("curl_ways", ["-lcurl", "-Wl,-z,lazy"]), port, up.port, "multi"]
    run.traced(program, "svc", port=port, library=f"{paths.LIBRARY}:{before}")
    sent = drive(port, 50, in_flight=4)
    judge_requests(run, up, sent, 50)
    assert [r.all("user-agent") for r in up.received] == [["before"]] * 50


@pytest.mark.parametrize("late", [(), ("late",)], ids=["at start", "late"])
def test_pycurl_in_a_threaded_server(run, upstreams, late):
    """Which brings a libcurl of its own, as the interpreter knows nothing of it: perhaps only while
    the first request is answered."""
    up, port = upstreams(answered), free_port()
    run.traced([paths.PYTHON, paths.SERVICES / "relay_pycurl.py", port, up.port, *late], "svc", port=port)
    sent = drive(port, N, in_flight=16, with_context=lambda i: i % 2)
    verdict = judge_requests(run, up, sent, N)
    assert verdict.orphan <= STARTING and verdict.links["header"] > N // 2
    assert {tuple(r.all("x-name")) for r in up.received} == {("relay",)}
