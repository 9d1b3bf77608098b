# SPDX-License-Identifier: Apache-2.0
"""nginx, haproxy and Apache as reverse proxies with 50 requests in flight: every outgoing request
carries exactly one traceparent, and its span's parent is the request that caused it. The id in
the path is the truth the spans are compared with."""
import socket
import threading

import pytest

from harness import servers
from harness.load import drive, judge, judge_inbound
from harness.paths import scale
from harness.spans import CLIENT, ERROR, SERVER

N = scale(1000, 10000)

PROXIES = {
    "nginx": servers.nginx_proxy,
    "nginx without keep-alive": lambda run, up, **kw: servers.nginx_proxy(
        run, up, keepalive=False, **kw),
    "nginx two workers": lambda run, up, **kw: servers.nginx_proxy(
        run, up, main="worker_processes 2;", **kw),
    "haproxy": servers.haproxy,
    "haproxy two threads": lambda run, up, **kw: servers.haproxy(run, up, main="nbthread 2", **kw),
    "haproxy http-reuse never": lambda run, up, **kw: servers.haproxy(
        run, up, backend="http-reuse never", **kw),
    "apache event": servers.apache_proxy,
    "apache prefork": lambda run, up, **kw: servers.apache_proxy(run, up, mpm="prefork", **kw),
}
CONTEXT = {"with traceparent": lambda i: True, "without": lambda i: False,
           "mixed": lambda i: i % 3 == 0}


def proxied(request):
    return b"answer to " + request.path.encode()


@pytest.mark.parametrize("context", CONTEXT)
@pytest.mark.parametrize("proxy", PROXIES)
def test_parents_are_right_with_50_in_flight(run, upstreams, proxy, context):
    up = upstreams(proxied)
    port = PROXIES[proxy](run, [up.port], name="proxy")
    sent = drive(port, N, with_context=CONTEXT[context])
    assert {s.status for s in sent} == {200}
    assert len(up.received) == N
    verdict = judge(run.spans, up.received, "proxy")
    print(proxy, context, verdict)
    assert (verdict.right, verdict.wrong, verdict.orphan) == (N, 0, 0), verdict
    assert set(verdict.links) == {"header"}, verdict
    judge_inbound(run.spans, sent, "proxy")
    assert len(run.spans.select(service="proxy", kind=CLIENT)) == N
    assert len(run.spans.select(service="proxy", kind=SERVER)) == N


@pytest.mark.parametrize("proxy", PROXIES)
def test_posts_with_a_body_are_right_too(run, upstreams, proxy):
    up = upstreams(proxied)
    port = PROXIES[proxy](run, [up.port], name="proxy")
    body = b"x" * 3000
    sent = drive(port, N // 4, with_context=lambda i: i % 2, method="POST", body=body)
    assert {s.status for s in sent} == {200}
    assert all(r.body == body for r in up.received)
    verdict = judge(run.spans, up.received, "proxy")
    assert (verdict.right, verdict.wrong, verdict.orphan) == (len(sent), 0, 0), verdict
    judge_inbound(run.spans, sent, "proxy")


def unlucky(request):
    """Half of the ids, in no step with the turns the upstreams take."""
    return int(request.path.split("/")[2]) // 2 % 2


def refuse_some(request):
    """Closes without an answer."""
    return None if unlucky(request) else proxied(request)


RETRYING = {
    "nginx": lambda run, ports: servers.nginx_proxy(
        run, ports, extra="proxy_next_upstream error timeout http_502 non_idempotent;",
        name="proxy"),
    "haproxy": lambda run, ports: servers.haproxy(
        run, ports, name="proxy", backend="balance roundrobin\n\tretries 3\n"
        "\toption redispatch 1\n\tretry-on empty-response conn-failure 502"),
    "apache": lambda run, ports: servers.apache_proxy(run, ports, name="proxy"),
}


@pytest.mark.parametrize("context", ["with traceparent", "without"])
@pytest.mark.parametrize("proxy", RETRYING)
def test_each_retry_has_its_own_span_under_the_same_request(run, upstreams, proxy, context):
    """The first upstream drops or refuses half of what it is asked; the proxy sends the same bytes
    to the second."""
    lock, received = threading.Lock(), []

    def note(answer):
        def reply(request):
            with lock:
                received.append(request)
            return answer(request)
        return reply

    def bad(request):
        if proxy == "apache":       # fails over on failonstatus
            return (503, b"") if unlucky(request) else proxied(request)
        return refuse_some(request)

    first, second = upstreams(note(bad)), upstreams(note(proxied))
    port = RETRYING[proxy](run, [first.port, second.port])
    n = N // 4
    sent = drive(port, n, with_context=CONTEXT[context])
    if proxy != "apache":
        assert {s.status for s in sent} == {200}
        assert len(received) > n, "nothing was retried"
    verdict = judge(run.spans, received, "proxy")
    print(proxy, context, len(received), verdict)
    assert (verdict.right, verdict.wrong, verdict.orphan) == (len(received), 0, 0), verdict
    judge_inbound(run.spans, sent, "proxy")
    dropped = [s for s in run.spans.select(service="proxy", kind=CLIENT) if s.status == ERROR]
    assert all(s.get("error.type") for s in dropped)
    if proxy != "apache":
        assert dropped


def test_an_upstream_that_refuses_the_connection(run, upstreams):
    """No request is written to the first upstream, so there is one client span a request."""
    from harness.ports import free_port
    up = upstreams(proxied)
    port = servers.nginx_proxy(run, [free_port(), up.port], name="proxy")
    sent = drive(port, 100, in_flight=10)
    assert {s.status for s in sent} == {200}
    verdict = judge(run.spans, up.received, "proxy")
    assert (verdict.right, verdict.wrong, verdict.orphan) == (100, 0, 0), verdict


@pytest.mark.parametrize("context", [True, False], ids=["with traceparent", "without"])
def test_a_head_written_in_pieces_and_pipelined_requests(run, upstreams, context):
    """Clients that send heads byte by byte or many at once change nothing. Where many heads fill
    nginx's buffer there may be no room for ours: such a request has no parent, never a wrong one."""
    up = upstreams(proxied)
    port = servers.nginx_proxy(run, [up.port], name="proxy")
    heads = [(f"GET /r/{i} HTTP/1.1\r\nHost: h\r\n" + (f"traceparent: 00-{i + 1:032x}-{i + 1:016x}-01"
              "\r\n" if context else "") + "\r\n").encode() for i in range(20)]
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in heads[0]:
            s.send(bytes([byte]))
        s.sendall(b"".join(heads[1:]))
        got = b""
        while got.count(b"answer to /r/") < 20:
            more = s.recv(65536)
            assert more
            got += more
    verdict = judge(run.spans, up.received, "proxy")
    print(verdict)
    assert verdict.wrong == 0 and verdict.right >= (20 if context else 4), verdict


def test_a_chain_of_three_proxies(run, upstreams):
    """haproxy -> nginx -> Apache -> upstream: one trace through all of them."""
    up = upstreams(proxied)
    third = servers.apache_proxy(run, [up.port], name="third")
    second = servers.nginx_proxy(run, [third], name="second")
    first = servers.haproxy(run, [second], name="first")
    sent = drive(first, 200, in_flight=20)
    assert {s.status for s in sent} == {200}
    run.spans.wait(200, service="third", kind=CLIENT)
    ids = None
    for service in ("second", "first"):
        run.spans.wait(200, service=service, kind=SERVER)
    ids = run.spans.by_id()
    for r in up.received:
        _, span, _ = r.context()
        assert run.spans.chain(ids[span]) == ["first", "second", "third"]
