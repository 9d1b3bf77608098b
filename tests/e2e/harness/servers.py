# SPDX-License-Identifier: Apache-2.0
"""Debian's servers with the smallest configuration that does the job, each on a free port.

Every function takes the Run, starts the program traced (unless told otherwise) and returns its
port. `options` go to Run.start()."""
import os

from . import paths
from .ports import free_port


def _write(run, name, text):
    path = run.tmp / name
    path.write_text(text)
    return path


# ---- nginx ----
NGINX = """
daemon off;
{main}
pid {tmp}/{name}.pid;
error_log stderr {level};
events {{ worker_connections {connections}; {events} }}
http {{
	access_log off;
	{temp}
	default_type text/plain;
	keepalive_requests 1000000;
	{http}
	server {{
		listen 127.0.0.1:{port} backlog=1024 {listen};
		server_name _;
		{server}
	}}
}}
"""


def nginx(run, server, http="", main="worker_processes 1;", events="", name="nginx",
          level="notice", connections=4096, listen="", **options):
    port = free_port()
    temp = " ".join(f"{kind}_temp_path {run.tmp}/{name}-{kind};" for kind in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    if os.getuid() == 0:
        main += " user root;"       # the temporary files stay ours
    conf = _write(run, f"{name}.conf", NGINX.format(main=main, tmp=run.tmp, name=name, http=http,
                                                    level=level, events=events, temp=temp,
                                                    connections=connections,
                                                    port=port, server=server, listen=listen))
    run.start(["nginx", "-p", run.tmp, "-e", "stderr", "-c", conf], name, port=port, **options)
    return port


def nginx_proxy(run, upstreams, keepalive=True, extra="", **kw):
    """A reverse proxy to one or more ports, tried in turn."""
    servers = " ".join(f"server 127.0.0.1:{p} max_fails=0;" for p in upstreams)
    keep = "keepalive 64;" if keepalive else ""
    head = 'proxy_http_version 1.1; proxy_set_header Connection "";' if keepalive else ""
    return nginx(run, f"location / {{ proxy_pass http://up; {head} "
                 f"proxy_set_header Host $http_host; {extra} }}",
                 http=f"upstream up {{ {servers} {keep} }}", **kw)


# ---- haproxy ----
HAPROXY = """
global
	maxconn 4000
	{main}
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s
	{defaults}
frontend f
	bind 127.0.0.1:{port} {bind}
	default_backend b
backend b
	{backend}
"""


def haproxy(run, upstreams, main="nbthread 1", defaults="", backend="", name="haproxy", bind="",
            server="", **options):
    port = free_port()
    servers = "\n\t".join(f"server s{n} 127.0.0.1:{p} {server}" for n, p in enumerate(upstreams))
    conf = _write(run, f"{name}.cfg", HAPROXY.format(main=main, port=port, defaults=defaults, bind=bind,
                                                     backend=backend + "\n\t" + servers))
    run.start(["haproxy", "-db", "-f", conf], name, port=port, **options)
    return port


# ---- Apache ----
APACHE = """
ServerRoot {tmp}
ServerName localhost
PidFile {tmp}/{name}.pid
DefaultRuntimeDir {tmp}
Mutex sem
Listen 127.0.0.1:{port}
ErrorLog /dev/stderr
LoadModule mpm_{mpm}_module {mods}/mod_mpm_{mpm}.so
LoadModule authz_core_module {mods}/mod_authz_core.so
LoadModule dir_module {mods}/mod_dir.so
LoadModule proxy_module {mods}/mod_proxy.so
LoadModule proxy_http_module {mods}/mod_proxy_http.so
LoadModule proxy_balancer_module {mods}/mod_proxy_balancer.so
LoadModule slotmem_shm_module {mods}/mod_slotmem_shm.so
LoadModule lbmethod_byrequests_module {mods}/mod_lbmethod_byrequests.so
LoadModule alias_module {mods}/mod_alias.so
LoadModule headers_module {mods}/mod_headers.so
{user}
DocumentRoot {root}
KeepAlive On
MaxKeepAliveRequests 0
{workers}
{conf}
"""


def apache(run, conf="", root=None, mpm="event", name="apache", **options):
    port = free_port()
    user = "User nobody\nGroup nogroup" if os.getuid() == 0 else ""
    if os.getuid() == 0:
        run.traces.touch()
        run.traces.chmod(0o666)
    # Nothing is ended for being idle: a kept connection would be closed under the client.
    workers = "MaxSpareServers 200" if mpm == "prefork" else \
        "StartServers 2\nThreadsPerChild 64\nServerLimit 4\nMaxSpareThreads 256\nMinSpareThreads 16"
    file = _write(run, f"{name}.conf", APACHE.format(workers=workers,
        tmp=run.tmp, name=name, port=port, mpm=mpm, mods="/usr/lib/apache2/modules", user=user,
        root=root or run.tmp, conf=conf))
    run.start(["apache2", "-f", file, "-DFOREGROUND"], name, port=port, **options)
    return port


def apache_proxy(run, upstreams, **kw):
    if len(upstreams) == 1:
        conf = f"ProxyPreserveHost On\nProxyPass / http://127.0.0.1:{upstreams[0]}/"
    else:
        members = "\n".join(f"BalancerMember http://127.0.0.1:{p}" for p in upstreams)
        conf = (f"ProxyPreserveHost On\n<Proxy balancer://up>\n{members}\n"
                "ProxySet failonstatus=503\n</Proxy>\nProxyPass / balancer://up/")
    return apache(run, conf, **kw)


# ---- Python and others ----
def gunicorn(run, app, worker="sync", workers=1, threads=1, name="gunicorn", args=(), **options):
    port = free_port()
    run.start([paths.PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "-k", worker, "-w",
               workers, "--threads", threads, "--chdir", paths.SERVICES,
               "--log-level=warning", *args, app], name, port=port, **options)
    return port


def http_server(run, root, name="http.server", **options):
    port = free_port()
    run.start([paths.PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "--directory", root,
               port], name, port=port, **options)
    return port


def busybox(run, root, program="busybox", name="busybox", **options):
    port = free_port()
    run.start([program, "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", root], name, port=port,
              **options)
    return port


def node(run, script, *args, name="node", **options):
    port = free_port()
    run.start(["node", paths.SERVICES / script, port, *args], name, port=port, **options)
    return port
