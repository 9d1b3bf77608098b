# SPDX-License-Identifier: Apache-2.0
"""GnuTLS on either side: Debian's wget, git and pycurl (libcurl-gnutls) ask, gnutls-serv and lighttpd
answer. They are reached by their import slots; everything behind those is as for OpenSSL."""
import re
import subprocess

import pytest

from harness import paths, servers, tls_servers
from harness.certificates import Certificates
from harness.ports import free_port
from harness.spans import CLIENT, SERVER
from harness.wait import wait_for

SERVICES = paths.SERVICES
SIZES = {"small": 10, "record": 16384, "records": 49153, "large": 3_000_001}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls"))


# ---- servers ----
def nginx(run, certs, more="", **options):
    return servers.nginx(run, f"""{tls_servers.nginx_ssl(certs)} ssl_protocols TLSv1.2 TLSv1.3; {more}
        location / {{ return 200 "$http_traceparent"; }}""", listen="ssl http2", name="server", **options)


def node(run, certs, **options):
    return tls_servers.echo(run, certs, ["node", SERVICES / "tls_echo.js"], **options)


def python(run, certs, **options):
    return tls_servers.echo(run, certs, [paths.PYTHON, SERVICES / "tls_echo.py", "threads"], **options)


def gnutls_serv(run, certs, *words, **options):
    port = free_port()
    run.start(["gnutls-serv", "-q", "-p", port, "--x509certfile", certs.path("server.pem"),
               "--x509keyfile", certs.path("server.key"), *words], "server", port=port, **options)
    return port


def lighttpd(run, certs, more="", **options):
    """With mod_gnutls; serves the folder of the test."""
    port = free_port()
    conf = run.tmp / "lighttpd.conf"
    conf.write_text(f"""
server.modules = ("mod_gnutls", "mod_proxy", "mod_cgi", "mod_alias", "mod_setenv")
server.document-root = "{run.tmp}"
server.upload-dirs = ("{run.tmp}")
server.bind = "127.0.0.1"
server.port = {port}
ssl.engine = "enable"
ssl.pemfile = "{certs.path("server.pem")}"
ssl.privkey = "{certs.path("server.key")}"
{more}
""")
    run.start(["lighttpd", "-D", "-f", conf], "server", port=port, **options)
    return port


SERVERS = {"nginx": nginx, "node": node, "python": python}
TWO = ("nginx", "node")  # speak HTTP/2 as well

# ---- clients ----
PYCURL = [paths.PYTHON, SERVICES / "tls_ask_pycurl.py"]
CLIENTS = {"wget": ["wget", "-q", "-O", "-", "--ca-certificate", "{ca}"],
           "pycurl": [*PYCURL, "easy", "1.1", "{ca}"], "pycurl multi": [*PYCURL, "multi", "1.1", "{ca}"],
           "pycurl http2": [*PYCURL, "easy", "2", "{ca}"],
           "pycurl multi http2": [*PYCURL, "multi", "2", "{ca}"]}
PAIRS = [(s, c) for s in SERVERS for c in CLIENTS if s in TWO or "http2" not in c]


def ask(run, certs, client, port, *requested, file=None, more=(), **options):
    words = [str(w).format(ca=certs.path("ca.pem")) for w in CLIENTS[client]]
    if file:
        words += ["--post-file" if client == "wget" else "--file", file]
    urls = [f"https://localhost:{port}{path}" for path in requested]
    return run.call([*words, *more, *urls], "client", timeout=240, **options).out


def content(run, size):
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    file = run.tmp / "body"
    file.write_bytes(body)
    return file, body


def check_linked(run, path, port, version="1.1"):
    asked = run.spans.one(service="client", path=path)
    answered = run.spans.one(service="server", path=path)
    assert (asked.kind, answered.kind) == (CLIENT, SERVER)
    assert answered.trace_id == asked.trace_id and answered.parent_id == asked.span_id
    for span in (asked, answered):
        assert span["network.protocol.version"] == version
        assert span["http.response.status_code"] == 200
        assert span["server.address"] == "localhost" and span["server.port"] == port
        assert span["network.peer.address"] == "127.0.0.1"
    assert asked["url.full"] == f"https://localhost:{port}{path}"
    assert asked["network.peer.port"] == port
    assert answered["url.scheme"] == "https"
    return asked, answered


@pytest.mark.parametrize("server,client", PAIRS)
def test_both_sides_have_a_span_and_one_traceparent_is_between_them(run, certificates, server,
                                                                     client):
    port = SERVERS[server](run, certificates)
    seen = ask(run, certificates, client, port, "/some/thing").decode()
    version = "2" if "http2" in client else "1.1"
    asked, answered = check_linked(run, "/some/thing", port, version)
    assert re.fullmatch(f"00-{asked.trace_id}-({asked.span_id}|{answered.span_id})-03", seen)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("server,client", [p for p in PAIRS if p[0] != "nginx"])
def test_bodies_are_what_they_were(run, certificates, server, client, size):
    file, body = content(run, SIZES[size])
    port = SERVERS[server](run, certificates)
    assert ask(run, certificates, client, port, "/echo", file=file) == body
    check_linked(run, "/echo", port, "2" if "http2" in client else "1.1")


@pytest.mark.parametrize("server,client", [("python", "wget"), ("node", "pycurl multi"),
                                           ("node", "pycurl multi http2")])
def test_large_bodies_are_what_they_were(run, certificates, server, client):
    file, body = content(run, paths.scale(8 << 20, 64 << 20) + 1)
    port = SERVERS[server](run, certificates)
    assert ask(run, certificates, client, port, "/echo", file=file) == body
    check_linked(run, "/echo", port, "2" if "http2" in client else "1.1")


@pytest.mark.parametrize("client", CLIENTS)
def test_connections_that_are_kept(run, certificates, client):
    port = node(run, certificates)
    ask(run, certificates, client, port, *[f"/r/{i}" for i in range(20)])
    asked = {s.span_id: s.path for s in run.spans.wait(20, service="client")}
    answered = run.spans.wait(20, service="server")
    assert len(asked) == 20
    assert sorted(asked[s.parent_id] for s in answered) == sorted(s.path for s in answered)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_is_not_traced_gets_one_traceparent(run, certificates, client):
    port = node(run, certificates, traced=False)
    seen = ask(run, certificates, client, port, "/").decode()
    asked = run.spans.one(service="client")
    assert seen == f"00-{asked.trace_id}-{asked.span_id}-03"


@pytest.mark.parametrize("client", CLIENTS)
def test_it_is_left_alone_where_that_is_asked_for(run, certificates, client):
    file, body = content(run, 30000)
    port = node(run, certificates)
    assert ask(run, certificates, client, port, "/", file=file, env={"TAGALONG_TLS": "off"}) == body
    assert not run.spans.one(service="server").parent_id
    assert not run.spans.select(service="client")


VERSIONS = [("1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM",
             "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
            ("1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM", "TLS_AES_128_GCM_SHA256")]


@pytest.mark.parametrize("version,priority,cipher", VERSIONS)
@pytest.mark.parametrize("server", ["nginx", "gnutls-serv"])
def test_what_is_spoken_is_said_to_those_who_ask(run, monkeypatch, certificates, server, version,
                                                 priority, cipher):
    plain = run.environment
    monkeypatch.setattr(run, "environment",
                        lambda *a, **k: {**plain(*a, **k), "TAGALONG_TLS_ATTRIBUTES": "true"})
    port = nginx(run, certificates) if server == "nginx" else gnutls_serv(run, certificates, "--http")
    ask(run, certificates, "wget", port, "/", more=["--ciphers", priority])
    for service in ("client", "server"):
        span = run.spans.one(service=service)
        assert span["tls.protocol.version"] == version and span["tls.cipher"] == cipher


# ---- git ----
def git(*words, cwd):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=cwd, check=True,
                   capture_output=True)


@pytest.fixture
def repository(run):
    """With some commits, and one file of several records."""
    work = run.tmp / "work"
    work.mkdir()
    git("init", "-q", "-b", "main", cwd=work)
    for i in range(20):
        (work / f"file{i}").write_bytes(bytes(range(256)) * (i * i + 1))
        git("add", ".", cwd=work)
        git("commit", "-q", "-m", f"change {i}", cwd=work)
    git("clone", "-q", "--bare", work, run.tmp / "there.git", cwd=run.tmp)
    git("update-server-info", cwd=run.tmp / "there.git")
    git("config", "http.receivepack", "true", cwd=run.tmp / "there.git")
    return work


def clone(run, certs, url, to):
    run.call(["git", "clone", "-q", url, to], "client", env={
        "GIT_SSL_CAINFO": certs.path("ca.pem"), "HOME": run.tmp, "GIT_TERMINAL_PROMPT": "0"})


def same_files(a, b):
    names = sorted(p.name for p in a.iterdir() if p.is_file())
    assert names == sorted(p.name for p in b.iterdir() if p.is_file())
    assert all((a / n).read_bytes() == (b / n).read_bytes() for n in names)


def all_linked(run):
    """Each request has a span on both sides."""
    answered = run.spans.wait(1, service="server", kind=SERVER)
    asked = run.spans.wait(len(answered), service="client", kind=CLIENT)
    answered = run.spans.wait(len(asked), service="server", kind=SERVER)
    ids = {s.span_id: s for s in asked}
    assert len(asked) == len(answered) == len({s.parent_id for s in answered})
    for span in answered:
        assert ids[span.parent_id].path == span.path
        assert ids[span.parent_id]["http.response.status_code"] == span["http.response.status_code"]
    return answered


@pytest.mark.parametrize("listen", ["ssl", "ssl http2"])
def test_git_fetches_from_a_server_of_files(run, certificates, repository, listen):
    port = servers.nginx(run, f"{tls_servers.nginx_ssl(certificates)} root {run.tmp};", listen=listen,
                         name="server")
    clone(run, certificates, f"https://localhost:{port}/there.git", run.tmp / "here")
    same_files(repository, run.tmp / "here")
    answered = all_linked(run)
    assert {s["network.protocol.version"] for s in answered} == {"2" if "http2" in listen else "1.1"}
    assert len(answered) > 3


def test_git_fetches_and_pushes_with_gnutls_on_both_sides(run, certificates, repository):
    port = lighttpd(run, certificates, f"""
alias.url = ("/git/" => "/usr/lib/git-core/git-http-backend/")
$HTTP["url"] =~ "^/git/" {{
    cgi.assign = ("" => "")
    setenv.set-environment = ("GIT_PROJECT_ROOT" => "{run.tmp}", "GIT_HTTP_EXPORT_ALL" => "1",
                              "REMOTE_USER" => "somebody", "HOME" => "{run.tmp}")
}}""", env={"HOME": run.tmp})
    url = f"https://localhost:{port}/git/there.git"
    clone(run, certificates, url, run.tmp / "here")
    same_files(repository, run.tmp / "here")
    (run.tmp / "here" / "new").write_bytes(bytes(range(256)) * 20000)
    git("add", ".", cwd=run.tmp / "here")
    git("commit", "-q", "-m", "new", cwd=run.tmp / "here")
    run.call(["git", "-C", run.tmp / "here", "push", "-q", url, "main"], "client", env={
        "GIT_SSL_CAINFO": certificates.path("ca.pem"), "HOME": run.tmp})
    clone(run, certificates, url, run.tmp / "again")
    same_files(run.tmp / "here", run.tmp / "again")
    assert {s["http.request.method"] for s in all_linked(run)} == {"GET", "POST"}


# ---- servers with GnuTLS ----
@pytest.mark.parametrize("client", ["wget", "pycurl", "pycurl multi"])
def test_gnutls_serv_answers(run, certificates, client):
    port = gnutls_serv(run, certificates, "--http")
    for i in range(3):
        assert b"GnuTLS" in ask(run, certificates, client, port, f"/{i}")
    for i in range(3):
        asked = run.spans.one(service="client", path=f"/{i}")
        answered = run.spans.one(service="server", path=f"/{i}")
        assert answered.parent_id == asked.span_id and answered.trace_id == asked.trace_id
        assert answered["network.peer.address"] == "127.0.0.1" and answered["url.scheme"] == "https"


@pytest.mark.parametrize("size", [10, 20_000, 3_000_001])
@pytest.mark.parametrize("client", CLIENTS)
def test_lighttpd_sends_files(run, certificates, client, size):
    """Of the larger ones the library reads the file itself."""
    _, body = content(run, size)
    port = lighttpd(run, certificates)
    for _ in range(2):
        assert ask(run, certificates, client, port, "/body", "/body?again") == body * 2
    asked = {s.span_id: s for s in run.spans.wait(4, service="client")}
    for span in run.spans.wait(4, service="server"):
        assert asked[span.parent_id]["http.response.status_code"] == 200
        assert span["http.response.status_code"] == 200
        assert span["network.protocol.version"] == ("2" if "http2" in client else "1.1")


@pytest.mark.parametrize("client", CLIENTS)
def test_lighttpd_passes_on(run, certificates, upstreams, client):
    up = upstreams(lambda r: r.body or b"nothing")
    port = lighttpd(run, certificates, f"""
proxy.server = ("" => (("host" => "127.0.0.1", "port" => {up.port})))""")
    file, body = content(run, 3_000_001)
    for i in range(2):
        assert ask(run, certificates, client, port, f"/{i}", file=file) == body
    for i, received in enumerate(up.received):
        asked = run.spans.one(service="client", path=f"/{i}")
        came = run.spans.one(service="server", kind=SERVER, path=f"/{i}")
        passed = run.spans.one(service="server", kind=CLIENT, path=f"/{i}")
        assert came.parent_id == asked.span_id
        assert passed.parent_id == came.span_id and passed.link == "header"
        assert received.context()[:2] == (passed.trace_id, passed.span_id)


@pytest.mark.parametrize("how", ["--http1.1", "--http2"])
def test_a_header_is_put_in_for_a_proxy(run, certificates, upstreams, how):
    """Room for it is kept when the session is read, and what the library holds then is read at once."""
    up = upstreams(lambda r: r.body or b"nothing")
    port = lighttpd(run, certificates, f"""
proxy.server = ("" => (("host" => "127.0.0.1", "port" => {up.port})))""", env={"TAGALONG_INBOUND_HEADER": "on"})
    curl = ["curl", "-sS", how, "--cacert", certificates.path("ca.pem"), "-H", "Expect:"]
    for i, size in enumerate([0, 1, 900, 1000, 4000, 16000, 16384, 20000, 1_000_001]):
        file, body = content(run, size)
        url = f"https://localhost:{port}/{i}"
        assert run.call([*curl, "--data-binary", f"@{file}", url], traced=False).out == (body or b"nothing")
        came = run.spans.one(service="server", kind=SERVER, path=f"/{i}")
        passed = run.spans.one(service="server", kind=CLIENT, path=f"/{i}")
        assert passed.parent_id == came.span_id and passed.link == "header" and not came.parent_id
        assert up.received[i].context()[:2] == (passed.trace_id, passed.span_id)


# ---- not HTTP, and by hand ----
def gnutls_cli(run, certs, port, text, *words, **options):
    return run.call(["gnutls-cli", "--x509cafile", certs.path("ca.pem"), "--logfile", "/dev/null", *words,
                     "-p", port, "localhost"], "client", input=text, **options).out


@pytest.mark.parametrize("text", [b"hello there\n", bytes(range(32, 127)) * 500 + b"\n"])
def test_transfers_that_are_not_http_are_left_alone(run, certificates, text):
    port = gnutls_serv(run, certificates, "--echo")
    bare = gnutls_cli(run, certificates, port, text, traced=False)
    assert gnutls_cli(run, certificates, port, text) == bare
    assert not run.spans.select()


def get(path, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()


@pytest.mark.parametrize("words", [[], ["--priority", "NORMAL:-VERS-TLS1.3"],
                                   ["--priority", "NORMAL:-VERS-TLS1.3", "--rehandshake"]])
def test_gnutls_cli_says_a_request(run, certificates, words):
    again = "--rehandshake" in words    # nginx knows none
    port = gnutls_serv(run, certificates, "--http") if again else nginx(run, certificates)
    said = gnutls_cli(run, certificates, port, get("/hand", "Connection: close\r\n"), *words)
    asked, answered = (run.spans.one(service=s, path="/hand") for s in ("client", "server"))
    assert answered.parent_id == asked.span_id
    assert said.count(b"HTTP/1.") == 1


@pytest.mark.parametrize("client_traced", [False, True])
def test_early_data_is_a_request_once(run, certificates, client_traced):
    """RFC 8446 section 2.3. A client's early data gets no header: it may have to be sent again."""
    port = gnutls_serv(run, certificates, "--http", "--earlydata", "--maxearlydata", "8000")
    early = run.tmp / "early"
    early.write_bytes(get("/early", "Connection: close\r\n"))
    client = run.start(["gnutls-cli", "--x509cafile", certificates.path("ca.pem"), "--logfile", "/dev/null",
                        "--waitresumption", "--resume", "--earlydata", early, "-p", port, "localhost"],
                       "client", traced=client_traced, stdin=subprocess.PIPE)
    client.p.stdin.write(get("/late"))  # without which the server would not look
    client.p.stdin.flush()
    wait_for(lambda: client.log().count("HTTP/1.0 200 OK") == 1, what="an answer")
    answered = run.spans.one(service="server", path="/early")
    assert not answered.parent_id and answered["http.response.status_code"] == 200
    assert not run.spans.select(service="client")


@pytest.mark.parametrize("how", ["threads", "late"])
def test_a_thread_that_asks_by_gnutls_is_known(run, certificates, how):
    """Who answers in clear text and asks by GnuTLS; "late": the library is opened by the first request."""
    up = python(run, certificates)
    port = free_port()
    words = ["late"] if how == "late" else []
    run.start([paths.PYTHON, SERVICES / "relay_pycurl.py", port, up, "https", certificates.path("ca.pem"),
               *words], "relay", port=port)
    for i in range(8):
        run.call(["curl", "-sS", f"http://localhost:{port}/r/{i}"], traced=False)
    for i in range(5, 8):  # by now it is known that readers answer
        came = run.spans.one(service="relay", kind=SERVER, path=f"/r/{i}")
        asked = run.spans.one(service="relay", kind=CLIENT, path=f"/out/{i}")
        answered = run.spans.one(service="server", path=f"/out/{i}")
        assert asked.parent_id == came.span_id and answered.parent_id == asked.span_id
        assert asked["url.full"] == f"https://localhost:{up}/out/{i}"
