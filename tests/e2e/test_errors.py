# SPDX-License-Identifier: Apache-2.0
"""How requests end: the status of spans on both sides, and error.type when something went wrong."""
import shutil
import socket
import struct
import subprocess

import pytest

from harness import paths, servers
from harness.ports import free_port
from harness.rawhttp import RawClient, request_bytes
from harness.spans import CLIENT, ERROR, SERVER, UNSET
from harness.wait import wait_for

# path: (status, error.type) of the client's span, then of the server's. The status of the span is
# Error exactly when there is an error.type.
ENDINGS = {
    "ok/100": ((200, None), (200, None)),
    "chunked/3000": ((200, None), (200, None)),
    "until-close/500": ((200, None), (200, None)),
    "http10/500": ((200, None), (200, None)),
    "trickle/20": ((200, None), (200, None)),
    "interim/10": ((200, None), (200, None)),
    "status/201": ((201, None), (201, None)),
    "status/204": ((204, None), (204, None)),
    "status/301": ((301, None), (301, None)),
    "status/304": ((304, None), (304, None)),
    "status/400": ((400, "400"), (400, None)),
    "status/404": ((404, "404"), (404, None)),
    "status/418": ((418, "418"), (418, None)),
    "status/499": ((499, "499"), (499, None)),
    "status/500": ((500, "500"), (500, "500")),
    "status/503": ((503, "503"), (503, "503")),
    "status/599": ((599, "599"), (599, "599")),
    "reset-before": ((None, "connection_reset"), (None, "aborted")),
    "close-before": ((None, "connection_closed"), (None, "aborted")),
    "cut-head": ((None, "connection_closed"), (None, "aborted")),
    "close-mid/5000": ((200, "connection_closed"), (200, "aborted")),
    "close-mid-chunked/5000": ((200, "connection_closed"), (200, "aborted")),
    "garbage": ((None, "_OTHER"), (None, "_OTHER")),
    "both-lengths": ((200, None), (200, None)),
    "extra-bytes": ((200, None), (200, None)),
    "big-header/9000": ((200, None), (200, None)),
    "big-header/60000": ((200, None), (200, None)),
    "many-headers/200": ((200, None), (200, None)),
}
CLIENTS = {
    "curl": ["curl", "-sS", "-m", "20", "-o", "/dev/null", "--http0.9"],
    "http.client": [paths.PYTHON, "-c", """
import http.client, sys, urllib.parse
u = urllib.parse.urlsplit(sys.argv[1])
c = http.client.HTTPConnection(u.netloc, timeout=20)
try:
    c.request("GET", u.path)
    c.getresponse().read()
except (OSError, http.client.HTTPException):
    pass
"""],
}


def odd_server(run, name="server", **options):
    port = free_port()
    run.start([paths.PYTHON, paths.SERVICES / "odd_server.py", port], name, port=port, **options)
    return port


def outcome(span):
    assert (span.status == ERROR) == ("error.type" in span.attributes), span
    assert span.status in (ERROR, UNSET) and span.message == "", span
    return span.get("http.response.status_code"), span.get("error.type")


@pytest.mark.parametrize("client", CLIENTS)
def test_every_ending_seen_from_both_sides(run, client):
    port = odd_server(run)
    seen = {}
    # http.client takes a 103 for the answer and may be gone before the real one comes.
    endings = {p: e for p, e in ENDINGS.items() if client == "curl" or "interim" not in p}
    for path in endings:
        run.call([*CLIENTS[client], f"http://127.0.0.1:{port}/{path}"], "client", check=False)
        c = run.spans.one(service="client", path=f"/{path}")
        s = run.spans.one(service="server", path=f"/{path}")
        assert (s.trace_id, s.parent_id) == (c.trace_id, c.span_id)
        seen[path] = outcome(c), outcome(s)
    assert seen == endings


def released(port):
    with RawClient(port) as c:
        c.request("/release")


def test_a_reset_in_the_middle_of_a_body(run):
    port = odd_server(run)
    script = """
import socket, sys, urllib.request
r = urllib.request.urlopen(sys.argv[1] + "reset-mid/8000")
r.read(4000)
urllib.request.urlopen(sys.argv[1] + "release").read()
try:
    r.read()
except OSError as e:
    print(type(e).__name__)
"""
    out = run.call([paths.PYTHON, "-c", script, f"http://127.0.0.1:{port}/"], "client").out
    assert out == b"ConnectionResetError\n"
    assert outcome(run.spans.one(service="client", path="/reset-mid/8000")) == (200, "connection_reset")
    assert outcome(run.spans.one(service="server", path="/reset-mid/8000")) == (200, "aborted")


# ---- requests that are refused before they are whole ----
def test_an_answer_that_comes_before_the_body_is_sent(run):
    port = odd_server(run)
    run.call(["curl", "-sS", "-o", "/dev/null", "-H", "Expect:", "--data-binary", "@-",
              f"http://127.0.0.1:{port}/refuse/413"], "client", input=b"x" * 3000000, check=False)
    assert outcome(run.spans.one(service="client")) == (413, "413")
    assert outcome(run.spans.one(service="server")) == (413, None)


def test_a_reset_while_the_body_is_sent(run):
    port = odd_server(run)
    run.call(["curl", "-sS", "-o", "/dev/null", "-H", "Expect:", "--data-binary", "@-",
              f"http://127.0.0.1:{port}/reset"], "client", input=b"x" * 30000000, check=False)
    assert outcome(run.spans.one(service="client")) == (None, "connection_reset")
    assert outcome(run.spans.one(service="server")) == (None, "aborted")


def test_expectation_that_fails(run):
    port = odd_server(run)
    run.call(["curl", "-sS", "-o", "/dev/null", "-H", "Expect: 100-continue", "--data-binary", "@-",
              f"http://127.0.0.1:{port}/refuse/401"], "client", input=b"x" * 30000, check=False)
    assert outcome(run.spans.one(service="client")) == (401, "401")
    assert outcome(run.spans.one(service="server")) == (401, None)


# ---- clients that do not wait ----
def test_a_client_that_gives_up_waiting(run):
    """It closes the connection itself; nobody can tell from outside that time was the reason."""
    port = odd_server(run)
    r = run.call(["curl", "-sS", "-m", "0.3", f"http://127.0.0.1:{port}/stall"], "client", check=False)
    assert r.status == 28
    assert outcome(run.spans.one(service="client")) == (None, "aborted")
    released(port)
    assert outcome(run.spans.one(service="server", path="/stall")) == (None, "connection_closed")


def test_a_client_that_gives_up_in_the_middle_of_the_answer(run):
    port = odd_server(run)
    run.call(["curl", "-sS", "-m", "0.3", "-o", "/dev/null", f"http://127.0.0.1:{port}/stall-mid/9000"],
             "client", check=False)
    # What came was read, the rest was not wanted: no error of the client's that could be seen.
    status, error = outcome(run.spans.one(service="client"))
    assert status == 200 and error in (None, "aborted")
    released(port)
    assert outcome(run.spans.one(service="server", path="/stall-mid/9000")) == (200, "connection_closed")


def rst(client):
    client.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_clients_of_nginx_that_go_away(run, upstream):
    port = servers.nginx_proxy(run, [upstream.port], name="server")
    upstream.answer = lambda r: hold(upstream)
    for path, leave in (("/closed", RawClient.close), ("/reset", rst)):
        c = RawClient(port)
        c.send(request_bytes(path))
        wait_for(lambda: any(r.path == path for r in upstream.received), 10, "the request upstream")
        leave(c)
        s = run.spans.one(service="server", kind=SERVER, path=path)
        assert outcome(s) == (None, "connection_closed" if path == "/closed" else "connection_reset")
        c = run.spans.one(service="server", kind=CLIENT, path=path)
        assert outcome(c) == (None, "aborted")


async def hold(upstream):
    import asyncio
    await asyncio.sleep(3600)


def test_a_download_that_is_reset(run):
    (run.tmp / "big").write_bytes(b"x" * 30000000)
    port = servers.nginx(run, f"root {run.tmp}; sendfile off;", name="server")
    c = RawClient(port)
    c.send(request_bytes("/big"))
    c._exactly(1000)
    rst(c)
    assert outcome(run.spans.one(service="server")) == (200, "connection_reset")


def test_an_upload_that_stops(run):
    port = odd_server(run)
    c = RawClient(port)
    c.send(request_bytes("/echo", "POST", [("Content-Length", "5000")]) + b"x" * 100)
    c.close()
    assert outcome(run.spans.one(service="server")) == (None, "connection_closed")


def test_a_server_that_answers_nothing(run):
    port = servers.nginx(run, "return 444;", name="server")
    c = RawClient(port)
    c.send(request_bytes("/"))
    assert c.s.recv(100) == b""
    assert outcome(run.spans.one(service="server")) == (None, "aborted")


# ---- several requests on one connection ----
def test_an_answered_and_an_unanswered_request(run):
    port = odd_server(run)
    script = """
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for path in ("/ok/10", "/status/503", "/close-before"):
    c.request("GET", path)
    try:
        c.getresponse().read()
    except http.client.RemoteDisconnected:
        print("gone")
"""
    assert run.call([paths.PYTHON, "-c", script, port], "client").out == b"gone\n"
    got = {s.path: outcome(s) for s in run.spans.wait(3, service="client")}
    assert got == {"/ok/10": (200, None), "/status/503": (503, "503"),
                   "/close-before": (None, "connection_closed")}


def test_pipelined_requests_of_which_one_is_answered(run):
    port = odd_server(run)
    script = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"".join(b"GET /%s HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n" % p for p in (b"ok/5", b"close-before", b"ok/6")))
while s.recv(1000):
    pass
"""
    run.call([paths.PYTHON, "-c", script, port], "client", check=False)
    got = {s.path: outcome(s)[0] for s in run.spans.wait(3, service="client")}
    assert got == {"/ok/5": 200, "/close-before": None, "/ok/6": None}
    assert all(s.status == ERROR for s in run.spans.select(service="client") if s.path != "/ok/5")


def test_a_kept_connection_that_the_server_has_closed(run):
    """The client writes into a closed connection, and asks again on a new one: two spans."""
    script = """
import http.client, socket, sys, threading
answer = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
listener = socket.create_server(("127.0.0.1", 0))
closed = threading.Event()
def serve():
    for _ in range(2):
        s, _ = listener.accept()
        s.recv(1000)
        s.sendall(answer)
        s.close()
        closed.set()
threading.Thread(target=serve, daemon=True).start()
c = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1])
c.request("GET", "/first")
c.getresponse().read()
closed.wait()
try:
    c.request("GET", "/second")
    c.getresponse()
except (http.client.RemoteDisconnected, ConnectionError) as e:
    c.close()
    c.request("GET", "/second")
    c.getresponse().read()
"""
    run.call([paths.PYTHON, "-c", script], "client")
    got = [outcome(s) for s in sorted(run.spans.wait(3, service="client", kind=CLIENT), key=lambda s: s.start)]
    assert got[0] == (200, None) and got[2] == (200, None)
    assert got[1] in ((None, "connection_closed"), (None, "connection_reset"))


def test_a_connection_that_is_refused_is_no_request(run):
    run.call(["curl", "-sS", f"http://127.0.0.1:{free_port()}/"], "client", check=False)
    assert run.spans.select() == []


# ---- streams and upgrades ----
def test_an_event_stream_is_a_span_as_soon_as_it_opens(run):
    port = odd_server(run)
    p = run.start(["curl", "-sSN", f"http://127.0.0.1:{port}/sse/3"], "client")
    p.wait_log("event 2")
    for service, kind in (("client", CLIENT), ("server", SERVER)):
        s = run.spans.one(service=service, kind=kind)
        assert outcome(s) == (200, None)
        assert s.end - s.start < 5e9
    assert p.p.poll() is None
    p.stop()
    released(port)
    assert len(run.spans.select(path="/sse/3")) == 2


def test_an_upgrade_is_a_span_with_101(run):
    port = odd_server(run)
    script = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /upgrade HTTP/1.1\\r\\nHost: h\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n")
s.recv(1000)
for part in (b"GET /not HTTP/1.1\\r\\n\\r\\n", b"bye"):
    s.sendall(part)
    s.recv(1000)
"""
    run.call([paths.PYTHON, "-c", script, port], "client")
    for service in ("client", "server"):
        assert outcome(run.spans.one(service=service, path="/upgrade")) == (101, None)
    assert run.spans.select(path="/not") == []


def test_a_connect_request_and_what_goes_through_the_tunnel(run):
    """The tunnel itself is one request; what is inside belongs to others."""
    port = free_port()
    script = """
import socket, sys
l = socket.create_server(("127.0.0.1", int(sys.argv[1])))
s, _ = l.accept()
s.recv(1000)
s.sendall(b"HTTP/1.1 200 Connection established\\r\\n\\r\\n")
s.recv(1000)
s.sendall(b"HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n")
s.recv(1000)
"""
    run.start([paths.PYTHON, "-c", script, port], "server", port=port)
    run.call(["curl", "-sS", "-p", "-x", f"http://127.0.0.1:{port}", "http://inside.example:81/x"], "client",
             check=False)
    for service in ("client", "server"):
        s = run.spans.one(service=service)
        assert s["http.request.method"] == "CONNECT"
        assert outcome(s) == (200, None)


# ---- time ----
def test_a_peer_that_is_gone_is_a_timeout(run):
    """The kernel gives up (ETIMEDOUT): in a network namespace whose loopback goes down."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode or not shutil.which("ip"):
        pytest.skip("no network namespaces here")
    script = """
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
l = socket.create_server(("127.0.0.1", 8080))
c = socket.create_connection(("127.0.0.1", 8080))
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
c.sendall(b"GET /far HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
try:
    c.recv(100)
except TimeoutError as e:
    print(e.errno)
"""
    out = run.call(["unshare", "-rn", paths.PYTHON, "-c", script], "client").out
    assert out == b"110\n"
    assert outcome(run.spans.one(service="client", path="/far")) == (None, "timeout")
