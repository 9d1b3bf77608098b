# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients: each request they send is one client span and carries exactly one traceparent
with that span's id; what the program wrote is otherwise unchanged, byte for byte."""
import json

import pytest

from harness import paths
from harness.conventions import check_client
from harness.spans import CLIENT
from harness.upstream import Raw

PY = paths.PYTHON
REQUESTS = "import requests,sys; print(requests.{m}(sys.argv[1]{a}).status_code)"
URLLIB = ("import urllib.request,sys\n"
          "r = urllib.request.Request(sys.argv[1], data={data}, method='{m}')\n"
          "print(urllib.request.urlopen(r).status)")
HTTP_CLIENT = ("import http.client,sys,urllib.parse as u\n"
               "p = u.urlsplit(sys.argv[1]); c = http.client.HTTPConnection(p.netloc)\n"
               "for _ in range({n}):\n"
               "  c.request('{m}', p.path + '?' + p.query if p.query else p.path, body={data})\n"
               "  r = c.getresponse(); r.read(); print(r.status)")
FETCH = "fetch(process.argv[1]{a}).then(async r => {{ await r.text(); console.log(r.status) }})"
NODE_HTTP = ("const r = require('http').request(process.argv[1], {{method: '{m}'}}, "
             "(a) => {{ a.resume(); a.on('end', () => console.log(a.statusCode)) }}); r.end({data})")
AIOHTTP = ("import aiohttp,asyncio,sys\n"
           "async def main():\n"
           "  async with aiohttp.ClientSession() as s:\n"
           "    async with s.get(sys.argv[1]) as r:\n"
           "      await r.read(); print(r.status)\n"
           "asyncio.run(main())")

# name: (method, requests, version, command without the url)
CLIENTS = {
    "curl": ("GET", 1, "1.1", ["curl", "-sS"]),
    "curl post": ("POST", 1, "1.1", ["curl", "-sS", "-d", "a=1&b=2"]),
    "curl put with 100-continue": ("PUT", 1, "1.1", ["curl", "-sS", "-T", "{file}"]),
    "curl chunked": ("POST", 1, "1.1", ["curl", "-sS", "-H", "Transfer-Encoding: chunked", "-d",
                                        "@{file}"]),
    "curl http/1.0": ("GET", 1, "1.0", ["curl", "-sS", "-0"]),
    "curl head": ("HEAD", 1, "1.1", ["curl", "-sS", "-I"]),
    "wget": ("GET", 1, "1.1", ["wget", "-q", "-O", "-"]),
    "wget post": ("POST", 1, "1.1", ["wget", "-q", "-O", "-", "--post-data=x=1"]),
    "requests": ("GET", 1, "1.1", [PY, "-c", REQUESTS.format(m="get", a="")]),
    "requests post": ("POST", 1, "1.1", [PY, "-c", REQUESTS.format(m="post", a=",data=b'x'*5000")]),
    "requests json": ("PUT", 1, "1.1", [PY, "-c", REQUESTS.format(m="put", a=",json={'a':1}")]),
    "urllib": ("GET", 1, "1.1", [PY, "-c", URLLIB.format(m="GET", data=None)]),
    "urllib post": ("POST", 1, "1.1", [PY, "-c", URLLIB.format(m="POST", data=b"abc")]),
    "http.client": ("GET", 1, "1.1", [PY, "-c", HTTP_CLIENT.format(m="GET", n=1, data=None)]),
    "http.client kept": ("POST", 5, "1.1", [PY, "-c",
                                            HTTP_CLIENT.format(m="POST", n=5, data=b"abcdef")]),
    "aiohttp": ("GET", 1, "1.1", [PY, "-c", AIOHTTP]),
    "node fetch": ("GET", 1, "1.1", ["node", "-e", FETCH.format(a="")]),
    "node fetch post": ("POST", 1, "1.1", ["node", "-e", FETCH.format(
        a=", {method: 'POST', body: 'x'.repeat(5000)}")]),
    "node http": ("GET", 1, "1.1", ["node", "-e", NODE_HTTP.format(m="GET", data="")]),
    "node http post": ("POST", 1, "1.1", ["node", "-e", NODE_HTTP.format(m="POST", data="'abc'")]),
}


@pytest.fixture(params=list(CLIENTS))
def client(request, run):
    method, n, version, cmd = CLIENTS[request.param]
    file = run.tmp / "upload"
    file.write_bytes(b"0123456789" * 20000)
    return method, n, version, [c.replace("{file}", str(file)) for c in cmd]


def normal(received, port):
    """A request without what differs from run to run."""
    return (received.without_trace_headers().replace(str(port).encode(), b"PORT"), received.body)


def test_one_span_and_one_traceparent_a_request(run, upstream, client):
    method, n, version, cmd = client
    url = f"http://127.0.0.1:{upstream.port}/some/thing?q=1"
    run.call(cmd + [url], "client")
    assert len(upstream.received) == n
    spans = run.spans.wait(n, service="client")
    assert len(spans) == n
    by_id = {s.span_id: s for s in spans}
    for r in upstream.received:
        trace, span, flags = r.context()
        s = by_id[span]
        check_client(s, method, url, port=upstream.port, version=version, link="none")
        assert (s.trace_id, s.flags & 0xff) == (trace, flags) and flags & 1
        assert s.name == f"{method} /some/thing"


def test_the_upstream_sees_otherwise_the_same_bytes(run, upstreams, client):
    _, n, _, cmd = client
    up = upstreams(lambda r: b"always the same")
    url = f"http://127.0.0.1:{up.port}/some/thing?q=1"
    bare = run.call(cmd + [url], traced=False)
    traced = run.call(cmd + [url], "client")
    assert len(up.received) == 2 * n
    first, second = up.received[:n], up.received[n:]
    assert [normal(r, up.port) for r in first] == [normal(r, up.port) for r in second]
    assert not any(r.all("traceparent") for r in first)
    assert all(len(r.all("traceparent")) == 1 for r in second)
    assert (bare.status, bare.out, bare.err) == (traced.status, traced.out, traced.err)


def test_the_environment_gives_the_parent(run, upstream):
    """A step of a build: TRACEPARENT in the environment, no listener."""
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/"], "client",
             env={"TRACEPARENT": f"00-{trace}-{span}-01", "TRACESTATE": "a=1"})
    s = run.spans.one(service="client")
    assert (s.trace_id, s.parent_id, s.link) == (trace, span, "process")
    assert upstream.received[0].context()[:2] == (trace, s.span_id)
    assert upstream.received[0].all("tracestate") == ["a=1"]


@pytest.mark.parametrize("status", [200, 204, 301, 304, 400, 404, 500, 503])
def test_status_decides_the_spans_status(run, upstreams, status):
    up = upstreams(lambda r: (status, b"" if status in (204, 304) else b"x"))
    run.call(["curl", "-s", f"http://127.0.0.1:{up.port}/x"], "client")
    check_client(run.spans.one(service="client"), "GET", f"http://127.0.0.1:{up.port}/x",
                 status=status, port=up.port)


def test_a_header_of_the_programs_own_stays(run, upstream):
    """A program that traces itself: its header goes out alone, and no span is made."""
    own = "00-11111111111111111111111111111111-2222222222222222-01"
    run.call(["curl", "-sS", "-H", f"traceparent: {own}", f"http://127.0.0.1:{upstream.port}/a"],
             "client")
    run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/b"], "client")
    run.spans.one(service="client", path="/b")
    assert upstream.received[0].all("traceparent") == [own]
    assert not run.spans.select(path="/a")


def test_secrets_in_the_url_are_not_recorded(run, upstream):
    run.call(["curl", "-sS", f"http://user:pass@127.0.0.1:{upstream.port}/p?sig=abc&x=1&"
              "X-Amz-Signature=def"], "client")
    s = run.spans.one(service="client")
    assert s["url.full"] == (f"http://127.0.0.1:{upstream.port}/p?sig=REDACTED&x=1&"
                             "X-Amz-Signature=REDACTED")


def test_ab_keep_alive(run, upstream):
    out = run.call(["ab", "-q", "-k", "-n", "500", "-c", "20",
                    f"http://127.0.0.1:{upstream.port}/x"], "client").out.decode()
    assert "Complete requests:      500" in out
    spans = run.spans.wait(500, service="client", where=lambda s: s.get("http.response.status_code"))
    by_id = {s.span_id: s for s in spans}
    ids = {r.context()[1] for r in upstream.received}
    assert len(ids) == len(upstream.received) >= 500
    assert set(by_id) <= ids


def test_wrk(run, upstream):
    run.call(["wrk", "-t2", "-c20", "-d1s", f"http://127.0.0.1:{upstream.port}/x"], "client")
    done = run.spans.wait(100, service="client", where=lambda s: s.get("http.response.status_code"))
    ids = {r.context()[1] for r in upstream.received}
    assert len(ids) == len(upstream.received)
    assert {s.span_id for s in done} <= ids
    # Requests that had no answer when wrk ended are all that may be missing.
    assert len(upstream.received) - len(done) <= 20


def test_redirects_are_requests_of_their_own(run, upstreams):
    def answer(r):
        if r.path == "/old":
            return Raw(b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n", keep=True)
        return b"here"
    up = upstreams(answer)
    r = run.call(["curl", "-sSL", f"http://127.0.0.1:{up.port}/old"], "client")
    assert r.out == b"here"
    old, new = (run.spans.one(service="client", path=p) for p in ("/old", "/new"))
    assert old["http.response.status_code"] == 302 and new["http.response.status_code"] == 200
    assert old.kind == new.kind == CLIENT and old.span_id != new.span_id
    assert [r.context()[1] for r in up.received] == [old.span_id, new.span_id]


def test_two_urls_on_one_connection(run, upstream):
    base = f"http://127.0.0.1:{upstream.port}"
    run.call(["curl", "-sS", f"{base}/1", f"{base}/2", f"{base}/3"], "client")
    assert upstream.connections == 1
    assert [r.context()[1] for r in upstream.received] == \
        [run.spans.one(path=f"/{n}").span_id for n in (1, 2, 3)]


def test_a_program_that_ends_at_once_loses_nothing(run, upstream):
    """The default delay of a batch is much longer than curl lives."""
    for n in range(10):
        run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/{n}"], "client",
                 env={"OTEL_BSP_SCHEDULE_DELAY": None})
    assert len(run.spans.select(service="client")) == 10


def test_json_lines_are_what_the_protocol_says(run, upstream):
    run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/"], "client")
    run.spans.wait(1)
    for line in run.traces.read_text().splitlines():
        for rs in json.loads(line)["resourceSpans"]:
            assert rs["schemaUrl"] == "https://opentelemetry.io/schemas/1.44.0"
            for ss in rs["scopeSpans"]:
                assert ss["scope"]["name"]
                for s in ss["spans"]:
                    assert isinstance(s["startTimeUnixNano"], str) and isinstance(s["kind"], int)


def test_the_console_exporter_draws_on_standard_error(run, upstream):
    env = {"OTEL_TRACES_EXPORTER": "console", "TAGALONG_TRACES_FILE": None, "TAGALONG_LOG": None}
    r = run.call(["curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{upstream.port}/seen"],
                 "client", env=env)
    assert b"GET /seen" in r.err and b"client" in r.err, r.err
    code = ("import time, urllib.request\n"
            f"urllib.request.urlopen('http://127.0.0.1:{upstream.port}/early').read()\n"
            "time.sleep(20)")
    p = run.traced([paths.PYTHON, "-c", code], "sleeper", env=env)
    p.wait_log("GET /early")        # while it runs: the worker writes
