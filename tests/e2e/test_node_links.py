# SPDX-License-Identifier: Apache-2.0
"""In Node each request that a service makes is linked to the one it was made for, whatever is open
beside it, and none to another."""
import os
import socket

import pytest

from harness import node_versions, paths
from harness.load import drive, judge
from harness.node_links import ASKED, Links
from harness.ports import free_port
from harness.spans import CLIENT, SERVER
from harness.wait import wait_for

SERVERS = ("http", "https", "http2", "http2s", "streams", "express", "fastify")
CLIENTS = ("http", "pool", "fresh", "names", "array", "https", "pipe", "fetch", "fetch of few",
           "fetch by a pool", "undici", "http2", "grpc")
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


@pytest.mark.parametrize("version", ["system", *node_versions.OTHERS])
@pytest.mark.parametrize("client", ["after tls", "after a worker"])
def test_callbacks_of_what_works_for_many_are_linked_to_nothing(run, certificates, version, client):
    links = Links(run, certificates, "http", client, node=node_versions.node(version))
    assert links.drive(count=8, concurrency=32) == {"orphan": expected(8)}


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


def asked_when_it_is_over(run, upstream, version, when, *pieces):
    """What the service asks for once a connection on which the pieces were sent is over."""
    service = run.traced([node_versions.node(version), paths.SERVICES / "node_over.js", upstream.port, when], "svc")
    with socket.create_connection(("127.0.0.1", int(Links.first_line(service)))) as s:
        for piece in pieces:
            s.sendall(piece + b"\r\n\r\n")
            s.recv(1000)
    wait_for(lambda: upstream.received, 20, alive=service.check_alive)
    return upstream.received[0]


@pytest.mark.parametrize("version", ["system", *node_versions.OTHERS])
@pytest.mark.parametrize("when", ["request close", "response close"])
def test_what_is_done_when_the_caller_has_left_is_linked(run, upstream, version, when):
    asked = asked_when_it_is_over(run, upstream, version, when, b"GET /part HTTP/1.1\r\nHost: h")
    assert run.spans.one(kind=SERVER).trace_id == asked.context()[0]


@pytest.mark.parametrize("version", ["system", *node_versions.OTHERS])
def test_what_is_no_request_is_not_part_of_the_one_before_it(run, upstream, version):
    asked = asked_when_it_is_over(run, upstream, version, "clientError",
                                  b"GET /whole HTTP/1.1\r\nHost: h", b"NONSENSE")
    assert run.spans.one(kind=SERVER).trace_id != asked.context()[0]


@pytest.mark.parametrize("version", ["system", *node_versions.OTHERS])
def test_who_has_long_asked_nobody_is_linked_from_the_second_time_on(run, upstreams, version):
    """Until then contexts are not carried, where that costs something (before version 24)."""
    up, port = upstreams(lambda r: b"out"), free_port()
    run.traced([node_versions.node(version), paths.SERVICES / "relay.js", port, up.port, "http"], "svc", port=port)
    run.call(["ab", "-q", "-n", "1200", "-c", "4", f"http://127.0.0.1:{port}/"], traced=False)
    drive(port, 1, in_flight=1, path="/r/1000")
    assert run.spans.one(kind=CLIENT).link == ("header" if version == "24" else "none")
    up.received.clear()
    drive(port, 60, in_flight=16)
    run.spans.wait(61, kind=CLIENT)
    verdict = judge(run.spans, list(up.received), "svc")
    assert (verdict.right, verdict.wrong, verdict.orphan) == (60, 0, 0)
