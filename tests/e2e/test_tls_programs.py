# SPDX-License-Identifier: Apache-2.0
"""HTTPS of more programs that people run: servers, proxies that speak it on both sides, a tunnel in the middle, and
clients by library. On both sides a span for each request, one traceparent between them, bodies as they were."""
import pathlib

import pytest

from harness import paths, servers
from harness.certificates import Certificates
from harness.paths import scale
from harness.ports import free_port
from harness.spans import CLIENT, SERVER

SERVICES = paths.ROOT / "tests/e2e/services"
SIZES = {"small": 10, "large": scale(3_000_001, 64 << 20)}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(tmp_path_factory.mktemp("tls"))
    c.folder.chmod(0o755)
    both = [pathlib.Path(c.path(f"server.{kind}")).read_text() for kind in ("pem", "key")]
    (c.folder / "both.pem").write_text("".join(both))
    return c


# ---- servers that answer with what they got ----

def started(run, command, port, name="server", **options):
    run.start([str(w) for w in command], name, port=port, cwd=SERVICES, **options)
    return port


def gunicorn(worker, *more):
    def start(run, c, **options):
        port = free_port()
        return started(run, [paths.PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "-k", worker, *more,
                             "--log-level=warning", "--certfile", c.path("server.pem"), "--keyfile",
                             c.path("server.key"), "tls_app:app"], port, **options)
    return start


def uvicorn(run, c, **options):
    port = free_port()
    return started(run, [paths.PYTHON, "-m", "uvicorn", "--port", port, "--ssl-certfile", c.path("server.pem"),
                         "--ssl-keyfile", c.path("server.key"), "--log-level", "warning", "tls_app:asgi"],
                   port, **options)


def hypercorn(run, c, **options):
    port = free_port()
    return started(run, [paths.PYTHON, "-m", "hypercorn", "-b", f"127.0.0.1:{port}", "--certfile",
                         c.path("server.pem"), "--keyfile", c.path("server.key"), "tls_app:asgi"], port, **options)


SERVERS = {"gunicorn sync": gunicorn("sync"), "gunicorn gthread": gunicorn("gthread", "--threads", "4"),
           "uvicorn": uvicorn, "hypercorn": hypercorn}


# ---- proxies: TLS comes in, TLS goes out ----

def apache(run, c, upstream, **options):
    conf = f"""LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
SSLEngine on
SSLCertificateFile {c.path("server.pem")}
SSLCertificateKeyFile {c.path("server.key")}
SSLProxyEngine on
SSLProxyVerify none
SSLProxyCheckPeerName off
SSLProxyCheckPeerCN off
ProxyPreserveHost On
ProxyPass / https://127.0.0.1:{upstream}/"""
    return servers.apache(run, conf, name="proxy", **options)


def haproxy(run, c, upstream, **options):
    return servers.haproxy(run, [upstream], name="proxy", server="ssl verify none",
                           bind=f"ssl crt {c.folder / 'both.pem'} alpn h2,http/1.1", **options)


def nginx(run, c, upstream, **options):
    return servers.nginx(run, f"""ssl_certificate {c.path("server.pem")}; ssl_certificate_key {c.path("server.key")};
        client_max_body_size 0; location / {{ proxy_pass https://127.0.0.1:{upstream}; }}""", name="proxy",
                         listen="ssl http2", **options)


PROXIES = {"apache": apache, "haproxy": haproxy, "nginx": nginx}

# ---- clients ----

CLIENTS = {
    "curl": ["curl", "-sS", "--http1.1", "--cacert", "{ca}", "{url}"],
    "curl http2": ["curl", "-sS", "--http2", "--cacert", "{ca}", "{url}"],
    "requests": [paths.PYTHON, SERVICES / "tls_ask.py", "requests", "{ca}", "{url}"],
    "httpx": [paths.PYTHON, SERVICES / "tls_ask.py", "httpx", "{ca}", "{url}"],
}


def ask(run, c, client, port, path, file=None, scheme="https", **options):
    url = f"{scheme}://localhost:{port}{path}"
    words = [str(w).format(ca=c.path("ca.pem"), url=url) for w in CLIENTS[client]]
    if file:
        words += ["--data-binary", f"@{file}", "-H", "Expect:"] if words[0] == "curl" else [file]
    return run.call(words, "client", **options).out


def body_file(run, size):
    body = (bytes(range(251)) * (SIZES[size] // 251 + 1))[:SIZES[size]]
    file = run.tmp / "body"
    file.write_bytes(body)
    return file, body


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_both_sides_have_a_span_and_one_traceparent_is_between_them(run, certificates, server, client):
    port = SERVERS[server](run, certificates)
    seen = ask(run, certificates, client, port, "/some/thing").decode()
    asked, = run.spans.wait(1, service="client")
    answered, = run.spans.wait(1, service="server")
    assert (asked.kind, answered.kind) == (CLIENT, SERVER)
    assert answered.trace_id == asked.trace_id and answered.parent_id == asked.span_id
    assert len(seen) == 55 and seen[36:52] in (asked.span_id, answered.span_id)
    version = "2" if server == "hypercorn" and client in ("curl http2", "httpx") else "1.1"
    for span in (asked, answered):
        assert span["network.protocol.version"] == version
        assert span["http.response.status_code"] == 200 and span["server.port"] == port
    assert asked["url.full"] == f"https://localhost:{port}/some/thing" and answered["url.scheme"] == "https"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("server,client", [*((s, "curl") for s in SERVERS), ("hypercorn", "httpx")])
def test_bodies_are_what_they_were(run, certificates, server, client, size):
    file, body = body_file(run, size)
    port = SERVERS[server](run, certificates)
    assert ask(run, certificates, client, port, "/echo", file) == body
    asked, = run.spans.wait(1, service="client")
    answered, = run.spans.wait(1, service="server")
    assert answered.parent_id == asked.span_id


@pytest.mark.parametrize("how", ["--http1.1", "--http2"])
@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_links_what_comes_by_tls_to_what_it_asks_for_by_tls(run, certificates, proxy, how):
    """Also where nobody sent a traceparent: the proxy is given one. Many on one connection, and on new ones."""
    upstream = SERVERS["uvicorn"](run, certificates)
    port = PROXIES[proxy](run, certificates, upstream)
    urls = [f"https://localhost:{port}/thing/{i}" for i in range(10)]
    run.call(["curl", "-sS", how, "--cacert", certificates.path("ca.pem"), *urls], traced=False)
    for url in urls:
        run.call(["curl", "-sS", how, "--cacert", certificates.path("ca.pem"), url.replace("thing", "again")],
                 traced=False)
    for path in [f"/{word}/{i}" for word in ("thing", "again") for i in range(10)]:
        answered, = run.spans.wait(1, service="server", path=path)
        passed, = run.spans.wait(1, service="proxy", kind=CLIENT, path=path)
        came, = run.spans.wait(1, service="proxy", kind=SERVER, path=path)
        assert answered.parent_id == passed.span_id and passed.parent_id == came.span_id, path
        assert passed.link == "header" and not came.parent_id


@pytest.mark.parametrize("client", ["curl", "curl http2"])
@pytest.mark.parametrize("proxy", PROXIES)
def test_bodies_pass_a_proxy(run, certificates, proxy, client):
    file, body = body_file(run, "large")
    upstream = SERVERS["gunicorn gthread"](run, certificates)
    port = PROXIES[proxy](run, certificates, upstream)
    assert ask(run, certificates, client, port, "/echo", file) == body
    asked, = run.spans.wait(1, service="client")
    came, = run.spans.wait(1, service="proxy", kind=SERVER)
    passed, = run.spans.wait(1, service="proxy", kind=CLIENT)
    answered, = run.spans.wait(1, service="server")
    assert came.parent_id == asked.span_id and passed.parent_id == came.span_id
    assert answered.parent_id == passed.span_id


# ---- a tunnel ----

def stunnel(run, text, port, name="tunnel"):
    conf = run.tmp / f"{name}.conf"
    conf.write_text(f"foreground = yes\npid =\nsyslog = no\ndebug = 3\n{text}")
    run.start(["stunnel4", conf], name, port=port)
    return port


@pytest.mark.parametrize("size", SIZES)
def test_a_tunnel_in_the_middle(run, upstream, certificates, size):
    """Clear text, stunnel, TLS, stunnel, clear text: what the first passes on is the second's parent."""
    file, body = body_file(run, size)
    inner, outer = free_port(), free_port()
    server = started(run, [paths.PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{(port := free_port())}",
                           "--log-level=warning", "tls_app:app"], port)
    stunnel(run, f"[in]\naccept = 127.0.0.1:{inner}\nconnect = 127.0.0.1:{server}\n"
            f"cert = {certificates.folder / 'both.pem'}", inner, "inner")
    stunnel(run, f"client = yes\n[out]\naccept = 127.0.0.1:{outer}\nconnect = 127.0.0.1:{inner}", outer, "outer")
    assert ask(run, certificates, "requests", outer, "/echo", file, "http") == body
    parent, = run.spans.wait(1, service="client")
    for name, kind in (("outer", SERVER), ("outer", CLIENT), ("inner", SERVER), ("inner", CLIENT), ("server", SERVER)):
        span, = run.spans.wait(1, service=name, kind=kind)
        assert span.parent_id == parent.span_id and span.trace_id == parent.trace_id, (name, kind)
        parent = span
