# SPDX-License-Identifier: Apache-2.0
"""What programs say above encryption is followed as in clear text: on both sides a span for each
request, one traceparent between them, bodies as they were."""
import re

import pytest

from harness import paths, servers
from harness.certificates import Certificates
from harness.ports import free_port
from harness.spans import CLIENT, SERVER

SERVICES = paths.ROOT / "tests/e2e/services"
SIZES = {"small": 10, "record": 16384, "large": 3_000_001}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls"))


def started(run, certificates, command, traced):
    port = free_port()
    run.start([*command, port, certificates.path("server.pem"), certificates.path("server.key")],
              "server", port=port, traced=traced)
    return port


def python(how):
    return lambda run, certs, traced: started(
        run, certs, [paths.PYTHON, SERVICES / "tls_echo.py", how], traced)


def node(run, certs, traced):
    return started(run, certs, ["node", SERVICES / "tls_echo.js"], traced)


def nginx(run, certs, traced):
    """Listens in clear text too; the port is that of TLS."""
    port = free_port()
    servers.nginx(run, f"""listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certs.path("server.pem")}; ssl_certificate_key {certs.path("server.key")};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{ return 200 "$http_traceparent"; }}""", name="server", traced=traced)
    return port


SERVERS = {"python threads": python("threads"), "python asyncio": python("asyncio"),
           "node": node, "nginx": nginx}

CLIENTS = {
    "curl": ["curl", "-sS", "--http1.1", "--cacert", "{ca}", "{url}"],
    "curl http2": ["curl", "-sS", "--http2", "--cacert", "{ca}", "{url}"],
    "urllib": [paths.PYTHON, SERVICES / "tls_ask.py", "urllib", "{ca}", "{url}"],
    "aiohttp": [paths.PYTHON, SERVICES / "tls_ask.py", "aiohttp", "{ca}", "{url}"],
    "node": ["node", SERVICES / "tls_ask.js", "http1", "{ca}", "{url}"],
    "node http2": ["node", SERVICES / "tls_ask.js", "http2", "{ca}", "{url}"],
}
TWO = ("nginx", "node")  # speak HTTP/2 as well


def command(client, certificates, port, path, file=None):
    url = f"https://localhost:{port}{path}"
    words = [str(w).format(ca=certificates.path("ca.pem"), url=url) for w in CLIENTS[client]]
    if file and words[0] == "curl":
        return [*words, "--data-binary", f"@{file}", "-H", "Expect:"]
    return [*words, file] if file else words


PAIRS = [(s, c) for s in SERVERS for c in CLIENTS if s in TWO or c != "node http2"]


@pytest.mark.parametrize("server,client", PAIRS)
def test_both_sides_have_a_span_and_one_traceparent_is_between_them(run, certificates, server,
                                                                     client):
    port = SERVERS[server](run, certificates, True)
    seen = run.call(command(client, certificates, port, "/some/thing"), "client").out.decode()
    asked, = run.spans.wait(1, service="client")
    answered, = run.spans.wait(1, service="server")
    assert (asked.kind, answered.kind) == (CLIENT, SERVER)
    assert answered.trace_id == asked.trace_id and answered.parent_id == asked.span_id
    assert re.fullmatch(f"00-{asked.trace_id}-[0-9a-f]{{16}}-03", seen)
    assert seen[36:52] in (asked.span_id, answered.span_id)
    version = "2" if "http2" in client and server in TWO else "1.1"
    for span in (asked, answered):
        assert span["network.protocol.version"] == version
        assert span["http.response.status_code"] == 200
        assert span["server.address"] == "localhost" and span["server.port"] == port
        assert span["network.peer.address"] == "127.0.0.1"
    assert asked["url.full"] == f"https://localhost:{port}/some/thing"
    assert asked["network.peer.port"] == port
    assert answered["url.scheme"] == "https" and answered["url.path"] == "/some/thing"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("server,client", [p for p in PAIRS if p[0] != "nginx"])
def test_bodies_are_what_they_were(run, certificates, server, client, size):
    body = (bytes(range(251)) * (SIZES[size] // 251 + 1))[:SIZES[size]]
    file = run.tmp / "body"
    file.write_bytes(body)
    port = SERVERS[server](run, certificates, True)
    answer = run.call(command(client, certificates, port, "/echo", file), "client").out
    assert answer == body
    asked, = run.spans.wait(1, service="client")
    answered, = run.spans.wait(1, service="server")
    assert answered.parent_id == asked.span_id


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_is_not_traced_gets_one_traceparent(run, certificates, server):
    port = SERVERS[server](run, certificates, False)
    seen = run.call(command("curl", certificates, port, "/"), "client").out.decode()
    asked, = run.spans.wait(1, service="client")
    assert seen == f"00-{asked.trace_id}-{asked.span_id}-03"


def test_a_server_that_keeps_connections_has_a_span_for_each_request(run, certificates):
    port = SERVERS["python threads"](run, certificates, True)
    urls = [f"https://localhost:{port}/r/{i}" for i in range(20)]
    run.call(["curl", "-sS", "--cacert", certificates.path("ca.pem"), *urls], "client")
    asked = {s.span_id: s.path for s in run.spans.wait(20, service="client")}
    answered = run.spans.wait(20, service="server")
    assert len(asked) == 20
    assert sorted(asked[s.parent_id] for s in answered) == sorted(s.path for s in answered)


def test_a_proxy_links_what_comes_by_tls_to_what_it_asks_for_by_tls(run, certificates):
    upstream = SERVERS["python threads"](run, certificates, True)
    port = free_port()
    servers.nginx(run, f"""listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificates.path("server.pem")};
        ssl_certificate_key {certificates.path("server.key")};
        location / {{ proxy_pass https://127.0.0.1:{upstream}; }}""", name="proxy")
    for i, how in enumerate(("--http1.1", "--http2")):
        run.call(["curl", "-sS", how, "--cacert", certificates.path("ca.pem"),
                  f"https://localhost:{port}/thing/{i}"], traced=False)
        answered, = run.spans.wait(1, service="server", path=f"/thing/{i}")
        passed, = run.spans.wait(1, service="proxy", kind=CLIENT, path=f"/thing/{i}")
        came, = run.spans.wait(1, service="proxy", kind=SERVER, path=f"/thing/{i}")
        assert answered.parent_id == passed.span_id and passed.parent_id == came.span_id
        assert passed.link == "header" and not came.parent_id


def test_a_thread_that_serves_by_tls_is_who_asks(run, upstream, certificates):
    port = SERVERS["python threads"](run, certificates, True)
    run.call(command("curl", certificates, port, f"/relay/{upstream.port}"), traced=False)
    asked, = run.spans.wait(1, service="server", kind=CLIENT)
    answered, = run.spans.wait(1, service="server", kind=SERVER)
    assert asked.link == "flow" and asked.parent_id == answered.span_id


def test_transfers_that_are_not_http_are_left_alone(run, certificates):
    port = free_port()
    run.start(["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-naccept", "1",
               "-rev", "-cert", certificates.path("server.pem"), "-key",
               certificates.path("server.key")], "server", port=port)
    said = run.call(["openssl", "s_client", "-quiet", "-CAfile", certificates.path("ca.pem"),
                     "-connect", f"127.0.0.1:{port}"], "client", input=b"hello there\nCLOSE\n")
    assert said.out == b"ereht olleh\n"
    assert not run.spans.select()


def test_probes_for_the_library_find_what_they_did(run):
    probe = "import ctypes; print(hasattr(ctypes.CDLL(None), 'SSL_write'))"
    assert run.call([paths.PYTHON, "-c", probe], "probe").out == b"False\n"


def test_it_is_left_alone_where_that_is_asked_for(run, certificates):
    port = SERVERS["node"](run, certificates, True)
    run.call(command("curl", certificates, port, "/"), "client", env={"TAGALONG_TLS": "off"})
    answered, = run.spans.wait(1, service="server")
    assert not answered.parent_id
    assert not run.spans.select(service="client")


@pytest.mark.parametrize("wanted,version,cipher", [
    (["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"], "1.2",
     "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (["--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"], "1.3", "TLS_AES_128_GCM_SHA256")])
@pytest.mark.parametrize("server", SERVERS)
def test_what_is_spoken_is_said_to_those_who_ask(run, monkeypatch, certificates, server, wanted,
                                                 version, cipher):
    asks = {"TAGALONG_TLS_ATTRIBUTES": "true"}
    plain = run.environment
    monkeypatch.setattr(run, "environment", lambda *a, **k: {**plain(*a, **k), **asks})
    port = SERVERS[server](run, certificates, True)
    run.call([*command("curl", certificates, port, "/"), *wanted], "client")
    for service in ("client", "server"):
        span, = run.spans.wait(1, service=service)
        assert span["tls.protocol.version"] == version and span["tls.cipher"] == cipher


def test_what_is_spoken_is_not_said_otherwise(run, certificates):
    port = SERVERS["python threads"](run, certificates, True)
    run.call(command("curl", certificates, port, "/"), "client")
    for service in ("client", "server"):
        span, = run.spans.wait(1, service=service)
        assert not [key for key in span.attributes if key.startswith("tls.")]
