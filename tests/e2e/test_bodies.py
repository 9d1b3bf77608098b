# SPDX-License-Identifier: Apache-2.0
"""Bodies arrive byte for byte: sizes from nothing to 64 MiB, with a length and chunked, through tiny
socket buffers, to slow readers, written and read edge-triggered."""
import random
import threading

import pytest

from harness import paths, servers
from harness.paths import scale
from harness.ports import free_port
from harness.rawhttp import RawClient, request_bytes
from harness.spans import CLIENT, SERVER
from harness.upstream import Raw

MIB = 1 << 20
SEED = 20260820
EDGES = [0, 1, 2, 55, 71, 72, 73, 127, 128, 1023, 1024, 4095, 4096, 4097, 8191, 8192, 16383, 16384,
         16385, 65535, 65536, 65537]


def random_sizes(n, most):
    r = random.Random(SEED)
    return [int(2 ** r.uniform(0, most.bit_length() - 1)) for _ in range(n)]


SIZES = EDGES + random_sizes(scale(15, 100), 4 * MIB) + [scale(6 * MIB, 64 * MIB)]


def bytes_of(n):
    return random.Random(n).randbytes(n)


def in_chunks(body, seed):
    """The body as chunks of random sizes, with an extension and a trailer now and then."""
    r, at, out = random.Random(seed), 0, []
    most = max(len(body) // 20, 20)
    while at < len(body):
        part = body[at:at + r.randrange(1, most + 1)]
        ext = b";a=b" if r.random() < .1 else b""
        out.append(b"%x%s\r\n%s\r\n" % (len(part), ext, part))
        at += len(part)
    out.append(b"0\r\n" + (b"X-Trailer: 1\r\n" if r.random() < .3 else b"") + b"\r\n")
    return b"".join(out)


def echo(request):
    """The body goes back, chunked when the path says so."""
    if "chunked" in request.path:
        return Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + in_chunks(request.body, len(request.body)), keep=True)
    if "close" in request.path:
        return Raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + request.body)
    return request.body


def send_with(client, body, chunked, path):
    """Sends from a second thread, so that an answer that starts early cannot block both sides."""
    if chunked:
        data = request_bytes(path, "POST", [("Transfer-Encoding", "chunked")]) + \
            in_chunks(body, len(body) + 1)
    else:
        data = request_bytes(path, "POST", [("Content-Length", str(len(body)))], body)
    t = threading.Thread(target=client.send, args=(data,))
    t.start()
    answer = client.read_response()
    t.join(20)
    return answer


RELAYS = {
    "nginx": lambda run, up: servers.nginx_proxy(
        run, [up], extra="client_max_body_size 0; proxy_request_buffering on;"),
    "nginx unbuffered": lambda run, up: servers.nginx_proxy(
        run, [up], extra="client_max_body_size 0; proxy_request_buffering off; "
        "proxy_buffering off; proxy_buffer_size 1k;"),
    "nginx small buffers": lambda run, up: servers.nginx_proxy(
        run, [up], extra="client_max_body_size 0; proxy_request_buffering off; "
        "client_body_buffer_size 1k; proxy_buffers 4 1k; proxy_buffer_size 1k; "
        "proxy_busy_buffers_size 2k; sendfile off;"),
    "haproxy": lambda run, up: servers.haproxy(run, [up]),
    "haproxy small buffers": lambda run, up: servers.haproxy(
        run, [up], main="nbthread 1\n\ttune.rcvbuf.client 4096\n\ttune.sndbuf.client 4096\n\t"
        "tune.rcvbuf.server 4096\n\ttune.sndbuf.server 4096\n\ttune.bufsize 4096"),
    "haproxy splice": lambda run, up: servers.haproxy(run, [up], defaults="option splice-auto"),
    "apache": lambda run, up: servers.apache_proxy(run, [up]),
    "node": lambda run, up: servers.node(run, "pipe.js", up),
}


@pytest.mark.parametrize("form", ["length", "chunked", "until close"])
@pytest.mark.parametrize("relay", RELAYS)
def test_through_a_relay(run, upstreams, relay, form):
    up = upstreams(echo)
    port = RELAYS[relay](run, up.port)
    path = {"length": "/length", "chunked": "/chunked", "until close": "/close"}[form]
    client = None
    sizes = SIZES + [64 * MIB] if form == "length" else SIZES
    if relay == "haproxy small buffers":
        sizes = [n for n in sizes if n <= 20000]    # such windows are slow by themselves
    for size in sizes:
        body = bytes_of(size)
        client = client or RawClient(port, timeout=60)
        answer = send_with(client, body, form == "chunked", path)
        assert answer.status == 200, (size, answer.head)
        assert answer.body == body, f"{size} bytes came back as {len(answer.body)}, or changed"
        assert up.received[-1].body == body
        up.received[-1].context()
        if (answer.header("Connection") or "").lower() == "close" or form == "until close":
            client.close()
            client = None
    run.spans.wait(len(sizes), kind=SERVER)
    run.spans.wait(len(sizes), kind=CLIENT)
    assert len(run.spans.all) == 2 * len(sizes)


@pytest.mark.parametrize("relay", ["nginx unbuffered", "haproxy small buffers", "node"])
def test_tiny_client_buffers_and_a_slow_reader(run, upstreams, relay):
    up = upstreams(echo)
    port = RELAYS[relay](run, up.port)
    for size in (1, 5000, 300000):
        body = bytes_of(size)
        with RawClient(port, timeout=60, rcvbuf=2048, sndbuf=2048) as c:
            data = request_bytes("/length", "POST", [], body)
            t = threading.Thread(target=lambda: [c.s.sendall(data[i:i + 700])
                                                 for i in range(0, len(data), 700)])
            t.start()
            r = c.read_response()
            t.join()
            assert r.body == body
    run.spans.wait(6)


@pytest.mark.parametrize("form", ["length", "chunked", "close"])
@pytest.mark.parametrize("program", ["curl", "requests", "node"])
def test_a_client_downloads(run, upstreams, program, form):
    sizes = SIZES if program == "curl" else SIZES[::4] + [64 * MIB]

    def answer(request):
        body = bytes_of(int(request.path.split("/")[2]))
        if form == "chunked":
            return Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       + in_chunks(body, 7), keep=True)
        return Raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body) \
            if form == "close" else body
    up = upstreams(answer)
    urls = [f"http://127.0.0.1:{up.port}/n/{n}" for n in sizes]
    out = run.tmp / "out"
    out.mkdir()
    if program == "curl":
        cmd = ["curl", "-sS"] + [a for i, u in enumerate(urls) for a in ("-o", f"{out}/{i}", u)]
    elif program == "requests":
        cmd = [paths.PYTHON, "-c", "import requests,sys\ns = requests.Session()\n"
               "for i, u in enumerate(sys.argv[2:]):\n"
               "  open(f'{sys.argv[1]}/{i}', 'wb').write(s.get(u).content)", out, *urls]
    else:
        cmd = ["node", "-e", "(async () => { let i = 0; for (const u of process.argv.slice(2))"
               "require('fs').writeFileSync(process.argv[1] + '/' + i++, "
               "Buffer.from(await (await fetch(u)).arrayBuffer())) })()", out, *urls]
    run.call(cmd, "client", timeout=120)
    for i, n in enumerate(sizes):
        file = out / str(i)
        got = file.read_bytes() if file.exists() else b""   # curl makes no file of nothing
        assert got == bytes_of(n), n
    assert len(run.spans.wait(len(sizes), kind=CLIENT)) == len(sizes)
    assert len({r.context()[1] for r in up.received}) == len(sizes)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("program", ["curl", "requests", "node"])
def test_a_client_uploads(run, upstreams, program, chunked):
    up = upstreams(lambda r: b"ok")
    sizes = [n for n in SIZES[::3] if n] + [64 * MIB]
    files = []
    for n in sizes:
        files.append(run.tmp / f"up{n}")
        files[-1].write_bytes(bytes_of(n))
    url = f"http://127.0.0.1:{up.port}/u"
    for file in files:
        if program == "curl":
            cmd = ["curl", "-sS", "-T", file, *(["-H", "Transfer-Encoding: chunked"] if chunked
                                                else []), url]
        elif program == "requests":
            data = "iter(lambda: f.read(70000), b'')" if chunked else "f"
            cmd = [paths.PYTHON, "-c", "import requests,sys\nf = open(sys.argv[1], 'rb')\n"
                   f"requests.put(sys.argv[2], data={data}).raise_for_status()", file, url]
        else:
            length = "" if chunked else ", headers: {'Content-Length': fs.statSync(f).size}"
            cmd = ["node", "-e", "const fs = require('fs'), f = process.argv[1];"
                   "fs.createReadStream(f).pipe(require('http').request(process.argv[2], "
                   f"{{ method: 'PUT'{length} }}, (r) => r.resume()))", file, url]
        run.call(cmd, "client", timeout=60)
    assert [len(r.body) for r in up.received] == sizes
    for n, r in zip(sizes, up.received):
        assert r.body == bytes_of(n), n
        r.context()
    run.spans.wait(len(sizes), kind=CLIENT)


@pytest.mark.parametrize("piece", [1, 7, 64, 100, 1000, 4096, 65536])
@pytest.mark.parametrize("how", ["drain", "short"])
def test_an_edge_triggered_client(run, upstreams, victim, how, piece):
    up = upstreams(lambda r: Raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + r.body))
    program = victim("edge_client")
    sizes = [n for n in EDGES + [300000] if n <= 400 * piece]
    for n in sizes:
        body = bytes_of(n)
        request, answer = run.tmp / "request", run.tmp / "answer"
        request.write_bytes(request_bytes(f"/e/{n}", "POST", [("Content-Length", str(n))], body))
        run.call([program, up.port, request, answer, how, piece, 2048, 2048], "client")
        assert answer.read_bytes() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body
        assert up.received[-1].body == body
        data = request.read_bytes()
        if (data.index(b"\r\n\r\n") + 3) % piece:
            up.received[-1].context()
        else:   # a call ends inside the blank line: its \r has left when the head is known whole
            assert len(up.received[-1].all("traceparent")) <= 1
        assert up.received[-1].without_trace_headers() + body == data
    assert len(run.spans.wait(len(sizes), kind=CLIENT)) == len(sizes)


@pytest.mark.parametrize("inbound", ["auto", "on", "off"])
@pytest.mark.parametrize("piece", [1, 30, 72, 73, 100, 144, 1000, 65536])
@pytest.mark.parametrize("how", ["drain", "short"])
def test_an_edge_triggered_server(run, victim, how, piece, inbound):
    """The server sends each request back, so what it was given is seen: the request itself, with
    at most one traceparent more, which is then its server span's."""
    port = free_port()
    run.traced([victim("edge_server"), port, how, piece, 4096, 4096], "server", port=port,
               env={"TAGALONG_INBOUND_HEADER": inbound})
    sizes = [n for n in EDGES + [300000] if n <= 1500 * piece]
    given = {}
    for context in (False, True):
        with RawClient(port, timeout=30) as c:
            for n in sizes:
                trace, span = f"{n + 1:032x}", f"{n + 1:016x}"
                headers = [("traceparent", f"00-{trace}-{span}-01")] if context else []
                data = request_bytes(f"/e/{n}/{context}", "POST",
                                     headers + [("Content-Length", str(n))], bytes_of(n))
                c.send(data)
                echoed = c.read_response().body
                head, _, body = echoed.partition(b"\r\n\r\n")
                assert body == bytes_of(n), (n, context)
                lines = head.split(b"\r\n")
                theirs = [h for h in lines if h.lower().startswith(b"traceparent:")]
                rest = [h for h in lines if h not in theirs]
                sent = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
                assert rest == [h for h in sent if not h.lower().startswith(b"traceparent:")]
                assert len(theirs) <= 1
                if inbound == "off":
                    assert lines == sent
                elif inbound == "on" and context:
                    assert len(theirs) == 1
                given[f"/e/{n}/{context}"] = theirs[0].decode() if theirs else ""
    spans = run.spans.wait(2 * len(sizes), service="server", kind=SERVER)
    assert len(spans) == 2 * len(sizes)
    ours = 0
    for s in spans:
        header = given[s.path]
        context = s.path.endswith("True")
        assert bool(s.parent_id) == context
        if s.span_id in header:
            ours += 1
            assert s.trace_id in header
        elif context and header:
            assert s.parent_id in header and s.trace_id in header   # passed as it came
        else:
            assert not header, (s, header)
    if inbound == "on" and piece >= 1000:
        assert ours == len(spans), "an inserted header found no room"


def test_two_directions_at_once(run, upstreams):
    """A large body goes out while the answer comes in, through nginx with small buffers."""
    up = upstreams(echo)
    port = RELAYS["nginx unbuffered"](run, up.port)
    bodies = [bytes_of(n) for n in (3 * MIB, 1, 2 * MIB)]
    wrong = []

    def one(body):
        with RawClient(port, timeout=60) as c:
            for _ in range(3):
                if send_with(c, body, False, "/length").body != body:
                    wrong.append(len(body))
    threads = [threading.Thread(target=one, args=(b,)) for b in bodies * 3]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    run.spans.wait(2 * 27)
