# SPDX-License-Identifier: Apache-2.0
"""Servers that speak TLS, each on a free port, and what they are told in their own languages."""
from . import http2_servers, paths, servers
from .ports import free_port

MODULES = http2_servers.MODULES


# ---- proxies: TLS in front, and behind where upstream_tls is set ----
def nginx_ssl(certs, more=""):
    return f"""ssl_certificate {certs.path("server.pem")};
        ssl_certificate_key {certs.path("server.key")}; {more}"""


def nginx_proxy(run, certs, up, upstream_tls=True, extra="", listen="ssl http2", **more):
    scheme = "https" if upstream_tls else "http"
    return servers.nginx(
        run, f"""{nginx_ssl(certs)} {extra}
        location / {{ proxy_pass {scheme}://up; proxy_http_version 1.1; proxy_ssl_session_reuse on;
                      client_max_body_size 0;
                      proxy_set_header Connection ""; proxy_set_header Host $http_host; }}""",
        http=f"http2_max_requests 1000000; upstream up {{ server 127.0.0.1:{up}; keepalive 64; }}",
        listen=listen, **more)


def haproxy_pem(run, certs):
    file = run.tmp / "haproxy.pem"
    file.write_bytes(certs.read("server.pem") + certs.read("server.key"))
    return file


def haproxy_proxy(run, certs, up, upstream_tls=True, **more):
    more.setdefault("server", "ssl verify none" if upstream_tls else "")
    return servers.haproxy(run, [up], bind=f"ssl crt {haproxy_pem(run, certs)} alpn h2,http/1.1",
                           **more)


def apache_ssl(certs):
    return f"""
LoadModule socache_shmcb_module {MODULES}/mod_socache_shmcb.so
LoadModule ssl_module {MODULES}/mod_ssl.so
LoadModule http2_module {MODULES}/mod_http2.so
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile {certs.path("server.pem")}
SSLCertificateKeyFile {certs.path("server.key")}
"""


def apache_proxy(run, certs, up, upstream_tls=True, **more):
    scheme = "https" if upstream_tls else "http"
    return servers.apache(run, f"""{apache_ssl(certs)}
SSLProxyEngine on
SSLProxyVerify none
SSLProxyCheckPeerName off
SSLProxyCheckPeerCN off
ProxyPreserveHost On
ProxyPass / {scheme}://127.0.0.1:{up}/
""", **more)


PROXIES = {"nginx": nginx_proxy, "haproxy": haproxy_proxy, "apache": apache_proxy}


# ---- programs that answer with the body, or else with the traceparent headers they saw ----
def gunicorn(run, certs, name="server", worker="sync", **more):
    return servers.gunicorn(run, "tls_app:app", name=name, worker=worker, args=(
        "--certfile", certs.path("server.pem"), "--keyfile", certs.path("server.key")), **more)


def uvicorn(run, certs, name="server", **more):
    port = free_port()
    run.start([paths.PYTHON, "-m", "uvicorn", "--app-dir", paths.SERVICES, "--port", port,
               "--log-level", "warning", "--ssl-certfile", certs.path("server.pem"),
               "--ssl-keyfile", certs.path("server.key"), "tls_app:asgi"], name, port=port, **more)
    return port


def echo(run, certs, command, name="server", **more):
    """tls_echo.py or tls_echo.js, by any interpreter."""
    port = free_port()
    run.start([*command, port, certs.path("server.pem"), certs.path("server.key")], name, port=port,
              **more)
    return port


def stunnel(run, certs, up, client=False, name="stunnel", **more):
    """Takes TLS off; with `client`, puts it on."""
    port = free_port()
    side = f"client = yes\nCAfile = {certs.path('ca.pem')}\nverifyChain = yes" if client else \
        f"cert = {certs.path('server.pem')}\nkey = {certs.path('server.key')}"
    file = run.tmp / f"{name}.conf"
    file.write_text(f"foreground = yes\npid =\nsyslog = no\n[one]\n{side}\n"
                    f"accept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{up}\n")
    run.start(["stunnel", file], name, port=port, **more)
    return port
