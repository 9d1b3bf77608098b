# SPDX-License-Identifier: Apache-2.0
"""In Node each request that a service makes is linked to the one it was made for, whatever is open
beside it, and none to another."""
import os

import pytest

from harness import node_versions
from harness.node_links import ASKED, Links

SERVERS = ("http", "https", "http2", "http2s", "streams", "express", "fastify")
CLIENTS = ("http", "pool", "fresh", "names", "array", "https", "pipe", "fetch", "fetch of few", "undici", "http2", "grpc")
PAIRS = [(s, "keep") for s in SERVERS[1:]] + [("http", c) for c in CLIENTS]
if os.environ.get("TAGALONG_LONG"):
    PAIRS = [(s, c) for s in SERVERS for c in ("keep", *CLIENTS)]


def expected(count, shapes=ASKED):
    return count * sum(ASKED[s] for s in shapes)


@pytest.mark.parametrize("version", ["system", *node_versions.OTHERS])
@pytest.mark.parametrize("server,client", PAIRS)
def test_each_request_is_linked_to_its_cause(run, certificates, version, server, client):
    links = Links(run, certificates, server, client, node=node_versions.node(version))
    assert links.drive(count=8, concurrency=32) == {"right": expected(8)}


@pytest.mark.parametrize("concurrency", [1, 128])
def test_so_it_is_however_many_are_open(run, certificates, concurrency):
    links = Links(run, certificates, "http", "pool")
    count = 3 if concurrency == 1 else 25
    assert links.drive(count=count, concurrency=concurrency) == {"right": expected(count)}


@pytest.mark.parametrize("server,client", [("https", "fetch"), ("streams", "grpc")])
def test_so_it_is_when_the_caller_sends_a_context(run, certificates, server, client):
    links = Links(run, certificates, server, client)
    assert links.drive(context=True) == {"right": expected(8)}


@pytest.mark.parametrize("client", ["keep", "http2"])
def test_what_the_service_does_on_its_own_account_is_linked_to_nothing(run, certificates, client):
    links = Links(run, certificates, "http", client, background=True)
    counts = links.drive()
    assert counts.pop("background") > 3
    assert counts == {"right": expected(8)}
