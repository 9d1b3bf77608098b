# SPDX-License-Identifier: Apache-2.0
"""Real programs under load while the receiver of their spans is down, slow or wrong: the program is
not affected, memory is bounded, and every span is counted once."""
import signal
import time

import pytest

from harness import servers
from harness.load import drive
from harness.paths import scale
from harness.ports import free_port
from harness.usage import resident

N = scale(2000, 20000)
QUEUE = 512
ENV = {"TAGALONG_STATS": "true", "TAGALONG_TRACES_FILE": None, "OTEL_BSP_SCHEDULE_DELAY": "50",
       "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE), "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "128",
       "OTEL_EXPORTER_OTLP_TIMEOUT": "1500", "TAGALONG_SHUTDOWN_TIMEOUT": "500"}

BEHAVIOURS = ["ok", "down", "slow:0.3", "status:429 retry-after:1", "status:503 retry-date:1",
              "status:502", "status:400", "status:413", "status:500", "partial:7:some", "early-close",
              "reset", "hang", "never-read", "refuse-early", "garbage", "endless", "close-after",
              "chunked", "until-close", "bytewise"]
DELIVER = {"ok", "close-after", "chunked", "until-close"}


def endpoint(receiver, behaviour):
    if behaviour == "down":
        return f"http://127.0.0.1:{free_port()}"
    receiver.behave(behaviour)
    return receiver.url


def check_counters(stats, spans):
    assert stats.add_up(), stats
    assert stats["spans_committed"] + stats.not_committed() == spans, stats


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_nginx_under_load(run, upstreams, receiver, behaviour):
    up = upstreams(lambda r: b"ok")
    port = servers.nginx_proxy(run, [up.port], name="svc",
                               env=dict(ENV, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint(receiver,
                                                                                 behaviour)))
    nginx = run.processes[0]
    sent = drive(port, N // 4, with_context=lambda i: True)
    before = sum(map(resident, nginx.children()))
    sent += drive(port, N - N // 4, with_context=lambda i: True)
    after = sum(map(resident, nginx.children()))
    assert {s.status for s in sent} == {200}
    assert len({r.context()[1] for r in up.received}) == N
    assert max(s.ended - s.started for s in sent) < 2
    assert after - before < 3 << 20, (before, after)
    start = time.monotonic()
    assert nginx.stop(signal.SIGTERM) == 0
    assert time.monotonic() - start < 2.5, "the end took too long"
    stats = run.stats("svc")
    print(behaviour, stats)
    check_counters(stats, 2 * N)
    got = [s["spanId"] for s in receiver.spans]
    assert len(got) == len(set(got)), "a span came twice"
    if behaviour in DELIVER:
        assert stats["spans_exported"] == len(got) > 0
        assert not stats.dropped(), stats
    elif behaviour.startswith("partial"):
        # A batch of fewer than seven cannot lose seven.
        assert 0 < stats["spans_dropped_rejected"] <= 7 * stats["exports"]
    elif behaviour not in ("slow:0.3", "bytewise"):
        assert stats["spans_exported"] == 0 and stats.dropped() > 0, stats


@pytest.mark.parametrize("behaviour", ["ok", "down", "hang", "status:503 retry-after:1", "reset"])
def test_gunicorn_under_load(run, upstreams, receiver, behaviour):
    up = upstreams(lambda r: b"ok")
    port = servers.gunicorn(run, "relay:app", "gthread", threads=8, name="svc",
                            env=dict(ENV, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint(receiver, behaviour),
                                     UPSTREAM=up.port, CLIENT="http.client"))
    n = N // 4
    sent = drive(port, n, in_flight=16)
    assert {s.status for s in sent} == {200}
    start = time.monotonic()
    assert run.processes[0].stop(signal.SIGTERM) == 0
    assert time.monotonic() - start < 5
    check_counters(run.stats("svc"), 2 * n)


@pytest.mark.parametrize("fault", ["status:503", "status:429 retry-after:1", "early-close", "reset",
                                   "down"])
def test_a_receiver_that_comes_back_gets_everything(run, upstreams, receiver, fault):
    """With a queue that holds it all, a pause of the receiver loses nothing."""
    up = upstreams(lambda r: b"ok")
    if fault == "down":
        receiver.close()
    else:
        receiver.behave(fault, fault, "ok")
    port = servers.nginx_proxy(run, [up.port], name="svc", env=dict(
        ENV, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_BSP_MAX_QUEUE_SIZE="16384",
        OTEL_EXPORTER_OTLP_TIMEOUT="20000"))
    n = 500
    drive(port, n)
    if fault == "down":
        receiver.start()
    receiver.wait_spans(2 * n, timeout=30)
    run.processes[0].stop(signal.SIGTERM)
    stats = run.stats("svc")
    assert stats["spans_exported"] == stats["spans_committed"] == 2 * n, stats
    assert len({s["spanId"] for s in receiver.spans}) == 2 * n
    assert stats["export_retries"] > 0, stats


def test_no_trace_header_goes_to_the_receiver(run, upstreams, receiver):
    """The library does not trace its own export, nor a program's requests to the same address."""
    up = upstreams(lambda r: b"ok")
    port = servers.nginx_proxy(run, [up.port], name="svc",
                               env=dict(ENV, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url))
    drive(port, 100)
    receiver.wait_spans(200)
    assert all("traceparent" not in r.headers for r in receiver.requests)
    assert not [s for s in receiver.spans if "v1/traces" in str(s)]
