# SPDX-License-Identifier: Apache-2.0
"""Proxies that speak HTTP/2 on one side or both, with 50 streams in flight: every outgoing request
carries exactly one traceparent, and its span's parent is the request that caused it. The id in the
path is the truth the spans are compared with."""
import random

import pytest

from harness import http2, http2_servers, servers
from harness.conventions import check_client, check_server
from harness.http2 import Recorder, Reply
from harness.load import drive as drive_http1, judge, judge_inbound
from harness.paths import scale
from harness.spans import CLIENT, SERVER

N = scale(600, 10000)
CONTEXT = {"with traceparent": lambda i: True, "without": lambda i: False,
           "mixed": lambda i: i % 3 == 0}
APACHE_HTTP2 = f"LoadModule proxy_http2_module {http2_servers.MODULES}/mod_proxy_http2.so\n"


def nginx(run, up, **kw):
    return servers.nginx_proxy(run, [up], listen="http2", **kw)


def haproxy_front(run, up, **kw):
    return servers.haproxy(run, [up], bind="proto h2", **kw)


def haproxy_back(run, up, **kw):
    return servers.haproxy(run, [up], server="proto h2", **kw)


def haproxy_both(run, up, **kw):
    return servers.haproxy(run, [up], bind="proto h2", server="proto h2", **kw)


def apache_front(run, up, **kw):
    return servers.apache(run, f"{http2_servers.HTTP2}ProxyPreserveHost On\n"
                          f"ProxyPass / http://127.0.0.1:{up}/", **kw)


def nghttpx(run, up, **kw):
    return http2_servers.nghttpx(run, up, **kw)


def nghttpx_both(run, up, **kw):
    return http2_servers.nghttpx(run, up, upstream_h2=True, **kw)


# name: (start, HTTP/2 in front, HTTP/2 behind)
PROXIES = {
    "nginx": (nginx, True, False),
    "nginx without keep-alive": (lambda run, up, **kw: nginx(run, up, keepalive=False, **kw), True, False),
    "nginx two workers": (lambda run, up, **kw: nginx(run, up, main="worker_processes 2;", **kw), True, False),
    "haproxy in front": (haproxy_front, True, False),
    "haproxy behind": (haproxy_back, False, True),
    "haproxy both": (haproxy_both, True, True),
    "haproxy both, two threads": (lambda run, up, **kw: haproxy_both(run, up, main="nbthread 2", **kw),
                                  True, True),
    "apache": (apache_front, True, False),
}
# It passes headers on, but is no known proxy: only once it was seen to is it given what to pass on.
LEARNED = {"nghttpx": (nghttpx, True, False), "nghttpx both": (nghttpx_both, True, True)}


@pytest.fixture
def start(run, upstreams):
    """Starts a proxy by name in front of an upstream: (upstream, drive)."""
    def go(name, answer=None, **more):
        begin, front, back = {**PROXIES, **LEARNED}[name]
        up = run.add(Recorder(lambda r: Reply(b"answer to " + r.path.encode() + r.body))) if back else \
            upstreams(lambda r: b"answer to " + r.path.encode() + r.body)
        port = begin(run, up.port, name="proxy", **more)

        def drive(n, **kw):
            if front:
                body = kw.pop("body", b"")
                return http2.drive(port, n, body=lambda i: body or None,
                                   check=lambda i, m: check(i, m, body), **kw)
            return drive_http1(port, n, **kw)

        def check(i, m, body):
            assert m.body == b"answer to /r/%d" % i + body
        return up, drive
    return go


@pytest.mark.parametrize("context", CONTEXT)
@pytest.mark.parametrize("proxy", PROXIES)
def test_parents_are_right_with_50_in_flight(run, start, proxy, context):
    up, drive = start(proxy)
    sent = drive(N, with_context=CONTEXT[context])
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
def test_posts_with_a_body_are_right_too(run, start, proxy):
    up, drive = start(proxy)
    # haproxy 2.6 stalls, with or without us, when more than its window is on the way to one server.
    body = random.Random(1).randbytes(1000 if PROXIES[proxy][2] else 20_000)
    sent = drive(N // 4, with_context=lambda i: i % 2, method="POST", body=body)
    assert {s.status for s in sent} == {200}
    assert all(r.body == body for r in up.received)
    verdict = judge(run.spans, up.received, "proxy")
    print(proxy, verdict)
    # Where frames fill the buffer there may be no room for a context: no parent, never a wrong one.
    assert verdict.wrong == 0 and verdict.total == len(sent), verdict
    assert verdict.right >= len(sent) // 2, verdict
    judge_inbound(run.spans, sent, "proxy")


@pytest.mark.parametrize("context", CONTEXT)
@pytest.mark.parametrize("proxy", LEARNED)
def test_a_proxy_that_nobody_knows_is_never_wrong(run, start, proxy, context):
    up, drive = start(proxy)
    sent = drive(N // 2, with_context=CONTEXT[context])
    assert {s.status for s in sent} == {200}
    verdict = judge(run.spans, up.received, "proxy")
    print(proxy, context, verdict)
    assert verdict.wrong == 0 and verdict.total == len(sent), verdict
    least = {"with traceparent": len(sent), "mixed": len(sent) // 4, "without": 0}
    assert verdict.right >= least[context], verdict


@pytest.mark.parametrize("proxy", ["nginx", "haproxy both"])
def test_what_the_spans_say(run, start, proxy):
    _, front, back = PROXIES[proxy]
    up, drive = start(proxy)
    sent, = drive(1, with_context=lambda i: True)
    server, client = run.spans.one(kind=SERVER), run.spans.one(kind=CLIENT)
    check_server(server, path="/r/0", parent=sent.context, version="2" if front else "1.1")
    check_client(client, parent=server, version="2" if back else "1.1", link="header",
                 host=server["server.address"])
    received, = up.received
    assert received.context() == (client.trace_id, client.span_id, 1)


def test_a_chain_across_both_protocols(run):
    """nghttp -> haproxy (2, 2) -> nginx (2, 1) -> haproxy (1, 2) -> nghttpd: one trace."""
    content = http2_servers.site(run)
    last = http2_servers.nghttpd(run, name="nghttpd")
    third = haproxy_back(run, last, name="third")
    second = nginx(run, third, name="second")
    first = haproxy_both(run, second, name="first")
    for n in range(20):
        out = run.call(["nghttp", f"http://127.0.0.1:{first}/f{n}.bin"], "caller").out
        assert out == content[f"/f{n}.bin"]
    ends = run.spans.wait(20, service="nghttpd")
    for service, n in (("caller", 20), ("first", 40), ("second", 40), ("third", 40)):
        run.spans.wait(n, service=service)
    for s in ends:
        assert run.spans.chain(s) == ["caller", "first", "second", "third", "nghttpd"]
    assert len({s.trace_id for s in ends}) == 20 and len(run.spans.all) == 160
