# SPDX-License-Identifier: Apache-2.0
"""Rule "flow" for Python: with many requests in flight, each outgoing one is under the request it was
made for. The bounded form of tests/bench/links; TAGALONG_LONG=1 passes more."""
import os
import socket
import ssl
import sys

import pytest

from harness import paths
from harness.load import drive
from harness.paths import scale
from harness.ports import free_port
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


@pytest.mark.parametrize("name", ["uvicorn h11, aiohttp", "hypercorn, aiohttp",
                                  "uvicorn h11 on uvloop, aiohttp"])
def test_behind_tls(run, upstreams, certificates, name):
    """What is encrypted passes by other objects than the sockets."""
    up = upstreams(link_bench.answered)
    program = link_bench.PYTHON[name]
    how = ["--ssl-keyfile", "--ssl-certfile"] if "uvicorn" in name else ["--keyfile", "--certfile"]
    tls = link_bench.Program(
        lambda port: [*program.command(port), how[0], certificates.path("server.key"),
                      how[1], certificates.path("server.pem")], program.shapes, program.client)
    port = tls.start(run, up.port, BACKGROUND=1)
    trusting = ssl.create_default_context(cafile=certificates.path("ca.pem"))
    for shape in ("before", "thread"):
        v = link_bench.cell(run, up, port, shape, N, 16, tls=trusting)
        assert (v.wrong, v.orphan) == (0, 0), (shape, v)


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
                                  "uvicorn httptools, httpx", "http.server, requests",
                                  "asyncio streams on uvloop", "aiohttp on uvloop, aiohttp",
                                  "uvicorn httptools on uvloop, httpx"])
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


def test_a_library_that_sends_with_a_mutex_held_is_not_kept_waiting(run, upstreams, victim):
    """Whoever waits for the GIL in send() never gets it: its holder waits for the mutex."""
    up, port, n = upstreams(lambda r: b"done"), free_port(), 10000
    library = victim("gil_mutex", ("-shared", "-fPIC"))
    run.traced([paths.PYTHON, paths.SERVICES / "gil_mutex.py", port, up.port, library, n], "svc",
               port=port)
    sent, = drive(port, 1, in_flight=1)
    assert sent.status == 200
    assert len(up.received) == n
    assert all(r.context() for r in up.received)


def test_other_interpreters_of_the_process_are_left_alone(run, upstreams):
    up = upstreams(link_bench.answered)
    run.call([paths.PYTHON, paths.SERVICES / "subinterpreter.py", up.port], "svc")
    ids = run.spans.by_id()
    by = {where: [ids[r.context()[1]] for r in up.received if r.path == where]
          for where in ("/main", "/other")}
    assert {s.link for s in by["/main"]} == {"flow"} and len(by["/main"]) == 20
    assert "flow" not in {s.link for s in by["/other"]} and len(by["/other"]) == 10


@pytest.mark.parametrize("other", ["int", "None", "str"])
def test_what_programs_put_under_names_of_the_interpreters_is_not_looked_into(run, other):
    run.call([paths.PYTHON, paths.SERVICES / "changed_modules.py", other], "svc")
    assert len(run.spans.wait(6, service="svc")) == 6
