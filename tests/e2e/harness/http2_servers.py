# SPDX-License-Identifier: Apache-2.0
"""Servers of HTTP/2 in clear text, each on a free port, and the files they serve."""
import random

from . import servers
from .paths import SERVICES
from .ports import free_port

MODULES = "/usr/lib/apache2/modules"
HTTP2 = f"LoadModule http2_module {MODULES}/mod_http2.so\nProtocols h2c http/1.1\n"


def site(run, files=20, largest=200_000):
    """hello.txt, big.bin, and files of random sizes: a dictionary of what is in them."""
    root = run.tmp / "site"
    root.mkdir()
    root.chmod(0o755)
    chance = random.Random(7)
    content = {"/hello.txt": b"hello, world\n", "/big.bin": chance.randbytes(1 << 20)}
    for n in range(files):
        content[f"/f{n}.bin"] = chance.randbytes(chance.randrange(largest))
    for path, data in content.items():
        (root / path[1:]).write_bytes(data)
    run.site = root
    return content


def nghttpd(run, name="srv", options=(), **more):
    port = free_port()
    run.start(["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", run.site, "--echo-upload", *options,
               port], name, port=port, **more)
    return port


def nginx(run, name="srv", **more):
    return servers.nginx(run, f"root {run.site}; location /status/500 {{ return 500; }}",
                         http="http2_max_requests 1000000;", listen="http2", name=name, **more)


def apache(run, name="srv", **more):
    return servers.apache(run, HTTP2 + "<Directory />\nRequire all granted\n</Directory>",
                          root=run.site, name=name, **more)


def node(run, name="srv", **more):
    port = free_port()
    run.start(["node", SERVICES / "h2_server.js", port, run.site], name, port=port, **more)
    return port


ALL = {"nghttpd": nghttpd, "nginx": nginx, "apache": apache, "node": node}


def nghttpx(run, upstream, name="proxy", upstream_h2=False, **more):
    """nghttp2's proxy: HTTP/2, and HTTP/1.1 with its upgrade, in front."""
    port = free_port()
    back = f"127.0.0.1,{upstream}" + (";;proto=h2" if upstream_h2 else "")
    run.start(["nghttpx", f"-f127.0.0.1,{port};no-tls", f"-b{back}", "--workers=1", "--conf=/dev/null",
               "--no-ocsp", "--errorlog-file=/dev/stderr", "--accesslog-file=/dev/null",
               "--no-server-rewrite"], name, port=port, **more)
    return port
