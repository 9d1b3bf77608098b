# SPDX-License-Identifier: Apache-2.0
"""Metrics of programs under `tagalong run`: counted in what they share, told by the supervisor."""
import os
import signal

import pytest

from harness import load, supervised
from harness.metrics import CLIENT, SERVER, counted, latest, points_of
from harness.ports import free_port
from harness.rawhttp import fetch
from harness.wait import wait_for
from otlp_receiver import OtlpReceiver

METRICS = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRIC_EXPORT_INTERVAL": "200",
           "TAGALONG_SHUTDOWN_TIMEOUT": "10000"}    # the machine may be busy


def server(run, receiver, **env):
    port = free_port()
    front = supervised.start(run, receiver, ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1",
                                             port], env={**METRICS, **env}, port=port)
    return front, port


def requests_told(receiver, name=SERVER):
    return counted(latest(points_of(receiver.metrics, name)))


def value(receiver, name, **attributes):
    return sum(p.value for p in latest(points_of(receiver.metrics, name))
               if all(p[k.replace("_", ".")] == v for k, v in attributes.items()))


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
def test_every_request_is_counted_while_the_program_runs(run, receiver, sampler):
    front, port = server(run, receiver, OTEL_TRACES_SAMPLER=sampler)
    load.drive(port, 25, in_flight=1, path="/")
    wait_for(lambda: requests_told(receiver) == 25, 15, "25 requests")
    points = latest(points_of(receiver.metrics, SERVER))
    assert {p.service for p in points} == {"svc"}
    assert {p["http.response.status_code"] for p in points} == {200}
    front.stop()


def test_metrics_are_json_where_that_is_asked_for(run, receiver):
    front, port = server(run, receiver, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="http/json")
    load.drive(port, 25, in_flight=1, path="/")
    wait_for(lambda: requests_told(receiver) == 25, 15, "25 requests")
    assert {r.is_json for r in receiver.requests if r.metrics} == {True}
    assert sum(p.sum for p in latest(points_of(receiver.metrics, SERVER))) > 0
    assert value(receiver, "otel.sdk.span.started") == 25
    front.stop()


def test_an_ended_process_is_told_of_once_more(run, receiver):
    port = free_port()
    run.bare(["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", port], port=port)
    script = f"for i in 1 2 3 4 5; do curl -s -o /dev/null http://127.0.0.1:{port}/; done"
    supervised.call(run, receiver, ["sh", "-c", script], env={**METRICS, "OTEL_METRIC_EXPORT_INTERVAL": "60000"})
    assert requests_told(receiver, CLIENT) == 5
    assert len({p.instance for p in points_of(receiver.metrics, CLIENT)}) == 5


def test_what_a_killed_process_had_counted_is_told(run, receiver):
    front, port = server(run, receiver, OTEL_METRIC_EXPORT_INTERVAL="60000")
    load.drive(port, 12, in_flight=1, path="/")
    os.kill(supervised.program(front), signal.SIGKILL)
    front.wait()
    assert requests_told(receiver) in (11, 12)    # the last may not have been at its end


def test_the_supervisor_tells_what_became_of_spans(run, receiver):
    front, port = server(run, receiver)
    load.drive(port, 9, in_flight=1, path="/")
    front.stop()
    assert value(receiver, "otel.sdk.exporter.span.exported") == 9
    assert value(receiver, "otel.sdk.processor.span.processed") == 9
    exported = latest(points_of(receiver.metrics, "otel.sdk.exporter.span.exported"))
    assert {p["otel.component.type"] for p in exported} == {"otlp_http_span_exporter"}


@pytest.mark.parametrize("how", ["delta", "lowmemory"])
def test_differences_add_up(run, receiver, how):
    front, port = server(run, receiver, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=how)
    for n in (4, 6):
        load.drive(port, n, in_flight=1, path="/")
        before = len(receiver.metrics)
        wait_for(lambda: len(receiver.metrics) > before, 10, "another export")
    front.stop()
    assert sum(p.count for p in points_of(receiver.metrics, SERVER)) == 10


def test_a_receiver_that_hangs_holds_up_nothing(run):
    with OtlpReceiver() as hung:
        hung.behave("hang")
        front, port = server(run, hung, TAGALONG_SHUTDOWN_TIMEOUT="500")
        assert fetch(port, "/").status == 200
        front.stop()
        assert front.p.returncode is not None


def test_a_process_whose_supervisor_dies_tells_by_itself(run, receiver):
    front, port = server(run, receiver)
    load.drive(port, 3, in_flight=1, path="/")
    wait_for(lambda: requests_told(receiver) == 3, 15, "3 requests")
    os.kill(supervised.companion(front), signal.SIGKILL)

    def more():
        fetch(port, "/")
        return requests_told(receiver) > 3
    wait_for(more, 20, "metrics by the process itself")
    front.stop()
