# SPDX-License-Identifier: Apache-2.0
"""Programs of many kinds above TLS: on both sides a span for each request, one traceparent between
them, bodies as they were."""
import json
import os
import re

import pytest

from harness import paths, pypi, tls_servers
from harness.grpc import body as grpc_body, digest
from harness.npm import install
from harness.ports import free_port
from harness.spans import CLIENT, SERVER

SERVICES = paths.SERVICES
ECHO = [paths.PYTHON, SERVICES / "tls_echo.py"]
SERVERS = {
    "gunicorn": tls_servers.gunicorn,
    "gunicorn threads": lambda run, certs, **kw: tls_servers.gunicorn(run, certs, worker="gthread",
                                                                      threads=4, **kw),
    "uvicorn": tls_servers.uvicorn,
    "asyncio": lambda run, certs, **kw: tls_servers.echo(run, certs, [*ECHO, "asyncio"], **kw),
    "node": lambda run, certs, **kw: tls_servers.echo(run, certs, ["node", SERVICES / "tls_echo.js"],
                                                      **kw),
}
ASK = [paths.PYTHON, SERVICES / "tls_ask.py"]
CLIENTS = {
    "requests": [*ASK, "requests", "{ca}", "{url}"],
    "httpx": [*ASK, "httpx", "{ca}", "{url}"],
    "aiohttp": [*ASK, "aiohttp", "{ca}", "{url}"],
    "node": ["node", SERVICES / "tls_ask.js", "http1", "{ca}", "{url}"],
    "node http2": ["node", SERVICES / "tls_ask.js", "http2", "{ca}", "{url}"],
    "curl": ["curl", "-sS", "--cacert", "{ca}", "{url}"],
}
PAIRS = [("gunicorn threads", "requests"), ("uvicorn", "aiohttp"), ("node", "httpx")]
LARGE = [("node", "node http2"), ("asyncio", "aiohttp"), ("gunicorn", "curl")]
PROXIED = [(p, "curl") for p in tls_servers.PROXIES] + [("haproxy", "httpx"), ("apache", "aiohttp")]
HTTP_1 = ("requests", "aiohttp")        # clients that know no other
GRPC = [("node", "node"), ("python", "node")]
if os.environ.get("TAGALONG_LONG"):
    PAIRS += [("gunicorn", "requests"), ("gunicorn threads", "httpx"), ("asyncio", "requests"),
              ("node", "node http2"), ("uvicorn", "curl")]
    LARGE += [("node", "node"), ("node", "curl"), ("uvicorn", "requests"), ("gunicorn", "httpx")]
    PROXIED = [(p, c) for p in tls_servers.PROXIES for c in ("curl", "httpx", *HTTP_1)]
    GRPC += [("node", "python"), ("python", "python")]


def ask(run, certs, client, port, path, file=None, name="client", **more):
    words = [str(w).format(ca=certs.path("ca.pem"), url=f"https://localhost:{port}{path}")
             for w in CLIENTS[client]]
    if file and words[0] == "curl":
        words += ["--data-binary", f"@{file}", "-H", "Expect:"]
    elif file:
        words.append(file)
    return run.call(words, name, timeout=120, **more).out


def content(run, size):
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    file = run.tmp / "body"
    file.write_bytes(body)
    return file, body


@pytest.mark.parametrize("server,client", PAIRS)
def test_both_sides_have_a_span_and_one_traceparent_is_between_them(run, certificates, server,
                                                                     client):
    port = SERVERS[server](run, certificates)
    seen = ask(run, certificates, client, port, "/some/thing").decode()
    asked = run.spans.one(service="client")
    answered = run.spans.one(service="server")
    assert (asked.kind, answered.kind) == (CLIENT, SERVER)
    assert answered.trace_id == asked.trace_id and answered.parent_id == asked.span_id
    assert re.fullmatch(f"00-{asked.trace_id}-({asked.span_id}|{answered.span_id})-03", seen)
    version = "2" if server == "node" else "1.1"
    for span in (asked, answered):
        assert span["network.protocol.version"] == version
        assert span["http.response.status_code"] == 200
        assert span["server.address"] == "localhost" and span["server.port"] == port
        assert span["network.peer.address"] == "127.0.0.1"
    assert asked["url.full"] == f"https://localhost:{port}/some/thing"
    assert answered["url.scheme"] == "https" and answered["url.path"] == "/some/thing"


@pytest.mark.parametrize("server,client", LARGE)
def test_large_bodies_are_what_they_were(run, certificates, server, client):
    file, body = content(run, paths.scale(4 << 20, 64 << 20) + 1)
    port = SERVERS[server](run, certificates)
    assert ask(run, certificates, client, port, "/echo", file) == body
    asked, answered = run.spans.one(service="client"), run.spans.one(service="server")
    assert answered.parent_id == asked.span_id


@pytest.mark.parametrize("proxy,client", PROXIED)
def test_a_proxy_between_two_connections_by_tls(run, certificates, proxy, client):
    """What comes by HTTP/2 goes on by HTTP/1.1; the large body passes in both directions."""
    up = SERVERS["asyncio"](run, certificates)
    port = tls_servers.PROXIES[proxy](run, certificates, up, name="proxy")
    file, body = content(run, paths.scale(2 << 20, 64 << 20) + 1)
    assert ask(run, certificates, client, port, "/large", file) == body
    seen = ask(run, certificates, client, port, "/small").decode()
    assert re.fullmatch(f"00-{run.spans.one(service='client', path='/small').trace_id}-[0-9a-f]{{16}}-03", seen)
    for path in ("/small", "/large"):
        asked = run.spans.one(service="client", path=path)
        came = run.spans.one(service="proxy", kind=SERVER, path=path)
        passed = run.spans.one(service="proxy", kind=CLIENT, path=path)
        answered = run.spans.one(service="server", path=path)
        assert came["network.protocol.version"] == ("1.1" if client in HTTP_1 else "2")
        assert came.parent_id == asked.span_id and answered.parent_id == passed.span_id
        assert passed.link == "header" and passed.parent_id == came.span_id
        assert len({s.trace_id for s in (asked, came, passed, answered)}) == 1


def test_a_tunnel_in_the_middle_is_transparent(run, certificates):
    """curl in clear text, stunnel, gunicorn: it carries HTTP, and has the spans of what it carries."""
    up = SERVERS["gunicorn"](run, certificates)
    port = tls_servers.stunnel(run, certificates, up, client=True)
    file, body = content(run, 1 << 20)
    url = f"http://localhost:{port}"
    assert run.call(["curl", "-sS", "--data-binary", f"@{file}", f"{url}/echo"], "client").out == body
    seen = run.call(["curl", "-sS", f"{url}/seen"], "client").out.decode()
    asked = run.spans.one(service="client", path="/seen")
    answered = run.spans.one(service="server", path="/seen")
    assert seen.count("-") == 3 and seen[3:35] == asked.trace_id == answered.trace_id
    for path in ("/seen", "/echo"):
        asked = run.spans.one(service="client", path=path)
        answered = run.spans.one(service="server", path=path)
        came = run.spans.one(service="stunnel", kind=SERVER, path=path)
        passed = run.spans.one(service="stunnel", kind=CLIENT, path=path)
        assert came.parent_id == asked.span_id and passed.parent_id == came.span_id
        assert answered.parent_id == passed.span_id


def test_a_tunnel_that_takes_tls_off(run, certificates, upstream):
    port = tls_servers.stunnel(run, certificates, upstream.port)
    for n in range(3):
        ask(run, certificates, "curl", port, f"/{n}")
    for n in range(3):
        asked = run.spans.one(service="client", path=f"/{n}")
        came = run.spans.one(service="stunnel", kind=SERVER, path=f"/{n}")
        assert came.parent_id == asked.span_id
    assert [len(r.all("traceparent")) for r in upstream.received] == [1] * 3


# ---- gRPC ----
def grpc_calls(run, program, port, calls, name="client", **more):
    r = run.call([*program, port], name, input=json.dumps(calls).encode(), **more)
    return json.loads(r.out)


CALLS = [{"method": "Unary", "size": 20_000},
         {"method": "Bidi", "kind": "bidi", "size": 40_000, "count": 30}]


def check_answers(got):
    assert [g["code"] for g in got] == ["OK", "OK"], got
    assert got[0]["sum"] == digest(grpc_body(20_000))
    assert got[1]["sum"] == digest(grpc_body(40_000)[::-1] * 30)


@pytest.mark.parametrize("server,client", GRPC)
def test_grpc(run, certificates, server, client):
    """grpc-js by Node's OpenSSL; Debian's grpcio, whose core writes, by the system's."""
    js = ["node", SERVICES / "grpc_peer.js", install()]
    start = {"node": [*js, "serve"], "python": [paths.PYTHON, SERVICES / "grpc_service.py"]}
    call = {"node": [*js, "call"], "python": [paths.PYTHON, SERVICES / "grpc_client.py"]}
    port = free_port()
    env = {"TLS_FOLDER": certificates.folder}
    run.start([*start[server], port], "service", port=port, env=env)
    check_answers(grpc_calls(run, call[client], port, CALLS, env=env))
    for name in ("Unary", "Bidi"):
        asked, answered = (run.spans.one(service=s, where=lambda s: s.name.endswith(name))
                           for s in ("client", "service"))
        assert answered.parent_id == asked.span_id and answered.trace_id == asked.trace_id
        for span in (asked, answered):
            assert span["rpc.method"] == f"test.Echo/{name}"
            assert span["server.address"] == "localhost" and span["server.port"] == port


def test_grpc_by_boringssl_is_as_without_us(run, certificates):
    """PyPI's grpcio has BoringSSL inside, which is not followed: nothing is seen, nothing is other."""
    python, port, env = pypi.install(), free_port(), {"TLS_FOLDER": certificates.folder}
    run.start([python, SERVICES / "grpc_service.py", port], "service", port=port, env=env)
    check_answers(grpc_calls(run, [python, SERVICES / "grpc_client.py"], port, CALLS, env=env))
    assert not run.spans.select()
