# SPDX-License-Identifier: Apache-2.0
"""OpenSSL as it is inside of programs: 1.1.1 in Node 16, 3.5 in Node 24. What each of them says is
followed on both sides."""
import os
import platform
import re

import pytest

from harness import paths, tls_servers
from harness.npm import install
from harness.spans import CLIENT, SERVER

SERVICES = paths.SERVICES
VERSIONS = {"node16": "1.1.1", "node24": "3.5"}

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64",
                                reason="the packages are for this machine alone")


@pytest.fixture(scope="module")
def nodes():
    folder = install("node_versions")
    return {name: folder / "node_modules" / name / "bin/node" for name in VERSIONS}


PAIRS = [("node16", "node16"), ("node24", "node24")]
if os.environ.get("TAGALONG_LONG"):
    PAIRS += [("node16", "node24"), ("node24", "node16")]


@pytest.mark.parametrize("how", ["http1", "http2"])
@pytest.mark.parametrize("client,server", PAIRS)
def test_both_sides_are_followed(run, certificates, nodes, client, server, how):
    said = run.call([nodes[client], "-p", "process.versions.openssl"], traced=False).out.decode()
    assert said.startswith(VERSIONS[client])
    port = tls_servers.echo(run, certificates, [nodes[server], SERVICES / "tls_echo.js"])
    ask = [nodes[client], SERVICES / "tls_ask.js", how, certificates.path("ca.pem")]
    body = run.tmp / "body"
    body.write_bytes(bytes(range(251)) * 4000)
    url = f"https://localhost:{port}"
    seen = run.call([*ask, f"{url}/seen"], "client").out.decode()
    assert run.call([*ask, f"{url}/echo", body], "client").out == body.read_bytes()
    for path in ("/seen", "/echo"):
        asked = run.spans.one(service="client", path=path)
        answered = run.spans.one(service="server", path=path)
        assert (asked.kind, answered.kind) == (CLIENT, SERVER)
        assert (answered.trace_id, answered.parent_id) == (asked.trace_id, asked.span_id)
        for span in (asked, answered):
            assert span["network.protocol.version"] == {"http1": "1.1", "http2": "2"}[how]
            assert span["server.address"] == "localhost" and span["server.port"] == port
        if path == "/seen":
            assert re.fullmatch(f"00-{asked.trace_id}-({asked.span_id}|{answered.span_id})-03", seen)
