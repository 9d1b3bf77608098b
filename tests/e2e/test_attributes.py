# SPDX-License-Identifier: Apache-2.0
"""What the variables promise about spans: routes, names, methods, captured headers, redaction, stack traces."""
import re

import pytest

from harness import paths, servers
from harness.odd_upstream import OddUpstream
from harness.rawhttp import fetch
from harness.spans import CLIENT, ERROR, SERVER, UNSET
from harness.upstream import TRACEPARENT
from test_propagators import pair, service


# ---- names and attributes ----
def test_routes(run, upstream):
    port = service(run, upstream, TAGALONG_ROUTES="/users/{id},/r/{number},/static/*")
    wanted = {"/users/abc": "/users/{id}", "/users/7?x=1": "/users/{id}", "/r/12": "/r/{number}",
              "/static/a/b.css": "/static/*", "/users/7/more": None, "/other/12": None, "/": None}
    for path, route in wanted.items():
        fetch(port, path)
        s = run.spans.one(kind=SERVER, where=lambda s: s["url.path"] == path.split("?")[0]
                          and s.get("url.query") == (path.split("?") + [None])[1])
        assert s.get("http.route") == route
        assert s.name == f"GET {route}" if route else s.name.startswith("GET /")
    assert run.spans.one(kind=SERVER, path="/other/12").name == "GET /other/{id}"


def test_names_without_routes(run, upstream):
    port = service(run, upstream)
    for path, name in (("/r/12", "GET /r/{id}"), ("/a/b", "GET /a/b"),
                       ("/u/7f9c2ba4-e88f-4a27-9a0b-6bb1f0c6d1a3/x", "GET /u/{id}/x"), ("/", "GET /")):
        fetch(port, path)
        s = run.spans.one(kind=SERVER, path=path)
        assert s.name == name and "http.route" not in s.attributes
    assert run.spans.one(kind=CLIENT).name == "GET /out/{id}"


def test_bare_methods_as_names(run, upstream):
    port = service(run, upstream, TAGALONG_ROUTE_MODE="off", TAGALONG_ROUTES="/users/{id}")
    for path, name in (("/r/12", "GET"), ("/users/1", "GET /users/{id}"), ("/plain", "GET")):
        fetch(port, path)
        assert run.spans.one(kind=SERVER, path=path).name == name
    assert run.spans.one(kind=CLIENT).name == "GET"


@pytest.mark.parametrize("known, method, attribute, original", [
    (None, "GET", "GET", None), (None, "PATCH", "PATCH", None), (None, "QUERY", "QUERY", None),
    (None, "PURGE", "_OTHER", "PURGE"), (None, "get", "_OTHER", "get"),
    ("GET,PURGE", "PURGE", "PURGE", None), ("GET,PURGE", "POST", "_OTHER", "POST"),
])
def test_known_methods(run, known, method, attribute, original):
    port = servers.nginx(run, "return 200;", name="service",
                         env={"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": known})
    fetch(port, "/x", method)
    s = run.spans.one(kind=SERVER)
    assert (s["http.request.method"], s.get("http.request.method_original")) == (attribute, original)
    assert s.name == ("HTTP" if original else attribute) + " /x"


def test_captured_headers(run, upstream):
    prefix = "OTEL_INSTRUMENTATION_HTTP_"
    upstream.answer = lambda r: (200, b"{}")
    env = {prefix + "SERVER_CAPTURE_REQUEST_HEADERS": "X-One, x-two,cookie",
           prefix + "SERVER_CAPTURE_RESPONSE_HEADERS": "content-type,Server",
           prefix + "CLIENT_CAPTURE_REQUEST_HEADERS": "USER-AGENT,traceparent",
           prefix + "CLIENT_CAPTURE_RESPONSE_HEADERS": "content-length,x-none"}
    port = service(run, upstream, **env)
    fetch(port, "/r/1", headers=[("x-one", "1"), ("X-TWO", "a, b"), ("X-Two", "c"), ("X-Three", "no"),
                                 ("Cookie", "s=1")])
    s, c = pair(run)

    def captured(span):
        return {k: v for k, v in span.attributes.items() if ".header." in k}
    two = captured(s).pop("http.request.header.x-two")
    assert two in (["a, b", "c"], ["a, b, c"])
    assert captured(s) == {"http.request.header.x-one": ["1"], "http.request.header.cookie": ["s=1"],
                           "http.request.header.x-two": two,
                           "http.response.header.content-type": ["text/plain"],
                           "http.response.header.server": ["gunicorn"]}
    assert captured(c) == {"http.request.header.user-agent": ["Python-urllib/3.11"],
                           "http.response.header.content-length": ["2"]}


OLD = {"http.method", "http.target", "http.url", "http.scheme", "http.status_code", "http.host", "http.flavor",
       "http.user_agent", "net.peer.name", "net.peer.port"}


@pytest.mark.parametrize("opt_in", [None, "http", "http/dup", "http,http/dup", "rpc/dup"])
def test_old_names(run, upstream, opt_in):
    port = service(run, upstream, OTEL_SEMCONV_STABILITY_OPT_IN=opt_in)
    fetch(port, "/r/1?a=b", headers=[("User-Agent", "me/1")])
    s, c = pair(run)
    assert s["http.request.method"] == c["http.request.method"] == "GET"
    old = {k: v for k, v in s.attributes.items() if k in OLD}
    if opt_in and "http/dup" in opt_in:
        assert old == {"http.method": "GET", "http.target": "/r/1?a=b", "http.scheme": "http", "http.host": "test",
                       "http.status_code": 200, "http.flavor": "1.1", "http.user_agent": "me/1"}
        assert c["http.url"] == c["url.full"] and c["http.status_code"] == 200
        assert (c["net.peer.name"], c["net.peer.port"]) == ("127.0.0.1", upstream.port)
    else:
        assert old == {} and not OLD & c.attributes.keys()


SECRETS = "X-Amz-Signature=s1&a=1&sig=s2&X-Goog-Signature=s3&X-Amz-Credential=s4&X-Amz-Security-Token=s5&SIG=kept"
REDACTED = "X-Amz-Signature=REDACTED&a=1&sig=REDACTED&X-Goog-Signature=REDACTED&" \
           "X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&SIG=kept"


def test_secrets_are_redacted(run, upstream):
    env = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup"}
    run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/x?{SECRETS}"], "client", env=env)
    assert upstream.received[-1].target == f"/x?{SECRETS}"
    c = run.spans.one(service="client")
    assert c["url.full"] == c["http.url"] == f"http://127.0.0.1:{upstream.port}/x?{REDACTED}"
    # Through a proxy curl writes an absolute target.
    run.call([paths.PYTHON, "-c", """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET http://user:secret@example.com:81/y?sig=1 HTTP/1.1\\r\\nHost: example.com:81\\r\\n\\r\\n")
s.recv(1000)
""", upstream.port], "client", env=env)
    c = run.spans.one(service="client", path="/y")
    assert c["url.full"] == c["http.url"] == "http://REDACTED:REDACTED@example.com:81/y?sig=REDACTED"
    port = servers.nginx(run, "return 200;", name="service", env=env)
    fetch(port, f"/z?{SECRETS}")
    fetch(port, "http://user:secret@test/w?sig=1")
    s = run.spans.one(service="service", path="/z")
    assert s["url.query"] == REDACTED and s["http.target"] == f"/z?{REDACTED}"
    s = run.spans.one(service="service", path="/w")
    assert s["url.query"] == "sig=REDACTED" and "secret" not in str(s.attributes)


# ---- stack traces ----
FRAME = re.compile(r"\S.*\+0x[0-9a-f]+ \([^()]+\)")


def frames(span):
    lines = span["code.stacktrace"].split("\n")
    assert 1 <= len(lines) <= 32
    for line in lines:
        assert FRAME.fullmatch(line), line
        assert "tagalong" not in line, line
    return lines


def test_stack_traces_of_everything(run, upstream):
    port = service(run, upstream, TAGALONG_STACKTRACE="slow:0")
    fetch(port, "/r/1")
    for span in pair(run):
        # After two milliseconds no further frame is named: a busy machine shows fewer.
        assert re.search(r"python3|libc\.so|libpthread", frames(span)[0]), span["code.stacktrace"]


def test_stack_traces_of_errors_only(run):
    up = run.add(OddUpstream())
    for path in ("ok/1", "status/500", "close-before"):
        run.call(["curl", "-sS", f"http://127.0.0.1:{up.port}/{path}"], "client", check=False,
                 env={"TAGALONG_STACKTRACE": "error"})
    assert "code.stacktrace" not in run.spans.one(path="/ok/1").attributes
    for path in ("status/500", "close-before"):
        s = run.spans.one(path=f"/{path}")
        assert s.status == ERROR
        assert re.search(r"libcurl|libc\.so|libpthread", frames(s)[0]), s["code.stacktrace"]


@pytest.mark.parametrize("value", ["off", None, "slow:60000", "nonsense"])
def test_no_stack_traces(run, upstream, value):
    run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/x"], "client", env={"TAGALONG_STACKTRACE": value})
    s = run.spans.one()
    assert s.status == UNSET and "code.stacktrace" not in s.attributes
    assert bool(run.warnings()) == (value == "nonsense")
    assert TRACEPARENT.fullmatch(upstream.received[-1].header("traceparent"))
