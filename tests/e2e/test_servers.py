# SPDX-License-Identifier: Apache-2.0
"""Debian's servers, unmodified: one server span a request, with every attribute the conventions
require, the right status, and the caller's context as parent."""
import shutil
import subprocess

import pytest

from harness import paths, servers
from harness.conventions import check_server
from harness.rawhttp import RawClient, fetch
from harness.spans import SERVER

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = ("traceparent", f"00-{TRACE}-{SPAN}-01")


def dynamic_busybox():
    """Debian's busybox; the static build of it cannot be preloaded, so then the other one's."""
    for path in (paths.BUILD / "debian/busybox", "/bin/busybox"):
        if shutil.which(path):
            with open(path, "rb") as f:
                if b"ld-linux" in f.read(4096):
                    return path
    raise AssertionError("no dynamically linked busybox: run scripts/setup")


def site(run):
    root = run.tmp / "site"
    root.mkdir()
    root.chmod(0o755)
    (root / "hello.txt").write_text("hello, world\n")
    (root / "big.bin").write_bytes(bytes(range(256)) * 4096)
    return root


def nginx(run):
    return servers.nginx(run, f"root {site(run)}; location /status/500 {{ return 500; }}",
                         name="srv")


def apache(mpm):
    return lambda run: servers.apache(run, 'Redirect 500 "/status/500"\n<Directory />\n'
                                      "Require all granted\n</Directory>", root=site(run), mpm=mpm,
                                      name="srv")


def haproxy(run):
    site(run)
    return servers.haproxy(run, [], name="srv", backend="\n\t".join([
        "http-request return status 500 if { path /status/500 }",
        "http-request return status 404 if !{ path /hello.txt }",
        "http-request return status 200 content-type text/plain string \"hello, world\\n\""]))


def gunicorn(worker, **kw):
    return lambda run: servers.gunicorn(run, "plain:app", worker, name="srv", **kw)


SERVERS = {
    "nginx": nginx,
    "apache event": apache("event"),
    "apache worker": apache("worker"),
    "apache prefork": apache("prefork"),
    "haproxy": haproxy,
    "gunicorn sync": gunicorn("sync"),
    "gunicorn gthread": gunicorn("gthread", threads=4),
    "gunicorn two workers": gunicorn("sync", workers=2),
    "node": lambda run: servers.node(run, "plain.js", name="srv"),
    "http.server": lambda run: servers.http_server(run, site(run), name="srv"),
    "busybox": lambda run: servers.busybox(run, site(run), program=dynamic_busybox(), name="srv"),
}
CANNOT_500 = {"http.server", "busybox"}


@pytest.fixture(params=list(SERVERS))
def server(request, run):
    run.kind = request.param
    run.port = SERVERS[request.param](run)
    return run



def test_an_ordinary_request(server):
    r = fetch(server.port, "/hello.txt?a=1&b=x%20y", headers=[("User-Agent", "me/1.0")])
    assert r.status == 200 and r.body == b"hello, world\n"
    span = server.spans.one(kind=SERVER)
    check_server(span, path="/hello.txt", query="a=1&b=x%20y", user_agent="me/1.0",
                 host="test")
    assert span.name == "GET /hello.txt"
    assert span.service == "srv"


def test_the_port_of_the_host_header_is_the_servers(server):
    with RawClient(server.port) as c:
        c.request("/hello.txt", host=f"example.test:{server.port}")
    check_server(server.spans.one(kind=SERVER), path="/hello.txt", host="example.test",
                 port=server.port)


def test_the_callers_context_is_the_parent(server):
    fetch(server.port, "/hello.txt", headers=[CONTEXT])
    span = server.spans.one(kind=SERVER)
    check_server(span, path="/hello.txt", parent=(TRACE, SPAN), host="test")


@pytest.mark.parametrize("status", [404, 500])
def test_a_status_that_says_failure(server, status):
    if status == 500 and server.kind in CANNOT_500:
        pytest.skip("this server has no way to answer 500")
    r = fetch(server.port, f"/status/{status}")
    assert r.status == status
    check_server(server.spans.one(kind=SERVER), path=f"/status/{status}", status=status, host="test")


def test_head(server):
    with RawClient(server.port) as c:
        r = c.request("/hello.txt", method="HEAD", headers=[("Connection", "close")])
    assert r.status == 200 and r.body == b""
    check_server(server.spans.one(kind=SERVER), method="HEAD", path="/hello.txt", host="test")


def test_http_1_0(server):
    with RawClient(server.port) as c:
        c.send(b"GET /hello.txt HTTP/1.0\r\n\r\n")
        r = c.read_response()
    assert r.status == 200
    span = server.spans.one(kind=SERVER)
    # Without a Host header the address is where the request arrived.
    check_server(span, path="/hello.txt", version="1.0", host=None)


def test_kept_connection_gives_a_span_a_request(server):
    if server.kind in ("http.server", "busybox", "gunicorn sync", "gunicorn two workers"):
        pytest.skip("closes after each answer")
    contexts = [(f"{n + 1:032x}", f"{n + 77:016x}") for n in range(20)]
    with RawClient(server.port) as c:
        for n, (trace, span) in enumerate(contexts):
            path = "/hello.txt" if n % 3 else "/nothing"
            c.request(path, headers=[("traceparent", f"00-{trace}-{span}-01")])
    got = server.spans.wait(20, kind=SERVER)
    assert len(got) == 20
    assert sorted((s.trace_id, s.parent_id) for s in got) == contexts
    for s in got:
        n = int(s.trace_id, 16) - 1
        check_server(s, path="/hello.txt" if n % 3 else "/nothing", status=200 if n % 3 else 404,
                     parent=contexts[n], host="test")


def test_ab_with_keep_alive(server):
    """ab -k speaks HTTP/1.0 with Connection: keep-alive, 20 at a time."""
    out = subprocess.run(["ab", "-q", "-k", "-n", "300", "-c", "20",
                          f"http://127.0.0.1:{server.port}/hello.txt"], capture_output=True,
                         check=True, timeout=60).stdout.decode()
    assert "Failed requests:        0" in out and "Complete requests:      300" in out, out
    # ab opens connections beyond the last answer, and may leave requests unanswered on them.
    got = server.spans.wait(300, kind=SERVER, path="/hello.txt",
                            where=lambda s: s.get("http.response.status_code") == 200)
    assert len(got) == 300
    assert len({s.trace_id for s in got}) == 300
    for s in got[:5]:
        check_server(s, path="/hello.txt", version="1.0", port=server.port,
                     user_agent=s["user_agent.original"])


def test_wrk(server):
    out = subprocess.run(["wrk", "-t1", "-c10", "-d1s", f"http://127.0.0.1:{server.port}/hello.txt"],
                         capture_output=True, check=True, timeout=60).stdout.decode()
    assert "requests in" in out, out
    n = int(out.split(" requests in")[0].split()[-1])
    if n > 60000:
        n = 60000       # the queue of a test is bounded
    server.spans.wait(min(n, 1000), kind=SERVER, path="/hello.txt")
    ids = {s.trace_id for s in server.spans.all}
    assert len(ids) == len(server.spans.all)
