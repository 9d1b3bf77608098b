# SPDX-License-Identifier: Apache-2.0
"""What TLS has beyond a stream: early data, new handshakes, an end in one direction, an object that
two processes share, encryption by the kernel."""
import os
import re
import ssl
import socket
import subprocess

import pytest

from harness import paths, servers, tls_servers
from harness.ports import free_port
from harness.spans import CLIENT, SERVER
from harness.wait import wait_for

SERVICES = paths.SERVICES


def get(path, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()


def nginx(run, certs, more="", **options):
    """Answers each request with the traceparent it saw."""
    return servers.nginx(run, f"""{tls_servers.nginx_ssl(certs)} ssl_protocols TLSv1.2 TLSv1.3; {more}
        location / {{ return 200 "seen $http_traceparent."; }}""", listen="ssl", name="server",
        **options)


class Talk:
    """openssl s_client, which is told what to say."""

    def __init__(self, run, certs, port, *options, traced=True):
        env = run.environment("client") if traced else run.bare_environment()
        self.p = subprocess.Popen(["openssl", "s_client", "-CAfile", certs.path("ca.pem"), "-connect",
                                   f"127.0.0.1:{port}", *options], env=env, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=run.tmp)
        os.set_blocking(self.p.stdout.fileno(), False)
        self.heard = b""
        run.add(self)

    def say(self, data):
        self.p.stdin.write(data)
        self.p.stdin.flush()

    def wait(self, pattern):
        def heard():
            self.heard += self.p.stdout.read() or b""
            return re.search(pattern, self.heard)
        found = wait_for(heard, 15, f"{pattern} from s_client")
        self.heard = self.heard[found.end():]
        return found

    def close(self):
        self.p.kill()
        self.p.wait()


@pytest.mark.parametrize("traced", ["server", "client", "both"])
def test_early_data_is_a_request_once(run, certificates, traced):
    """RFC 8446 section 2.3. The server answers what came before the handshake was over; the client,
    which may have to say it again, is given no header there."""
    port = nginx(run, certificates, "ssl_early_data on;",
                 traced=traced != "client")
    # nginx takes early data only where the ticket says how much.
    first = Talk(run, certificates, port, "-sess_out", "session.pem", "-ign_eof", traced=False)
    first.say(get("/first"))
    first.wait(rb"seen [^.]*\.")
    wait_for(lambda: (run.tmp / "session.pem").exists())
    first.close()
    (run.tmp / "early").write_bytes(get("/early"))
    second = Talk(run, certificates, port, "-sess_in", "session.pem", "-early_data", "early",
                  "-ign_eof", traced=traced != "server")
    second.wait(rb"(?s)data was accepted.*seen [^.]*\.|seen [^.]*\..*data was accepted")
    second.say(get("/late"))
    second.wait(rb"seen [^.]*\.")
    second.close()
    if traced != "client":
        answered = [run.spans.one(service="server", path=p) for p in ("/first", "/early", "/late")]
        assert not [s for s in answered if s.parent_id or s["http.response.status_code"] != 200]
        assert len({s.trace_id for s in answered}) == 3
    assert not [s for s in run.spans.select(service="client") if s.path == "/early"]


def test_a_new_handshake_between_requests(run, certificates):
    port = free_port()
    run.start(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-tls1_2",
               "-client_renegotiation", "-cert", certificates.path("server.pem"), "-key",
               certificates.path("server.key")], "server", port=port)
    talk = Talk(run, certificates, port)
    talk.wait(rb"Verify return code: 0")
    for _ in range(3):
        talk.say(b"R\n")
        talk.wait(rb"RENEGOTIATING")
        talk.wait(rb"verify return:1\n.*\n?")
    talk.say(get("/stats"))
    talk.wait(rb"HTTP/1.0 200 ok")
    asked = run.spans.one(service="client", kind=CLIENT)
    answered = run.spans.one(service="server", kind=SERVER)
    assert answered.parent_id == asked.span_id and answered["url.path"] == "/stats"


def test_a_client_that_has_said_all_is_answered(run, certificates):
    port = tls_servers.echo(run, certificates, [paths.PYTHON, SERVICES / "tls_echo.py", "threads"])
    client = certificates.client_context()
    with socket.create_connection(("127.0.0.1", port)) as raw:
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        s = client.wrap_bio(back, there, server_hostname="localhost")
        heard = b""
        for step in (s.do_handshake, lambda: s.write(get("/half", "Connection: close\r\n")), s.unwrap):
            while True:
                try:
                    step()
                    raw.sendall(there.read())
                    break
                except ssl.SSLWantReadError:
                    raw.sendall(there.read())
                    if step == s.unwrap:
                        break
                    back.write(raw.recv(65536))
        while more := raw.recv(65536):
            back.write(more)
        while True:
            try:
                heard += s.read(65536)
            except ssl.SSLError:
                break
            if not heard or not back.pending:
                break
    assert run.spans.one(service="server")["http.response.status_code"] == 200


def test_a_child_serves_what_its_parent_shook_hands_with(run, certificates):
    port = tls_servers.echo(run, certificates, [paths.PYTHON, SERVICES / "tls_echo.py", "forks"])
    urls = [f"https://localhost:{port}/r/{i}" for i in range(5)]
    for _ in range(3):
        run.call(["curl", "-sS", "--cacert", certificates.path("ca.pem"), *urls], "client")
    asked = {s.span_id: s.path for s in run.spans.wait(15, service="client")}
    answered = run.spans.wait(15, service="server")
    assert sorted(asked.pop(s.parent_id) for s in answered) == sorted(s.path for s in answered)


def test_what_the_kernel_may_encrypt_is_left_alone(run, certificates):
    content = os.urandom(300_000)
    (run.tmp / "file").write_bytes(content)
    port = servers.nginx(run, f"""{tls_servers.nginx_ssl(certificates)} root {run.tmp};
        ssl_conf_command Options KTLS; sendfile on;""", listen="ssl", name="server")
    got = run.call(["curl", "-sS", "--cacert", certificates.path("ca.pem"),
                    f"https://localhost:{port}/file"], "client").out
    assert got == content
    asked = run.spans.one(service="client")
    assert asked["http.response.status_code"] == 200
    assert not run.spans.select(service="server")
