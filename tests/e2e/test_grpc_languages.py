# SPDX-License-Identifier: Apache-2.0
"""gRPC by grpc++ and by grpc-js, on both sides and against grpcio: one span a call and side."""
import random

import pytest

from harness import paths
from harness.grpc import (body, build_cpp, call, check_pair, check_rpc_client, check_rpc_server, digest,
                          service)
from harness.npm import install
from harness.paths import SERVICES
from harness.ports import free_port

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(scope="module")
def cpp():
    return build_cpp()


@pytest.fixture(scope="module")
def js():
    """The command of grpc-js, either side."""
    return ["node", SERVICES / "grpc_peer.js", install()]


def start(run, command, name="service", **more):
    port = free_port()
    run.start([*command, "serve", port], name, port=port, **more)
    return port


@pytest.fixture(params=["js to js", "js to python", "python to js"])
def pair(request, run, js):
    """call(*calls) of a client to a service in another language, and the service's port."""
    client, server = request.param.split(" to ")
    port = start(run, js) if server == "js" else service(run)
    program = [*js, "call"] if client == "js" else None
    return lambda *calls, **more: call(run, port, *calls, program=program, **more), port


def test_a_unary_call(run, pair):
    ask, port = pair
    got, = ask({"method": "Unary", "size": 20_000, "metadata": [["x-id", "7"], ["x-bin", "\0raw"]]})
    assert got["code"] == "OK" and got["sum"] == digest(body(20_000))
    assert ["x-last", "2"] in got["last"] and ["x-seen", "7"] in got["last"]
    check_pair(run, "test.Echo/Unary", port=port)


@pytest.mark.parametrize("wanted,parts", [
    ({"method": "ServerStream", "kind": "server", "text": "30 7000"},
     [bytes([i]) * 7000 for i in range(30)]),
    ({"method": "ClientStream", "kind": "client", "size": 3000, "count": 30}, [body(3000) * 30]),
    ({"method": "Bidi", "kind": "bidi", "size": 4000, "count": 30}, [body(4000)[::-1]] * 30)],
    ids=["server", "client", "both"])
def test_streams(run, pair, wanted, parts):
    ask, port = pair
    got, = ask(wanted)
    assert got["code"] == "OK" and got["parts"] == len(parts)
    assert got["sum"] == digest(b"".join(parts))
    check_pair(run, f"test.Echo/{wanted['method']}", port=port)


@pytest.mark.parametrize("code", ["CANCELLED", "NOT_FOUND", "INTERNAL", "UNAVAILABLE"])
def test_failures(run, pair, code):
    ask, port = pair
    got, = ask({"method": "Fail", "metadata": [["x-code", code], ["x-message-bin", "é 100%"]]})
    assert (got["code"], got["message"]) == (code, "é 100%")
    client, _ = check_pair(run, "test.Echo/Fail", code, port=port)
    assert client.message == "é 100%"


def test_a_method_that_is_not_there(run, pair):
    ask, port = pair
    got, = ask({"method": "Nothing"})
    assert got["code"] == "UNIMPLEMENTED"
    client, server = (run.spans.one(service=s) for s in ("client", "service"))
    check_rpc_client(client, "test.Echo/Nothing", "UNIMPLEMENTED", port=port)
    check_rpc_server(server, None, "UNIMPLEMENTED", (client.trace_id, client.span_id),
                     original="test.Echo/Nothing")


def test_a_deadline(run, pair):
    ask, port = pair
    got, = ask({"method": "Slow", "timeout": 0.3})
    assert got["code"] == "DEADLINE_EXCEEDED"
    client, server = (run.spans.one(service=s) for s in ("client", "service"))
    # Either side may be the first to give up.
    assert client["rpc.response.status_code"] in ("DEADLINE_EXCEEDED", "CANCELLED")
    assert server["rpc.response.status_code"] in ("DEADLINE_EXCEEDED", "CANCELLED")
    assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id)


def test_100_calls_at_once(run, pair):
    ask, port = pair
    chance = random.Random(4)
    wanted = [{"method": "Unary", "size": chance.randrange(30_000), "metadata": [["x-id", str(i)]]}
              for i in range(100)]
    for w, got in zip(wanted, ask(*wanted)):
        assert got["code"] == "OK" and got["sum"] == digest(body(w["size"])), got
        assert ["x-seen", w["metadata"][0][1]] in got["last"]
    clients = {s.span_id: s for s in run.spans.wait(100, service="client")}
    services = run.spans.wait(100, service="service")
    assert len(clients) == len(services) == 100
    for s in services:
        c = clients.pop(s.parent_id)
        check_rpc_client(c, "test.Echo/Unary", port=port)
        check_rpc_server(s, "test.Echo/Unary", parent=(c.trace_id, c.span_id), port=port)


def test_the_callers_context_is_the_parent(run, pair):
    ask, port = pair
    ask({"method": "Unary", "metadata": [["traceparent", GOOD]]}, traced=False)
    check_rpc_server(run.spans.one(), "test.Echo/Unary", parent=(TRACE, SPAN), port=port)


# -- C++ --

def test_cpp_to_cpp(run, cpp):
    port = start(run, [cpp])
    run.call([cpp, "call", port, 8, 20, 20_000], "client")
    n = 8 * 20 + 5
    clients = {s.span_id: s for s in run.spans.wait(n, service="client")}
    services = run.spans.wait(n, service="service")
    assert len(clients) == len(services) == n
    for s in services:
        c = clients.pop(s.parent_id)
        assert s.trace_id == c.trace_id
        method = c["rpc.method"]
        if method == "test.Echo/Slow":
            assert c["rpc.response.status_code"] in ("DEADLINE_EXCEEDED", "CANCELLED"), c
            continue
        code = "DATA_LOSS" if method == "test.Echo/Fail" else "OK"
        check_rpc_client(c, method, code, port=port)
        check_rpc_server(s, method, code, parent=(c.trace_id, c.span_id), port=port)


def test_cpp_is_asked_by_others(run, cpp, js):
    """An empty message is an empty message in every language."""
    port = start(run, [cpp])
    for name, program in (("python", [paths.PYTHON, SERVICES / "grpc_client.py"]), ("js", [*js, "call"])):
        got = call(run, port, *[{"method": "Unary", "size": 0}] * 20, name=name, program=program)
        assert {g["code"] for g in got} == {"OK"}
        ids = {s.span_id for s in run.spans.wait(20, service=name)}
        run.spans.wait(20, service="service", where=lambda s: s.parent_id in ids)
    assert len(run.spans.select(service="service")) == 40


@pytest.mark.parametrize("threads,size", [(1, 0), (16, 150_000)])
def test_cpp_untraced_and_traced_do_the_same(run, cpp, threads, size):
    bare = start(run, [cpp], name="bare", traced=False)
    traced = start(run, [cpp])
    for port in (bare, traced):
        for who in (False, True):
            run.call([cpp, "call", port, threads, 5, size], "client" if who else None, traced=who)
