# SPDX-License-Identifier: Apache-2.0
"""Debian's servers of HTTP/2, unmodified: one server span a stream, with every attribute the
conventions require and the caller's context as parent; what they say is byte for byte what it was."""
import random
import re
import subprocess

import pytest
from h2.errors import ErrorCodes

from harness import http2, http2_servers, servers
from harness.conventions import check_server
from harness.paths import scale
from harness.rawhttp import RawClient
from harness.spans import CLIENT, ERROR, SERVER

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(params=list(http2_servers.ALL))
def server(request, run):
    run.content = http2_servers.site(run)
    run.port = http2_servers.ALL[request.param](run)
    return run


@pytest.fixture(params=["nghttpd", "node"])
def echo(request, run):
    """Those that give a body back."""
    run.content = http2_servers.site(run)
    run.port = http2_servers.ALL[request.param](run)
    return run


@pytest.fixture(params=["nginx", "node"])
def failing(request, run):
    """Those that can be told to answer 500."""
    run.content = http2_servers.site(run)
    run.port = http2_servers.ALL[request.param](run)
    return run


def context(n):
    return f"{n + 1:032x}", f"{n + 77:016x}"


def test_an_ordinary_request(server):
    m = http2.fetch(server.port, "/hello.txt?a=1&b=x%20y", headers=[("user-agent", "me/1.0")])
    assert m.status == 200 and m.body == b"hello, world\n"
    span = server.spans.one(kind=SERVER)
    check_server(span, path="/hello.txt", query="a=1&b=x%20y", user_agent="me/1.0", version="2",
                 port=server.port)
    assert span.name == "GET /hello.txt" and span.service == "srv"


def test_the_authority_is_the_servers_address(server):
    http2.fetch(server.port, "/hello.txt", authority="example.test:8443")
    check_server(server.spans.one(kind=SERVER), path="/hello.txt", host="example.test", port=8443,
                 version="2")


def test_the_callers_context_is_the_parent(server):
    http2.fetch(server.port, "/hello.txt", headers=[("traceparent", GOOD), ("tracestate", "a=1")])
    span = server.spans.one(kind=SERVER)
    check_server(span, path="/hello.txt", parent=(TRACE, SPAN), version="2")
    assert span.trace_state == "a=1"


@pytest.mark.parametrize("value", [f"00-{'0' * 32}-{SPAN}-01", GOOD.upper(), GOOD + "0", "ff" + GOOD[2:],
                                   GOOD[:-1], GOOD + "-and-more", "garbage"])
def test_a_context_that_is_none_starts_a_trace(server, value):
    http2.fetch(server.port, "/hello.txt", headers=[("traceparent", value)])
    span = server.spans.one(kind=SERVER)
    check_server(span, path="/hello.txt", version="2")
    assert span.trace_id != TRACE


def test_two_contexts_start_a_trace(server):
    other = GOOD.replace(TRACE, TRACE[::-1])
    http2.fetch(server.port, "/hello.txt", headers=[("traceparent", GOOD), ("traceparent", other)])
    check_server(server.spans.one(kind=SERVER), path="/hello.txt", version="2")


def test_nothing_is_there(server):
    assert http2.fetch(server.port, "/nothing").status == 404
    check_server(server.spans.one(kind=SERVER), path="/nothing", status=404, version="2")


def test_a_status_that_says_failure(failing):
    assert http2.fetch(failing.port, "/status/500").status == 500
    check_server(failing.spans.one(kind=SERVER), path="/status/500", status=500, version="2")


def test_head(server):
    m = http2.fetch(server.port, "/hello.txt", "HEAD")
    assert m.status == 200 and m.body == b""
    check_server(server.spans.one(kind=SERVER), "HEAD", "/hello.txt", version="2")


def test_100_streams_have_100_parents(server):
    paths = [p for p in server.content if p != "/big.bin"]
    with http2.Client(server.port) as c:
        streams = [c.open(paths[n % len(paths)], headers=[("traceparent", "00-%s-%s-01" % context(n))])
                   for n in range(100)]
        for n, m in enumerate(c.wait(*streams)):
            assert m.status == 200 and m.body == server.content[paths[n % len(paths)]]
    got = server.spans.wait(100, kind=SERVER)
    assert len(got) == 100
    assert sorted((s.trace_id, s.parent_id) for s in got) == [context(n) for n in range(100)]
    for s in got:
        n = int(s.trace_id, 16) - 1
        check_server(s, path=paths[n % len(paths)], parent=context(n), version="2")


def test_one_connection_for_many_requests(server):
    """Fields go into tables and come out of them again: contexts too."""
    with http2.Client(server.port) as c:
        for n in range(60):
            head = [("traceparent", "00-%s-%s-01" % context(n // 3 * 3)), ("x-same", "always the same")]
            assert c.fetch("/hello.txt", headers=head).body == b"hello, world\n"
    got = server.spans.wait(60, kind=SERVER)
    assert sorted((s.trace_id, s.parent_id) for s in got) == \
        sorted(context(n // 3 * 3) for n in range(60))
    assert len({s.span_id for s in got}) == 60


@pytest.mark.parametrize("n", [0, 1, 16384, 16385, 300_000])
def test_a_body_comes_back_whole(echo, n):
    body = random.Random(n).randbytes(n)
    m = http2.fetch(echo.port, "/echo", "POST", body=body, headers=[("traceparent", GOOD)])
    assert m.status == 200 and m.body == body
    check_server(echo.spans.one(kind=SERVER), "POST", "/echo", parent=(TRACE, SPAN), version="2")


@pytest.mark.parametrize("how", [{"rcvbuf": 4096, "slow": 3000}, {"window": 1000}, {"slow": 11}],
                         ids=["small buffers", "small windows", "bytes one by one"])
def test_a_slow_reader_gets_every_byte(server, how):
    path = "/hello.txt" if how.get("slow") == 11 else "/f0.bin" if "window" in how else "/big.bin"
    with http2.Client(server.port, sndbuf=4096, **how) as c:
        streams = [c.open(path, headers=[("traceparent", "00-%s-%s-01" % context(n))])
                   for n in range(3)]
        for m in c.wait(*streams):
            assert m.body == server.content[path]
    got = server.spans.wait(3, kind=SERVER)
    assert sorted((s.trace_id, s.parent_id) for s in got) == [context(n) for n in range(3)]


def test_a_stream_that_the_client_resets_is_no_success(server):
    with http2.Client(server.port, window=100) as c:
        stream = c.open("/big.bin", headers=[("traceparent", GOOD)])
        c.pump(lambda: c.messages[stream].parts)
        c.reset(stream, ErrorCodes.CANCEL)
        m = c.fetch("/hello.txt", headers=[("traceparent", "00-%s-%s-01" % context(5))])
        assert m.body == b"hello, world\n"
    first = server.spans.one(kind=SERVER, path="/big.bin")
    assert (first.trace_id, first.parent_id) == (TRACE, SPAN)
    assert first.status == ERROR and first.get("error.type"), first
    second = server.spans.one(kind=SERVER, path="/hello.txt")
    check_server(second, path="/hello.txt", parent=context(5), version="2")


def test_a_client_that_goes_leaves_nothing_open(server):
    with http2.Client(server.port, window=100) as c:
        streams = [c.open("/big.bin") for _ in range(10)]
        c.pump(lambda: all(c.messages[s].parts for s in streams))
    got = server.spans.wait(10, kind=SERVER)
    assert len(got) == 10 and all(s.status == ERROR and s.get("error.type") for s in got), got


def test_h2load_with_100_streams_at_once(server):
    n = scale(3000, 50000)
    out = subprocess.run(["h2load", "-n", str(n), "-c", "2", "-m", "100", "-t", "1",
                          f"http://127.0.0.1:{server.port}/hello.txt"], capture_output=True,
                         check=True, timeout=120).stdout.decode()
    assert f"{n} succeeded, 0 failed, 0 errored" in out, out
    assert re.search(rf"traffic: .*\({n * 13}\) data", out), out
    got = server.spans.wait(n, kind=SERVER, timeout=30)
    assert len(got) == n and len({s.trace_id for s in got}) == n
    assert {s["http.response.status_code"] for s in got} == {200}
    for s in got[:5]:
        check_server(s, path="/hello.txt", version="2", user_agent=s["user_agent.original"])


def test_h2load_with_bodies(echo):
    n, data = 600, echo.site / "f1.bin"
    out = subprocess.run(["h2load", "-n", str(n), "-c", "3", "-m", "100", "-t", "1", "-d", data,
                          f"http://127.0.0.1:{echo.port}/echo"], capture_output=True, check=True,
                         timeout=120).stdout.decode()
    assert f"{n} succeeded, 0 failed, 0 errored" in out, out
    assert f"({n * data.stat().st_size}) data" in out, out
    got = echo.spans.wait(n, kind=SERVER)
    assert len(got) == n and {s["http.request.method"] for s in got} == {"POST"}


# -- what only some of them do --

@pytest.fixture
def node(run):
    run.content = http2_servers.site(run)
    run.port = http2_servers.node(run)
    return run


def test_trailers_and_interim_answers_pass(node):
    with http2.Client(node.port) as c:
        m = c.fetch("/trailers", "POST", body=b"x", trailers=[("x-mine", "1")])
        assert m.body == b"body\n" and m.trailers == [("x-sum", "42")]
        m = c.fetch("/hints")
        assert m.status == 200 and m.interim == [[(":status", "103"), ("link", "</style.css>")]] or \
            dict(m.interim[0])[":status"] == "103"
    check_server(node.spans.one(path="/trailers"), "POST", "/trailers", version="2")
    check_server(node.spans.one(path="/hints"), path="/hints", version="2")


@pytest.mark.parametrize("start", [http2_servers.node, lambda run: http2_servers.nghttpd(
    run, options=["--push=/hello.txt=/f0.bin"])], ids=["node", "nghttpd"])
def test_a_push_is_no_request_of_the_client(run, start):
    content = http2_servers.site(run)
    port = start(run)
    asked = "/push" if "node" in run.processes[0].cmd[0] else "/hello.txt"
    with http2.Client(port, push=True) as c:
        m = c.fetch(asked, headers=[("traceparent", GOOD)])
        pushed, = c.pushed
        assert c.wait(pushed)[0].body in (b"pushed\n", content["/f0.bin"])
        assert m.status == 200
    span = run.spans.one(path=asked)
    check_server(span, path=asked, parent=(TRACE, SPAN), version="2")
    assert {s.kind for s in run.spans.all} == {SERVER}
    assert all(s.parent_id == SPAN or s.path != asked for s in run.spans.all)


def test_a_tunnel_by_connect(node):
    with http2.Client(node.port) as c:
        m = c.fetch("far.test:443", "CONNECT", body=b"PRI * HTTP/2.0\r\n\r\nanything at all" * 1000)
        assert m.status == 200 and m.body == b"PRI * HTTP/2.0\r\n\r\nanything at all" * 1000
        assert c.fetch("/hello.txt").body == b"hello, world\n"
    check_server(node.spans.one(path="/hello.txt"), path="/hello.txt", version="2")
    spans = node.spans.wait(2, kind=SERVER)
    tunnel, = [s for s in spans if s["http.request.method"] == "CONNECT"]
    assert tunnel.name.startswith("CONNECT") and tunnel["http.response.status_code"] == 200
    assert tunnel["server.address"] == "far.test"


def test_an_upgrade_from_http_1_1(run, upstream):
    """The first request is HTTP/1.1's, and stream 1's; the others are HTTP/2's."""
    port = http2_servers.nghttpx(run, upstream.port, name="srv")
    lines = ["GET /r/1 HTTP/1.1", f"Host: 127.0.0.1:{port}", f"traceparent: {GOOD}"]
    with http2.Client(port, upgrade=lines) as c:
        assert c.wait(1)[0].status == 200
        for n in (2, 3):
            assert c.fetch(f"/r/{n}", headers=[("traceparent", GOOD)]).status == 200
    got = {s.path: s for s in run.spans.wait(3, kind=SERVER)}
    assert sorted(got) == ["/r/1", "/r/2", "/r/3"]
    check_server(got["/r/1"], path="/r/1", parent=(TRACE, SPAN), port=port,
                 version=got["/r/1"]["network.protocol.version"])
    for n in "23":
        check_server(got[f"/r/{n}"], path=f"/r/{n}", parent=(TRACE, SPAN), version="2")


def test_curl_upgrades(run):
    http2_servers.site(run)
    port = http2_servers.apache(run)
    out = run.call(["curl", "-sS", "--http2", "-w", "%{http_version}",
                    f"http://127.0.0.1:{port}/hello.txt"], "curl").out
    assert out == b"hello, world\n2"
    client, server = (run.spans.one(kind=kind) for kind in (CLIENT, SERVER))
    assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id)
    assert client["http.response.status_code"] == server["http.response.status_code"] == 200


def test_http_1_on_the_same_port_is_as_ever(run):
    http2_servers.site(run)
    port = http2_servers.apache(run)
    with RawClient(port) as c:
        assert c.request("/hello.txt").body == b"hello, world\n"
    check_server(run.spans.one(), path="/hello.txt", version="1.1", host="test")


def test_goaway_at_the_end_loses_no_span(run):
    """nginx says GOAWAY after a number of requests, and answers what it has; curl comes again."""
    http2_servers.site(run)
    port = servers.nginx(run, f"root {run.site}; keepalive_requests 30;", listen="http2",
                         name="srv")
    asked = answered = 0
    while asked < 200:
        with http2.Client(port) as c:
            streams = []
            while c.terminated is None and asked < 200:
                streams.append(c.open(f"/hello.txt?{asked}"))
                asked += 1
                c.pump(lambda: c.terminated is not None or len(streams) % 10 or
                       c.messages[streams[-1]].over)
            got = c.wait(*streams)
            answered += sum(m.whole for m in got)
    assert answered >= 180
    run.spans.wait(answered, where=lambda s: s.status != ERROR)
    assert len(run.spans.select(where=lambda s: s.status != ERROR)) == answered
