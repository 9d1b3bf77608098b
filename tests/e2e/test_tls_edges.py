# SPDX-License-Identifier: Apache-2.0
"""What TLS does besides carrying bytes: data before the handshake is over, sessions taken up again, records that hold
many requests or a piece of one. Servers and clients say what they say untraced."""
import socket
import ssl

import pytest

from harness import servers
from harness.certificates import Certificates
from harness.spans import SERVER
from harness.wait import wait_for


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls"))


def nginx(run, c, more="", **options):
    return servers.nginx(run, f"""ssl_certificate {c.path("server.pem")}; ssl_certificate_key {c.path("server.key")};
        {more} location / {{ return 200 "early $ssl_early_data parent $http_traceparent"; }}""", listen="ssl",
                         name="server", **options)


def request(path, *more):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: h", "Connection: close", *more, "", ""]).encode()


def s_client(run, c, port, *words, data=b"", **options):
    return run.call(["openssl", "s_client", "-CAfile", c.path("ca.pem"), "-connect", f"127.0.0.1:{port}", *words],
                    "client", input=data, **options).out


@pytest.mark.parametrize("client_traced", [False, True])
def test_early_data_is_served_as_it_came(run, certificates, client_traced):
    """RFC 8446 section 2.3. A client's early data gets no header: it may have to be sent again."""
    port = nginx(run, certificates, "ssl_protocols TLSv1.3; ssl_early_data on;")
    session, early = run.tmp / "session", run.tmp / "early"
    s_client(run, certificates, port, "-quiet", "-sess_out", session, "-ign_eof", data=request("/first"), traced=False)
    early.write_bytes(request("/early"))
    said = s_client(run, certificates, port, "-ign_eof", "-sess_in", session, "-early_data", early,
                    traced=client_traced)
    assert b"Early data was accepted" in said and b"early 1 parent " in said, said
    first, second = (run.spans.wait(1, service="server", kind=SERVER, path=p)[0] for p in ("/first", "/early"))
    assert first.trace_id != second.trace_id
    assert all(s["http.response.status_code"] == 200 for s in (first, second))


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
