# SPDX-License-Identifier: Apache-2.0
"""Metrics of real programs: as many requests are counted as were made, whatever becomes of their spans;
in the right buckets, by the right attributes, per process, and once more at the end."""

import pytest

from harness import load, paths, servers
from harness.metrics import CLIENT, DELTA, SERVER, counted, latest, points_of
from harness.rawhttp import fetch
from harness.wait import wait_for
from otlp_receiver import OtlpReceiver


def variables(receiver, **more):
    return {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "100", "OTEL_TRACES_EXPORTER": "none",
            "TAGALONG_TRACES_FILE": None, **more}


def nginx(run, env, server="location / { return 200 hello; }", **kw):
    return servers.nginx(run, server, name="srv", env=env, **kw)


def stop(run):
    """Ends all programs, in order; what they had to say has been sent."""
    for p in run.processes:
        p.stop()


def wait_counted(receiver, name, n):
    wait_for(lambda: counted(latest(points_of(receiver.metrics, name))) >= n, 15,
             f"{n} requests in {name}")
    return latest(points_of(receiver.metrics, name))


def self_metric(metrics, name, *values):
    """The numbers of all processes, summed, of the points with these values of attributes."""
    return sum(p.value for p in latest(points_of(metrics, name))
               if set(values) <= set(p.attributes.values()))


SAMPLING = {
    "all spans wanted": {},
    "no span sampled": {"OTEL_TRACES_SAMPLER": "always_off"},
    "spans to the receiver": {"OTEL_TRACES_EXPORTER": "otlp"},
    "a tenth of the spans": {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1",
                             "OTEL_TRACES_EXPORTER": "otlp"},
}


@pytest.mark.parametrize("how", list(SAMPLING))
def test_every_request_is_counted(run, receiver, how):
    port = nginx(run, variables(receiver, **SAMPLING[how]),
                 "location / { return 200 hello; } location /missing { return 404; }"
                 "location /broken { return 500; }")
    for path, n in ("/", 30), ("/missing", 7), ("/broken", 3):
        load.drive(port, n, in_flight=4, path=path)
    points = wait_counted(receiver, SERVER, 40)
    stop(run)
    assert {p["http.response.status_code"]: p.count for p in points} == {200: 30, 404: 7, 500: 3}
    for p in points:
        status = p["http.response.status_code"]
        assert p.attributes == {
            "http.request.method": "GET", "url.scheme": "http", "http.response.status_code": status,
            "network.protocol.version": "1.1", **({"error.type": "500"} if status == 500 else {})}
        assert p.service == "srv" and 0 < p.sum < 10
    assert counted(latest(points_of(receiver.metrics, SERVER))) == 40
    request = next(r for r in receiver.requests if r.metrics)
    assert request.line == "POST /v1/metrics HTTP/1.1"
    assert request.headers["content-type"] == "application/x-protobuf"
    for m in receiver.metrics:
        assert m["scope"]["name"] == "tagalong" and m["schemaUrl"].endswith("/1.44.0")


def test_off_by_default(run, receiver):
    port = nginx(run, variables(receiver, OTEL_METRICS_EXPORTER=None, OTEL_TRACES_EXPORTER="otlp"))
    load.drive(port, 5, in_flight=1, path="/")
    receiver.wait_spans(5)
    stop(run)
    assert not receiver.metrics


def test_a_client_says_whom_it_asked(run, receiver, upstream):
    env = variables(receiver, OTEL_METRIC_EXPORT_INTERVAL="60000")
    for path in "/a", "/b?x=1":
        run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}{path}"], "curl", env)
    run.call(["curl", "-sS", "-X", "FROBNICATE", "-0", f"http://127.0.0.1:{upstream.port}/"], "curl",
             env)
    points = latest(points_of(receiver.metrics, CLIENT))
    assert counted(points) == 3 and len({p.instance for p in points}) == 3
    common = {"server.address": "127.0.0.1", "server.port": upstream.port,
              "http.response.status_code": 200}
    assert sorted((p.attributes for p in points), key=str) == sorted([
        {"http.request.method": "GET", "network.protocol.version": "1.1", **common},
        {"http.request.method": "GET", "network.protocol.version": "1.1", **common},
        {"http.request.method": "_OTHER", "network.protocol.version": "1.0", **common}], key=str)
    assert not points_of(receiver.metrics, SERVER)


def test_a_client_whose_server_is_gone(run, receiver):
    env = variables(receiver)
    with OtlpReceiver() as gone:
        gone.behave("early-close")
        run.call(["curl", "-sS", f"http://127.0.0.1:{gone.port}/", "-d", "x"], "curl", env, check=False)
    point, = latest(points_of(receiver.metrics, CLIENT))
    assert point["error.type"] == "connection_closed" and point.count == 1
    assert point["http.response.status_code"] is None


def test_durations_are_in_their_buckets(run, receiver, upstreams):
    from harness.odd_upstream import OddUpstream
    odd = run.add(OddUpstream())
    env = variables(receiver)
    for ms, bucket in (0, None), (30, 3), (300, 7):
        before = counted(latest(points_of(receiver.metrics, CLIENT)))
        run.call(["curl", "-sS", f"http://127.0.0.1:{odd.port}/slow/{ms}"], f"curl-{ms}", env)
        points = latest(points_of(receiver.metrics, CLIENT, service_name=f"curl-{ms}"))
        assert counted(latest(points_of(receiver.metrics, CLIENT))) == before + 1
        at = points[0].buckets.index(1)
        # The machine may be slow, never fast.
        assert at >= (bucket or 0), points[0].buckets
        assert points[0].sum >= ms / 1000
        assert at == 0 or points[0].sum > points[0].bounds[at - 1]
        assert at == len(points[0].bounds) or points[0].sum <= points[0].bounds[at]


def test_routes_and_excluded_paths(run, receiver):
    port = nginx(run, variables(receiver, TAGALONG_ROUTES="/users/{id},/static/*",
                                TAGALONG_EXCLUDE_PATHS="/healthz"))
    for path, n in ("/users/7", 3), ("/users/8", 2), ("/static/a/b", 1), ("/else", 4), ("/healthz", 9):
        load.drive(port, n, in_flight=1, path=path)
    points = wait_counted(receiver, SERVER, 10)
    stop(run)
    assert {p["http.route"]: p.count for p in points} == {"/users/{id}": 5, "/static/*": 1, None: 4}
    assert counted(latest(points_of(receiver.metrics, SERVER))) == 10


def test_callers_cannot_make_series(run, receiver):
    """Made-up methods, schemes and hosts end in one series."""
    port = nginx(run, variables(receiver))
    for i in range(20):
        fetch(port, f"/{i}", method=f"M{i}", headers=[("X-Forwarded-Proto", f"p{i}"),
                                                      ("X-Forwarded-Host", f"h{i}")])
    points = wait_counted(receiver, SERVER, 20)
    assert {p["http.request.method"] for p in points} == {"_OTHER"}
    assert {p["url.scheme"] for p in points} == {"http"}
    assert len(points) == len({p["http.response.status_code"] for p in points})


def test_many_hosts_end_in_the_series_for_the_rest(run, receiver, upstream):
    urls = "\nnext\n".join(f'url = "http://127.0.0.1:{upstream.port}/"\nheader = "Host: h{i}.test"'
                           for i in range(300))
    run.call(["curl", "-sS", "-K", "-"], "curl", variables(receiver), input=urls.encode())
    points = latest(points_of(receiver.metrics, CLIENT))
    rest, = (p for p in points if p["otel.metric.overflow"])
    assert rest.attributes == {"otel.metric.overflow": True}
    assert counted(points) == 300 and 240 < len(points) <= 257


def test_both_sides_of_a_proxy(run, receiver, upstream):
    port = servers.nginx_proxy(run, [upstream.port], name="proxy", env=variables(receiver))
    load.drive(port, 200, in_flight=20)
    inside = wait_counted(receiver, SERVER, 200)
    outside = wait_counted(receiver, CLIENT, 200)
    stop(run)
    assert counted(inside) == counted(outside) == 200 == len(upstream.received)
    assert {p["server.port"] for p in outside} == {port}        # as the Host header says
    for origin in "none", "local":
        assert self_metric(receiver.metrics, "otel.sdk.span.started", origin,
                           "RECORD_AND_SAMPLE") == 200


def test_workers_count_for_themselves(run, receiver):
    """Four processes, forked: each has its own series, and together they have all."""
    port = servers.gunicorn(run, "plain:app", workers=4, name="srv",
                            env=variables(receiver, OTEL_METRIC_EXPORT_INTERVAL="60000"))
    load.drive(port, 400, in_flight=16, path="/hello.txt", keepalive=False)
    stop(run)
    points = latest(points_of(receiver.metrics, SERVER))
    assert counted(points) == 400
    assert len({p.instance for p in points}) == len({p.resource["process.pid"] for p in points}) > 1
    for p in points:
        assert p.attributes["http.response.status_code"] == 200 and p.service == "srv"


def test_differences_add_up(run, receiver):
    env = variables(receiver, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta")
    port = nginx(run, env)
    for n in (5, 11, 17):
        before = counted(points_of(receiver.metrics, SERVER))
        load.drive(port, n, in_flight=2, path="/")
        wait_for(lambda: counted(points_of(receiver.metrics, SERVER)) >= before + n, 15, "requests")
    stop(run)
    points = sorted(points_of(receiver.metrics, SERVER), key=lambda p: p.time)
    assert counted(points) == 33 and all(p.temporality == DELTA and p.count for p in points)
    for a, b in zip(points, points[1:]):
        assert a.start < a.time <= b.start < b.time
    started = points_of(receiver.metrics, "otel.sdk.span.started")
    assert sum(p.value for p in started) == 33
    assert all(p.temporality == DELTA and p.monotonic for p in started)


def test_low_memory_keeps_what_is_looked_up_cumulative(run, receiver):
    env = variables(receiver, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="lowmemory")
    port = nginx(run, env)
    load.drive(port, 9, in_flight=2, path="/")
    wait_for(lambda: counted(points_of(receiver.metrics, SERVER)) >= 9, 15, "requests")
    stop(run)
    assert {p.temporality for p in points_of(receiver.metrics, SERVER)} == {DELTA}
    assert self_metric(receiver.metrics, "otel.sdk.span.started") == 9


def test_the_library_tells_of_its_spans(run, receiver):
    port = nginx(run, variables(receiver, OTEL_TRACES_EXPORTER="otlp"))
    load.drive(port, 120, in_flight=8, path="/")
    receiver.wait_spans(120)
    wait_for(lambda: self_metric(receiver.metrics, "otel.sdk.exporter.span.exported") >= 120, 15,
             "the spans to be told of")
    stop(run)
    metrics = receiver.metrics
    exported, = {(p["otel.component.name"], p["otel.component.type"], p["server.address"],
                  p["server.port"]) for p in points_of(metrics, "otel.sdk.exporter.span.exported")}
    assert exported == ("otlp_http_span_exporter/0", "otlp_http_span_exporter", "127.0.0.1",
                        receiver.port)
    assert self_metric(metrics, "otel.sdk.exporter.span.exported") == 120
    assert self_metric(metrics, "otel.sdk.processor.span.processed") == 120
    assert self_metric(metrics, "otel.sdk.processor.span.processed",
                       "batching_span_processor") == 120
    assert self_metric(metrics, "otel.sdk.exporter.span.inflight") == 0
    assert self_metric(metrics, "otel.sdk.processor.span.queue.size") == 0
    capacity = points_of(metrics, "otel.sdk.processor.span.queue.capacity")
    assert {p.value for p in capacity} == {65536} and not any(p.monotonic for p in capacity)


def test_spans_that_are_lost_are_told_of(run):
    with OtlpReceiver() as spans, OtlpReceiver() as metrics:
        spans.behave("status:400")
        port = nginx(run, variables(metrics, OTEL_TRACES_EXPORTER="otlp",
                                    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=spans.url))
        load.drive(port, 10, in_flight=1, path="/")
        wait_for(lambda: self_metric(metrics.metrics, "otel.sdk.exporter.span.exported",
                                     "response") >= 10, 15, "the loss to be told of")
        assert not spans.metrics and not metrics.spans
        assert counted(latest(points_of(metrics.metrics, SERVER))) == 10


# -- how they are sent --

def test_variables_for_metrics_alone(run, receiver):
    with OtlpReceiver() as other:
        port = nginx(run, variables(
            receiver, OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_HEADERS="a=1",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{other.url}/my/metrics?x=1",
            OTEL_EXPORTER_OTLP_METRICS_HEADERS="key=v%20w"))
        load.drive(port, 3, in_flight=1, path="/")
        wait_counted(other, SERVER, 3)
        receiver.wait_spans(3)
        stop(run)
        assert {r.line for r in other.requests} == {"POST /my/metrics?x=1 HTTP/1.1"}
        assert other.requests[0].headers["key"] == "v w" and "a" not in other.requests[0].headers
        assert not receiver.metrics and receiver.requests[0].headers["a"] == "1"


def test_the_last_ones_are_sent_at_the_end(run, receiver):
    port = nginx(run, variables(receiver, OTEL_METRIC_EXPORT_INTERVAL="60000"))
    load.drive(port, 21, in_flight=3, path="/")
    assert not receiver.metrics
    stop(run)
    assert counted(latest(points_of(receiver.metrics, SERVER))) == 21
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("how", ["status:503", "status:400", "early-close", "reset"])
def test_what_did_not_arrive_is_told_again(run, receiver, how):
    receiver.behave(how, how, "ok")
    port = nginx(run, variables(receiver))
    load.drive(port, 8, in_flight=1, path="/")
    wait_counted(receiver, SERVER, 8)
    stop(run)
    assert counted(latest(points_of(receiver.metrics, SERVER))) == 8


def test_differences_that_did_not_arrive_are_told_again(run, receiver):
    receiver.behave("status:503", "status:503", "ok")
    port = nginx(run, variables(receiver,
                                OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta"))
    load.drive(port, 8, in_flight=1, path="/")
    wait_for(lambda: counted(points_of(receiver.metrics, SERVER)) >= 8, 15, "requests")
    stop(run)
    assert counted(points_of(receiver.metrics, SERVER)) == 8


def test_a_hung_receiver_of_metrics_does_not_hold_up_the_spans_at_the_end(run):
    with OtlpReceiver() as spans, OtlpReceiver() as metrics:
        metrics.behave("hang")
        port = nginx(run, variables(metrics, OTEL_TRACES_EXPORTER="otlp",
                                    OTEL_BSP_SCHEDULE_DELAY="60000",
                                    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=spans.url))
        load.drive(port, 5, in_flight=1, path="/")
        metrics.wait_requests(1)
        stop(run)
        assert len(spans.wait_spans(5, timeout=1)) == 5


def test_requests_to_the_collector_are_not_counted(run, receiver, upstream):
    receiver.behave("status:404", "ok")
    run.call(["curl", "-sS", "-d", "", f"{receiver.url}/v1/metrics", "--next", "-sS",
              f"http://127.0.0.1:{upstream.port}/"], "curl",
             variables(receiver, OTEL_METRIC_EXPORT_INTERVAL="60000"))
    point, = latest(points_of(receiver.metrics, CLIENT))
    assert point.count == 1 and point["server.port"] == upstream.port


def test_nothing_when_disabled(run, receiver):
    port = nginx(run, variables(receiver, OTEL_SDK_DISABLED="true"))
    load.drive(port, 5, in_flight=1, path="/")
    stop(run)
    assert not receiver.requests


def test_a_program_that_execs_tells_before(run, receiver, upstream):
    """Two images of one process: each has its requests, and an instance id of its own."""
    script = ("import os, sys, urllib.request\n"
              f"urllib.request.urlopen('http://127.0.0.1:{upstream.port}/').read()\n"
              "n = int(sys.argv[1])\n"
              "if n: os.execv(sys.executable, [sys.executable, sys.argv[0], str(n - 1)])\n")
    path = run.tmp / "again.py"
    path.write_text(script)
    run.call([paths.PYTHON, path, "2"], "again", variables(receiver,
                                                           OTEL_METRIC_EXPORT_INTERVAL="60000"))
    points = latest(points_of(receiver.metrics, CLIENT))
    assert counted(points) == 3 == len({p.instance for p in points})
    assert len({p.resource["process.pid"] for p in points}) == 1


def test_without_the_supervisor_it_was_promised_a_process_sends_itself(run, receiver):
    port = nginx(run, variables(receiver, TAGALONG_SHARED_DIR=str(run.tmp / "nobody")))
    load.drive(port, 12, in_flight=2, path="/")
    wait_counted(receiver, SERVER, 12)
    stop(run)
    assert counted(latest(points_of(receiver.metrics, SERVER))) == 12
