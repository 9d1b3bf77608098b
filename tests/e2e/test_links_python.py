# SPDX-License-Identifier: Apache-2.0
"""Rule "flow" for Python: with many requests in flight, each outgoing one is under the request it was
made for. The bounded form of tests/bench/links; TAGALONG_LONG=1 passes more."""
import os
import socket
import sys

import pytest

from harness import paths
from harness.paths import scale
from harness.wait import wait_for

sys.path.insert(0, str(paths.ROOT / "tests" / "bench"))

import link_bench                                       # noqa: E402

N = scale(64, 1000)
IN_FLIGHT = [1, 8, 32, 128] if os.environ.get("TAGALONG_LONG") else [16]
# As far as several programs do the same in the same way, one of them does.
SHAPES = {name: program.shapes if os.environ.get("TAGALONG_LONG") else
          [s for s in program.shapes if s in ("before", "gather", "thread", "task", "sync-thread", "lost")]
          for name, program in link_bench.PYTHON.items()}


@pytest.mark.parametrize("name", link_bench.PYTHON)
def test_every_parent_is_the_right_one(run, upstreams, name):
    up = upstreams(link_bench.answered)
    program = link_bench.PYTHON[name]
    port = program.start(run, up.port, BACKGROUND=1)
    for shape in SHAPES[name]:
        for in_flight in IN_FLIGHT:
            v = link_bench.cell(run, up, port, shape, N, in_flight)
            assert v.wrong == 0, (shape, v)
            if shape in link_bench.LOST:
                assert v.right == 0, (shape, v)
            elif (name, shape) not in link_bench.UNKNOWABLE:
                assert v.orphan == 0, (shape, v)


def test_what_follows_the_answer_is_under_the_request_that_was_answered(run, upstreams):
    up = upstreams(link_bench.answered)
    port = link_bench.PYTHON["aiohttp, aiohttp"].start(run, up.port)
    for shape in ("after", "task"):
        v = link_bench.cell(run, up, port, shape, N * 4, 16)
        assert (v.wrong, v.orphan) == (0, 0), (shape, v)
        assert set(v.links) == {"flow"}, v


def pipelined(port, n, shape):
    """n requests in one piece, and their answers."""
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(b"".join(b"GET /%s/r/%d HTTP/1.1\r\nHost: h\r\n\r\n" % (shape, i)
                           for i in range(n)))
        got = b""
        while got.count(b"HTTP/1.1 200") < n or not got.endswith(b"ok\n"):
            more = s.recv(65536)
            assert more, got
            got += more


@pytest.mark.parametrize("name", ["asyncio streams", "aiohttp, aiohttp", "uvicorn h11, aiohttp",
                                  "uvicorn httptools, httpx", "http.server, requests"])
def test_requests_that_do_not_wait_for_answers_get_no_wrong_parent(run, upstreams, name):
    """Servers make the context of the next one out of the last one's."""
    up = upstreams(link_bench.answered)
    port = link_bench.PYTHON[name].start(run, up.port)
    pipelined(port, 20, b"before")
    wait_for(lambda: len(up.received) == 40, 20)
    v = link_bench.verdict(run, list(up.received))
    assert v.wrong == 0, v


def test_switched_off(run, upstreams):
    up = upstreams(link_bench.answered)
    port = link_bench.PYTHON["aiohttp, aiohttp"].start(run, up.port, TAGALONG_PYTHON="off")
    v = link_bench.cell(run, up, port, "before", N, 16)
    assert (v.right, v.wrong) == (0, 0), v
