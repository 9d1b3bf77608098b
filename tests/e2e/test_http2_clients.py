# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients of HTTP/2: each request is one client span and carries exactly one traceparent
with that span's id; all else that arrives is what arrives without the library."""
import hashlib
import json
import random

import pytest
from h2.settings import SettingCodes

from harness import paths
from harness.conventions import check_client
from harness.http2 import Recorder, Reply
from harness.paths import SERVICES, scale
from harness.spans import CLIENT, ERROR, UNSET
from harness.wait import wait_for

PY = paths.PYTHON
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HTTPX = ("import httpx,sys\n"
         "with httpx.Client(http1=False, http2=True) as c:\n"
         "  for _ in range({n}):\n"
         "    r = c.request('{m}', sys.argv[1], content={data})\n"
         "    print(r.status_code, r.http_version)")
NODE = ("const s = require('http2').connect(new URL(process.argv[1]).origin);"
        "const u = new URL(process.argv[1]); let left = {n};"
        "for (let i = 0; i < {n}; i++) {{"
        "const r = s.request({{':path': u.pathname + u.search, ':method': '{m}'}});"
        "r.resume(); r.on('end', () => --left || s.close()); r.end({data}) }}")

# name: (method, requests, command without the url)
CLIENTS = {
    "curl": ("GET", 1, ["curl", "-sS", "--http2-prior-knowledge"]),
    "curl post": ("POST", 1, ["curl", "-sS", "--http2-prior-knowledge", "-d", "@{file}"]),
    "curl put": ("PUT", 1, ["curl", "-sS", "--http2-prior-knowledge", "-T", "{file}"]),
    "curl head": ("HEAD", 1, ["curl", "-sSI", "--http2-prior-knowledge"]),
    "nghttp": ("GET", 1, ["nghttp", "-n"]),
    "nghttp many": ("GET", 20, ["nghttp", "-n", "-m", "20"]),
    "nghttp post": ("POST", 1, ["nghttp", "-n", "-d", "{file}"]),
    "nghttp padded": ("GET", 1, ["nghttp", "-n", "--padding=100"]),
    "nghttp small tables": ("GET", 5, ["nghttp", "-n", "-m", "5", "-c", "0", "--encoder-header-table-size=0"]),
    "httpx": ("GET", 1, [PY, "-c", HTTPX.format(n=1, m="GET", data=None)]),
    "httpx kept": ("POST", 10, [PY, "-c", HTTPX.format(n=10, m="POST", data="b'x' * 70000")]),
    "node": ("GET", 1, ["node", "-e", NODE.format(n=1, m="GET", data="")]),
    "node many": ("POST", 50, ["node", "-e", NODE.format(n=50, m="POST", data="'x'.repeat(3000)")]),
}


@pytest.fixture
def recorder():
    made = []

    def make(*args, **kw):
        made.append(Recorder(*args, **kw))
        return made[-1]
    yield make
    for r in made:
        r.close()


@pytest.fixture(params=list(CLIENTS))
def client(request, run):
    method, n, cmd = CLIENTS[request.param]
    file = run.tmp / "upload"
    file.write_bytes(random.Random(3).randbytes(150_000))
    return method, n, [c.replace("{file}", str(file)) for c in cmd]


def test_one_span_and_one_traceparent_a_request(run, recorder, client):
    method, n, cmd = client
    server = recorder()
    url = f"http://127.0.0.1:{server.port}/some/thing?q=1"
    run.call(cmd + [url], "client")
    assert len(server.received) == n
    spans = run.spans.wait(n, service="client")
    assert len(spans) == n
    by_id = {s.span_id: s for s in spans}
    for r in server.received:
        trace, span, flags = r.context()
        s = by_id.pop(span)
        check_client(s, method, url, port=server.port, version="2", link="none")
        assert (s.trace_id, s.flags & 0xff) == (trace, flags) and flags & 1
        assert s.name == f"{method} /some/thing"


def normal(received, port):
    fields = [(n, v.replace(str(port), "PORT")) for n, v in received.without_trace_headers()]
    return fields, received.body, received.trailers


def test_the_server_sees_otherwise_the_same(run, recorder, client):
    _, n, cmd = client
    server = recorder(lambda r: Reply(b"always the same"))
    url = f"http://127.0.0.1:{server.port}/some/thing?q=1"
    bare = run.call(cmd + [url], traced=False)
    traced = run.call(cmd + [url], "client")
    assert len(server.received) == 2 * n
    assert [normal(r, server.port) for r in server.received[:n]] == \
        [normal(r, server.port) for r in server.received[n:]]
    assert all(not r.all("traceparent") for r in server.received[:n])
    assert bare.out == traced.out and bare.status == traced.status


@pytest.mark.parametrize("status", [204, 304, 404, 500])
def test_statuses(run, recorder, status):
    server = recorder(lambda r: Reply(b"", status))
    url = f"http://127.0.0.1:{server.port}/"
    run.call(["curl", "-sS", "--http2-prior-knowledge", url], "client")
    check_client(run.spans.one(), url=url, status=status, version="2", port=server.port)


def test_a_context_of_the_programs_own_stays(run, recorder):
    server = recorder()
    run.call(["curl", "-sS", "--http2-prior-knowledge", "-H", f"traceparent: 00-{TRACE}-{SPAN}-01",
              f"http://127.0.0.1:{server.port}/"], "client")
    assert server.received[0].context() == (TRACE, SPAN, 1)
    assert not run.spans.select()


def test_many_requests_by_one_connection(run, recorder):
    """What goes into the tables of both sides is what would have without us."""
    server = recorder(lambda r: Reply(r.path.encode() * 50))
    n = scale(150, 2000)
    code = ("import httpx,sys\n"
            "with httpx.Client(http1=False, http2=True, headers={'x-always': 'the same'}) as c:\n"
            f"  for i in range({n}):\n"
            "    r = c.get(sys.argv[1] + f'/{i}', headers={'x-new': f'{i:0100}'})\n"
            "    assert r.content == f'/{i}'.encode() * 50")
    run.call([PY, "-c", code, f"http://127.0.0.1:{server.port}"], "client")
    assert server.connections == 1
    spans = {s.span_id: s for s in run.spans.wait(n)}
    for i, r in enumerate(server.received):
        assert spans.pop(r.context()[1]).path == r.path == f"/{i}"
        assert r.all("x-always") == ["the same"] and r.all("x-new") == [f"{i:0100}"]


def test_a_block_of_many_frames_is_not_broken(run, recorder):
    """It may be too long for a header of ours."""
    server = recorder()
    run.call(["nghttp", "-n", "--continuation", f"http://127.0.0.1:{server.port}/"], "client")
    r, = server.received
    assert len(r.all("traceparent")) <= 1
    assert sum(len(v) for n, v in r.headers if n.startswith("continuation-test")) > 16000
    span = run.spans.one()
    assert not r.all("traceparent") or r.context()[1] == span.span_id


@pytest.mark.parametrize("settings", [{}, {SettingCodes.MAX_FRAME_SIZE: 16384, SettingCodes.HEADER_TABLE_SIZE: 0},
                                      {SettingCodes.MAX_HEADER_LIST_SIZE: 4000}],
                         ids=["usual", "no table", "short lists"])
def test_node_with_100_streams_of_random_sizes(run, recorder, settings):
    chance = random.Random(11)
    server = recorder(lambda r: Reply(r.body[::-1], trailers=[("x-path", r.path)]), settings=settings,
                      rcvbuf=8192)
    wanted = [{"method": "POST", "path": f"/r/{i}", "size": chance.randrange(60_000)} for i in range(100)]
    got = node(run, server, wanted)
    spans = {s.span_id: s for s in run.spans.wait(100)}
    assert len(spans) == len(server.received) == 100
    for i, (w, r) in enumerate(zip(wanted, got)):
        body = bytes((n * 31 + i * 7) & 255 for n in range(w["size"]))[::-1]
        assert r["status"] == 200 and r["bytes"] == len(body)
        assert r["sum"] == hashlib.sha256(body).hexdigest()
        assert r["trailers"]["x-path"] == w["path"]
    for r in server.received:
        s = spans[r.context()[1]]
        check_client(s, "POST", port=server.port, version="2", link="none", host="127.0.0.1")
        assert s.path == r.path


def node(run, server, wanted, service="client"):
    r = run.call(["node", SERVICES / "h2_client.js", server.port], service,
                 input=json.dumps(wanted).encode())
    return json.loads(r.out)


def test_h2load_with_100_streams(run, recorder):
    n = scale(1500, 20000)
    server = recorder(lambda r: Reply(b"x" * 100))
    out = run.call(["h2load", "-n", n, "-c", "1", "-m", "100", "-t", "1",
                    f"http://127.0.0.1:{server.port}/"], "client", timeout=120).out.decode()
    assert f"{n} succeeded, 0 failed, 0 errored" in out and f"({n * 100}) data" in out, out
    spans = run.spans.wait(n)
    assert len(spans) == n
    assert {s.span_id for s in spans} == {r.context()[1] for r in server.received}


# -- answers that are not ordinary --

def test_interim_answers_and_trailers(run, recorder):
    server = recorder(lambda r: Reply(b"late", interim=[(103, [("link", "</a>")]), (103, [])],
                                      trailers=[("x-sum", "1")]))
    r, = node(run, server, [{"path": "/"}])
    assert r["status"] == 200 and r["interim"] == [103, 103] and r["trailers"]["x-sum"] == "1"
    check_client(run.spans.one(), port=server.port, version="2", status=200)


def test_a_push_is_no_request_of_ours(run, recorder):
    server = recorder(lambda r: Reply(b"asked", push=("/pushed", b"z" * 30_000)))
    r, = node(run, server, [{"path": "/asked"}])
    assert r["status"] == 200 and r["pushed"] == 1 and r["bytes"] == 5
    check_client(run.spans.one(), port=server.port, version="2", status=200)


def test_a_stream_that_the_server_resets(run, recorder):
    """Before and after the head of the answer; the other streams go on."""
    def answer(r):
        if r.path == "/before":
            return Reply(reset=2, status=None)
        return Reply(b"half", reset=2) if r.path == "/after" else Reply(b"whole")
    server = recorder(answer)
    got = node(run, server, [{"path": p} for p in ("/before", "/whole", "/after")])
    assert [r.get("status") for r in got] == [None, 200, 200]
    assert [r.get("code") for r in got] == [2, 0, 2]
    spans = {s.path: s for s in run.spans.wait(3)}
    assert spans["/whole"].status == UNSET
    for p in ("/before", "/after"):
        assert spans[p].status == ERROR and spans[p]["error.type"], spans[p]
    assert "http.response.status_code" not in spans["/before"].attributes


def test_a_stream_that_the_client_gives_up(run, recorder):
    server = recorder(lambda r: Reply(b"never ends", open_end=r.path == "/given-up"))
    got = node(run, server, [{"path": "/given-up", "cancel": True}, {"path": "/whole"}])
    assert [r["status"] for r in got] == [200, 200] and got[0]["code"] == 8
    spans = {s.path: s for s in run.spans.wait(2)}
    assert len(spans) == 2
    assert spans["/given-up"]["http.response.status_code"] == 200
    check_client(spans["/whole"], port=server.port, version="2")


def test_goaway_of_the_server(run, recorder):
    """What it has answered stands."""
    server = recorder(lambda r: Reply(b"there", goaway=True))
    for _ in range(3):
        run.call(["curl", "-sS", "--http2-prior-knowledge", f"http://127.0.0.1:{server.port}/"], "client")
    run.call(["nghttp", "-n", f"http://127.0.0.1:{server.port}/"], "client")
    spans = run.spans.wait(4)
    assert len(spans) == len(server.received) == 4
    assert {r.context()[1] for r in server.received} == {s.span_id for s in spans}
    for s in spans:
        check_client(s, port=server.port, version="2")


def test_a_connection_that_ends_within(run, recorder):
    server = recorder(lambda r: Reply(b"half", open_end=True))
    p = run.start(["curl", "-sS", "--http2-prior-knowledge", f"http://127.0.0.1:{server.port}/"],
                  "client")
    wait_for(lambda: server.received and server.open, what="the request")
    for s in list(server.open):
        s.shutdown(2)
    assert p.wait() != 0
    span = run.spans.one(kind=CLIENT)
    assert span.status == ERROR and span["error.type"] in ("connection_closed", "connection_reset")


def test_a_tunnel_carries_no_context(run, recorder):
    server = recorder(lambda r: Reply(b"out of it", trailers=None))
    got = node(run, server, [{"method": "CONNECT", "authority": "far.test:443"}, {"path": "/beside"}])
    assert got[0]["status"] == 200 and got[0]["bytes"] == 9
    tunnel, = [r for r in server.received if r.header(":method") == "CONNECT"]
    beside, = [r for r in server.received if r.header(":method") == "GET"]
    assert not tunnel.all("traceparent") and beside.context()
    span = run.spans.one(where=lambda s: s["http.request.method"] == "GET")
    check_client(span, port=server.port, version="2")


# -- upgrades --

def test_an_upgrade_from_http_1_1(run, recorder):
    server = recorder(lambda r: Reply(b"up"))
    base = f"http://127.0.0.1:{server.port}"
    out = run.call(["curl", "-sS", "--http2", "-w", " %{http_version} ", f"{base}/1"], "client").out
    assert out == b"up 2 "
    assert len(server.upgrades) == 1
    span = run.spans.one()
    assert server.received[0].context()[:2] == (span.trace_id, span.span_id)
    check_client(span, url=f"{base}/1", port=server.port, version=span["network.protocol.version"])


def test_more_requests_follow_an_upgrade(run, recorder):
    """nghttp asks by HTTP/1.1, and goes on as HTTP/2."""
    server = recorder(lambda r: Reply(b"up"))
    run.call(["nghttp", "-n", "-u", "-m", "4", f"http://127.0.0.1:{server.port}/x"], "client")
    assert len(server.received) == 4 and len(server.upgrades) == 1
    spans = {s.span_id: s for s in run.spans.wait(4)}
    assert {r.context()[1] for r in server.received} == set(spans)
    assert all(s["http.response.status_code"] == 200 for s in spans.values())


def test_an_upgrade_that_is_refused(run, upstream):
    out = run.call(["curl", "-sS", "--http2", "-w", " %{http_version}", "-o", "/dev/null",
                    f"http://127.0.0.1:{upstream.port}/1"], "client").out
    assert out == b" 1.1"
    check_client(run.spans.one(), port=upstream.port, version="1.1")
    assert upstream.received[0].context()[1] == run.spans.all[0].span_id


# -- how it is written --

SLOW = """
import socket, sys
from h2.connection import H2Connection
port, piece, buffer = map(int, sys.argv[1:])
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
s.connect(("127.0.0.1", port))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
h = H2Connection()
h.initiate_connection()
left, whole = set(), b""
for i in range(20):
    n = h.get_next_available_stream_id()
    h.send_headers(n, [(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", f"/{i}")])
    h.send_data(n, b"%d" % i * 300, end_stream=True)
    left.add(n)
data = h.data_to_send()
for at in range(0, len(data), piece):
    s.sendall(data[at:at + piece])
while left:
    got = s.recv(100)
    assert got
    for e in h.receive_data(got):
        if type(e).__name__ == "StreamEnded":
            left.discard(e.stream_id)
    s.sendall(h.data_to_send())
print("done")
"""


@pytest.mark.parametrize("piece", [1, 7, 100, 5000, 1 << 20])
def test_requests_in_pieces(run, recorder, piece):
    """A block that is not whole in the bytes at hand may go without context: never a wrong one."""
    server = recorder(lambda r: Reply(r.body))
    run.call([PY, "-c", SLOW, server.port, piece, 4096], "client")
    assert len(server.received) == 20
    for i, r in enumerate(sorted(server.received, key=lambda r: int(r.path[1:]))):
        assert r.body == b"%d" % i * 300 and r.path == f"/{i}"
    spans = {s.span_id: s for s in run.spans.wait(20)}
    assert len(spans) == 20
    carried = [r for r in server.received if r.all("traceparent")]
    for r in carried:
        assert spans[r.context()[1]].path == r.path
    assert piece < 1000 or len(carried) == 20, len(carried)


def test_a_server_that_reads_slowly(run, recorder):
    """The windows are full, and the socket's buffer: every byte arrives."""
    server = recorder(lambda r: Reply(hashlib.sha256(r.body).digest()), rcvbuf=4096)
    file = run.tmp / "big"
    file.write_bytes(random.Random(5).randbytes(3_000_000))
    out = run.call(["curl", "-sS", "--http2-prior-knowledge", "-T", file,
                    f"http://127.0.0.1:{server.port}/"], "client").out
    assert out == hashlib.sha256(file.read_bytes()).digest()
    assert server.received[0].context()[1] == run.spans.one().span_id


def test_frames_of_two_threads(run, recorder):
    """Two threads of a program, each with its own client."""
    server = recorder(lambda r: Reply(r.body))
    code = ("import httpx,sys,threading\n"
            "def work(k):\n"
            "  with httpx.Client(http1=False, http2=True) as c:\n"
            "    for i in range(25):\n"
            "      body = b'%d' % i * 999\n"
            "      assert c.post(sys.argv[1] + f'/{k}/{i}', content=body).content == body\n"
            "ts = [threading.Thread(target=work, args=(k,)) for k in range(4)]\n"
            "[t.start() for t in ts]; [t.join() for t in ts]; print('done')")
    assert run.call([PY, "-c", code, f"http://127.0.0.1:{server.port}"], "client").out == b"done\n"
    spans = {s.span_id: s for s in run.spans.wait(100)}
    assert len(spans) == len(server.received) == 100
    for r in server.received:
        assert spans[r.context()[1]].path == r.path
