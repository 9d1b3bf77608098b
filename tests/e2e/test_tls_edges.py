# SPDX-License-Identifier: Apache-2.0
"""What TLS does besides carrying bytes: sessions taken up again, records that hold many requests or a piece of one.
Clients say what they say untraced."""
import socket
import ssl

from harness import servers
from harness.wait import wait_for


def nginx(run, c):
    return servers.nginx(run, f"""ssl_certificate {c.path("server.pem")}; ssl_certificate_key {c.path("server.key")};
        location / {{ return 200 ok; }}""", listen="ssl", name="server")


def request(path, *more):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: h", "Connection: close", *more, "", ""]).encode()


def test_resumed_sessions(run, certificates):
    port = nginx(run, certificates)
    context = ssl.create_default_context(cafile=certificates.path("ca.pem"))
    session, resumed = None, 0
    for i in range(6):
        with socket.create_connection(("127.0.0.1", port), 10) as s, \
                context.wrap_socket(s, server_hostname="localhost", session=session) as t:
            t.sendall(request(f"/r/{i}"))
            while t.recv(4096):
                pass
            resumed += t.session_reused
            session = t.session
    assert resumed >= 4
    assert sorted(s.path for s in run.spans.wait(6, service="server")) == [f"/r/{i}" for i in range(6)]


def test_requests_behind_each_other_in_one_record_and_in_many(run, certificates):
    port = nginx(run, certificates)
    context = ssl.create_default_context(cafile=certificates.path("ca.pem"))
    kept = [f"GET /p/{i} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for i in range(20)] + [request("/p/20")]
    for cut in (len(b"".join(kept)), 7, 1):
        with socket.create_connection(("127.0.0.1", port), 10) as s, \
                context.wrap_socket(s, server_hostname="localhost") as t:
            data, got = b"".join(kept), b""
            for at in range(0, len(data), cut):
                t.sendall(data[at:at + cut])
            while piece := t.recv(65536):
                got += piece
            assert got.count(b"HTTP/1.1 200 OK") == 21, got
    wait_for(lambda: len(run.spans.select(service="server")) == 63, what="63 spans")
    assert sorted(s.path for s in run.spans.all) == sorted(f"/p/{i}" for i in range(21) for _ in range(3))
