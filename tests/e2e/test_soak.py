# SPDX-License-Identifier: Apache-2.0
"""Long runs: memory, descriptors and threads of a traced program do not grow with its requests.
The short form; TAGALONG_LONG=1 sends 1,000,000 requests over 10,000 connections."""
import signal

import pytest

from harness import servers
from harness.load import drive
from harness.paths import scale
from harness.ports import free_port
from harness.usage import descriptors, resident, threads
from harness.wait import Timeout, wait_for

REQUESTS = scale(20000, 1000000)
CONNECTIONS = scale(400, 10000)
QUIET = {"TAGALONG_STATS": "true", "TAGALONG_TRACES_FILE": None, "OTEL_BSP_MAX_QUEUE_SIZE": "2048",
         "OTEL_BSP_SCHEDULE_DELAY": "100"}


def bare_nginx(run, name, directives):
    return servers.nginx(run, directives, name=name, traced=False)


def nginx(run, up, victim, env):
    return servers.nginx_proxy(run, [up], name="svc", env=env)


def haproxy(run, up, victim, env):
    return servers.haproxy(run, [up], name="svc", env=env)


def libcurl_threads(run, up, victim, env):
    port = free_port()
    run.traced([victim("thread_per_connection", ["-lcurl"]), port, up], "svc", port=port, env=env)
    return port


def loop(run, up, victim, env):
    port = free_port()
    run.traced([victim("event_loop", ["-levent"]), port, up], "svc", port=port, env=env)
    return port


PROGRAMS = {"nginx": nginx, "haproxy": haproxy, "thread per connection": libcurl_threads,
            "event loop": loop}


def held(process):
    pids = process.children()
    return (sum(map(resident, pids)), sum(map(descriptors, pids)), sum(map(threads, pids)))


def settled(process):
    """The driver has closed its connections; the program needs a moment to see that."""
    least = held(process)
    for _ in range(60):
        try:
            wait_for(lambda: held(process)[1:] < least[1:], 0.25)
        except Timeout:
            break
        least = held(process)
    return least


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_grows(run, victim, program):
    # The event loop victim opens a connection for each call; that many ports are not free at once.
    n = REQUESTS // 2 if program == "event loop" else REQUESTS
    up = bare_nginx(run, "up", "keepalive_timeout 300s; location / { return 200 ok; }")
    sink = bare_nginx(run, "sink", "client_max_body_size 0; location / { return 200; }")
    port = PROGRAMS[program](run, up, victim, dict(
        QUIET, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink}"))
    process = run.processes[-1]
    each = max(n // CONNECTIONS, 1)
    seen = []
    for part in range(4):
        sent = drive(port, n // 4, in_flight=100, per_connection=each, with_context=lambda i: i % 2)
        assert {s.status for s in sent} == {200}
        seen.append(settled(process))
    print(program, seen)
    # The first half is for warming up: pools, the ring, connections the program keeps.
    for what, most, slack in zip(("resident memory", "descriptors", "threads"),
                                 map(max, zip(*seen[:2])), (1 << 20, 16, 4)):
        last = seen[3][("resident memory", "descriptors", "threads").index(what)]
        assert last <= most + slack, f"{what} grew: {seen}"
    process.stop(signal.SIGTERM)
    if program == "nginx":      # the others die of the signal, and count nothing any more
        stats = run.stats("svc")
        print(stats)
        assert stats.add_up(), stats
        assert stats["spans_committed"] + stats.not_committed() == 2 * n, stats
        assert not any(v for k, v in stats.items() if k.startswith(("opaque_", "untracked_"))), stats
