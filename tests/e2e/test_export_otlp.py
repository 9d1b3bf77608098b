# SPDX-License-Identifier: Apache-2.0
"""The exporter in front of a receiver that does everything wrong: right retries, and counters that add
up to the spans committed whatever happens."""
import socket
import threading
import time

import pytest

from exporter_driver import Driver, add_up
from harness.ports import free_port
from harness.wait import wait_for
from otlp_receiver import OtlpReceiver


# -- what is sent --

def test_request_is_as_the_specification_says(receiver, drive):
    d = drive(receiver.url, OTEL_EXPORTER_OTLP_HEADERS="api-key=se%20cret,x=1")
    d.commit(3)
    spans = receiver.wait_spans(3)
    r = receiver.requests[0]
    assert r.line == "POST /v1/traces HTTP/1.1"
    assert r.headers["content-type"] == "application/x-protobuf"
    assert r.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert r.headers["api-key"] == "se cret" and r.headers["x"] == "1"
    assert "content-encoding" not in r.headers and "transfer-encoding" not in r.headers
    agent, otel = r.headers["user-agent"].split(" ")
    assert agent.startswith("tagalong/") and otel == agent.replace("tagalong", "OTel-OTLP-Exporter-C")
    assert {s["name"] for s in spans} == {"GET /users/{id}"}
    assert {"key": "service.name", "value": {"stringValue": "driver"}} in spans[0]["resource"]
    assert d.settled()["spans_exported"] == 3


def test_batches_go_over_one_connection(receiver, drive):
    d = drive(receiver.url, OTEL_BSP_MAX_EXPORT_BATCH_SIZE=50)
    for i in range(5):
        d.commit(100)
        receiver.wait_spans((i + 1) * 100)
    assert receiver.connections == 1
    assert max(len(r.spans) for r in receiver.requests) <= 50
    assert len({s["spanId"] for s in receiver.spans}) == 500
    assert d.settled()["spans_exported"] == 500


def test_no_empty_request_is_sent(receiver, drive):
    d = drive(receiver.url, OTEL_BSP_SCHEDULE_DELAY=1)
    d.commit(1)
    receiver.wait_spans(1)
    d.ask("flush 1000")
    time.sleep(0.2)                             # a time in which nothing may happen
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("how", ["chunked", "until-close", "interim", "bytewise", "close-after",
                                 "interim bytewise chunked partial:0:", "slow:0.5"])
def test_every_way_to_say_yes(receiver, drive, how):
    receiver.behave(how)
    d = drive(receiver.url)
    for i in range(3):
        d.commit(4)
        receiver.wait_spans(4 * (i + 1))
    c = d.settled()
    assert c["spans_exported"] == 12 and c["export_failures"] == 0 and c["export_retries"] == 0
    assert len(receiver.requests) <= 12


def test_large_batches_are_cut_to_size(receiver, drive):
    d = drive(receiver.url, OTEL_BSP_MAX_EXPORT_BATCH_SIZE=2048)
    taken = d.commit(300, "n" * 4000)           # more than the ring's 1 MiB
    assert 100 < taken < 300
    receiver.wait_spans(taken)
    assert max(len(r.body) for r in receiver.requests) < 2 << 20
    c = d.settled()
    assert c["spans_exported"] == taken and c["spans_dropped_queue_full"] == 300 - taken


def test_ipv6_and_userinfo(drive):
    with OtlpReceiver(host="::1", family=socket.AF_INET6) as r:
        d = drive(f"http://user:pass@[::1]:{r.port}/base")
        d.commit(1)
        r.wait_spans(1)
        assert r.requests[0].headers["host"] == f"[::1]:{r.port}"
        assert r.requests[0].headers["authorization"] == "Basic dXNlcjpwYXNz"
        assert r.requests[0].line.split()[1] == "/base/v1/traces"
        assert "pass" not in d.log()


# -- retries --

def test_a_receiver_that_is_down_gets_the_spans_when_it_is_back(drive):
    with OtlpReceiver() as r:
        r.close()
        d = drive(r.url)
        d.commit(7)
        wait_for(lambda: d.counters()["export_retries"] >= 1, what="a retry")
        add_up(d.counters())
        r.start()
        r.wait_spans(7)
        c = d.settled()
        assert c["spans_exported"] == 7 and c["export_failures"] == 0
        assert d.log().count("connection refused") == 1


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_exactly_these_codes_are_retried(receiver, drive, code):
    receiver.behave(f"status:{code}", "ok")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_spans(5)
    first, second = receiver.requests
    assert 0.7 < second.time - first.time < 2
    assert first.body == second.body
    assert d.settled()["spans_exported"] == 5


@pytest.mark.parametrize("code", [300, 400, 401, 404, 408, 413, 500, 501, 505])
def test_no_other_code_is_retried(receiver, drive, code):
    receiver.behave(f"status:{code}", "ok")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_requests(1)
    c = d.settled()
    assert c["spans_dropped_response"] == 5 and c["export_retries"] == 0
    assert f"answers {code}" in d.log()
    assert ("told to" in d.log()) == (code >= 400)
    d.commit(2)
    receiver.wait_spans(2)
    assert d.settled()["spans_exported"] == 2


@pytest.mark.parametrize("how", ["retry-after:2", "retry-date:3"])
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured_in_both_forms(receiver, drive, code, how):
    receiver.behave(f"status:{code} {how}", "ok")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_spans(5)
    first, second = receiver.requests
    assert 1.9 < second.time - first.time < 4
    assert d.settled()["spans_exported"] == 5


def test_retry_after_past_the_budget_ends_the_batch_and_is_still_honoured(receiver, drive):
    receiver.behave("status:503 retry-after:3", "ok")
    d = drive(receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT=1000)
    d.commit(5)
    receiver.wait_requests(1)
    c = d.settled()
    assert c["spans_dropped_retries"] == 5
    d.commit(2)
    receiver.wait_spans(2)
    assert receiver.requests[1].time - receiver.requests[0].time > 2.5
    assert add_up(d.settled())["spans_exported"] == 2


@pytest.mark.parametrize("how", ["early-close", "reset"])
def test_a_connection_that_ends_without_an_answer_is_retried(receiver, drive, how):
    receiver.behave(how, how, "ok")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_spans(5)
    times = [r.time for r in receiver.requests]
    assert len(times) == 3 and times[1] - times[0] > 0.7 and times[2] - times[1] > 1
    assert d.settled()["spans_exported"] == 5


def test_a_kept_connection_that_was_closed_is_replaced_at_once(receiver, drive):
    receiver.behave("ok", "early-close", "ok")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_spans(5)
    d.commit(5)
    receiver.wait_spans(10)
    assert receiver.requests[2].time - receiver.requests[1].time < 0.5
    assert d.settled()["export_retries"] == 0


@pytest.mark.parametrize("how", ["hang", "never-read"])
def test_a_receiver_that_hangs_costs_the_timeout_and_no_more(receiver, drive, how):
    receiver.behave(how, "ok")
    d = drive(receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT=1500)
    before = time.monotonic()
    d.commit(5)
    wait_for(lambda: d.counters()["exports"] == 1, what="an export")
    add_up(d.counters())
    c = d.settled()
    assert c["spans_dropped_retries"] == 5
    assert 1.4 < time.monotonic() - before < 4
    d.commit(2)
    receiver.wait_spans(2)
    assert d.settled()["spans_exported"] == 2


def test_the_budget_covers_all_retries_of_a_batch(receiver, drive):
    receiver.behave("status:503")
    d = drive(receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT=4000)
    before = time.monotonic()
    d.commit(5)
    receiver.wait_requests(1)
    c = d.settled()
    assert c["spans_dropped_retries"] == 5 and time.monotonic() - before < 5
    assert 2 <= len(receiver.requests) <= 4
    assert d.log().count("answers 503") == 1


# -- answers that are not a plain yes --

def test_partial_success_is_counted_and_never_retried(receiver, drive):
    receiver.behave("partial:2:too-old")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_requests(1)
    c = d.settled()
    assert c["spans_exported"] == 3 and c["spans_dropped_rejected"] == 2
    assert len(receiver.requests) == 1
    assert "rejected 2 spans: too-old" in d.log()


def test_a_warning_without_rejections_is_a_success(receiver, drive):
    receiver.behave("partial:0:slow-down-a-bit")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_requests(1)
    assert d.settled()["spans_exported"] == 5
    assert "slow-down-a-bit" in d.log()


def test_more_rejections_than_spans_do_not_unbalance_the_books(receiver, drive):
    receiver.behave("partial:99999999999:liar")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_requests(1)
    assert d.settled()["spans_dropped_rejected"] == 5


@pytest.mark.parametrize("how", ["garbage", "endless"])
def test_what_is_no_answer_is_not_retried(receiver, drive, how):
    receiver.behave(how, "ok")
    d = drive(receiver.url)
    d.commit(5)
    receiver.wait_requests(1)
    assert d.settled()["spans_dropped_response"] == 5
    d.commit(1)
    receiver.wait_spans(1)
    assert d.settled()["spans_exported"] == 1


def test_a_refusal_before_the_body_is_heard(receiver, drive):
    receiver.behave("refuse-early", "ok")
    d = drive(receiver.url, OTEL_BSP_MAX_EXPORT_BATCH_SIZE=2048)
    taken = d.commit(100, "n" * 4000)
    c = d.settled()
    assert 0 < c["spans_dropped_response"] < taken or c["spans_dropped_response"] == taken
    assert "answers 413" in d.log()


# -- bounded memory, and the program's end --

def test_memory_is_bounded_while_the_receiver_is_away(drive):
    d = drive(f"http://127.0.0.1:{free_port()}", OTEL_EXPORTER_OTLP_TIMEOUT=3000)
    before = int(d.ask("memory"))
    for _ in range(200):
        d.commit(1000)
    c = d.counters()
    assert c["spans_dropped_queue_full"] > 150000
    assert c["spans_committed"] + c["spans_dropped_queue_full"] == 200000
    assert int(d.ask("memory")) - before < 4096
    add_up(d.settled(60))


def test_the_end_sends_what_waits(receiver, drive):
    d = drive(receiver.url, OTEL_BSP_SCHEDULE_DELAY=60000)
    d.commit(700)
    d.ask("end 5000")
    assert len(receiver.spans) == 700
    assert add_up(d.counters())["spans_exported"] == 700


def test_the_end_sends_what_waits_without_a_worker(receiver, drive):
    d = drive(receiver.url, worker=False)
    d.commit(700)
    assert d.counters()["waiting"] == 700
    d.ask("end 5000")
    assert len(receiver.spans) == 700
    assert add_up(d.counters())["spans_exported"] == 700


@pytest.mark.parametrize("worker", [True, False])
@pytest.mark.parametrize("how", ["hang", "never-read", "status:503", "early-close"])
def test_the_end_takes_no_longer_than_it_may(receiver, drive, worker, how):
    receiver.behave(how)
    d = drive(receiver.url, worker, OTEL_BSP_SCHEDULE_DELAY=60000)
    d.commit(700)
    before = time.monotonic()
    d.ask("end 500")
    assert time.monotonic() - before < 1
    c = d.counters()
    assert c["waiting"] == 0
    assert add_up(c)["spans_exported"] == 0


def test_the_end_does_not_wait_for_a_receiver_that_is_away(drive):
    d = drive(f"http://127.0.0.1:{free_port()}")
    d.commit(5)
    wait_for(lambda: d.counters()["export_retries"] == 1, what="a failure")
    before = time.monotonic()
    d.ask("end 5000")
    assert time.monotonic() - before < 0.5
    assert add_up(d.counters())["spans_dropped_exit"] == 5


def test_children_have_their_own_connection(receiver, drive):
    d = drive(receiver.url)
    for i in range(5):
        d.commit(2)
        receiver.wait_spans(3 * i + 2)
        assert d.ask("fork") == "0"
    spans = receiver.wait_spans(15)
    names = [s["name"] for s in spans]
    assert names.count("child") == 5 and len(names) == 15
    pids = {a["value"]["intValue"] for s in spans for a in s["resource"] if a["key"] == "process.pid"}
    instances = {a["value"]["stringValue"] for s in spans for a in s["resource"]
                 if a["key"] == "service.instance.id"}
    assert len(pids) == 6 and len(instances) == 6
    assert d.settled()["spans_exported"] == 10


# -- names --

def test_localhost_reaches_a_receiver_of_either_family(drive):
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        with OtlpReceiver(host=host, family=family) as r:
            d = drive(f"http://localhost:{r.port}")
            d.commit(1)
            r.wait_spans(1)
            d.close()


# -- what cannot be --

@pytest.mark.parametrize("env", [{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://localhost:4318"},
                                 {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}])
def test_undeliverable_spans_are_counted_and_one_warning_says_what_to_do(drive, env):
    d = drive(**env)
    assert d.commit(5) == 0
    d.ask("end 1000")
    c = add_up(d.counters())
    assert c["spans_dropped_undeliverable"] == 5 and c["warnings"] == 1
    assert d.log().count("tagalong run") == 1


def test_none_means_none(drive):
    d = drive(OTEL_TRACES_EXPORTER="none")
    assert d.started == 0 and d.commit(5) == 0
    assert d.counters()["spans_committed"] == 0


def test_producers_on_many_processes_lose_nothing_they_did_not_count(receiver, drive, tmp_path):
    drivers = []
    for i in range(4):
        (tmp_path / str(i)).mkdir()
        drivers.append(Driver(tmp_path / str(i), {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}))
        drivers[-1].ask("start")
    receiver.behave("ok", "status:503", "partial:1:x", "reset", "status:400", "ok")
    threads = [threading.Thread(target=lambda d=d: [d.commit(500) for _ in range(10)])
               for d in drivers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    total = {}
    for d in drivers:
        for k, v in d.settled(60).items():
            total[k] = total.get(k, 0) + v
        d.close()
    add_up(total)
    assert total["spans_committed"] + total["spans_dropped_queue_full"] == 4 * 5000
    # "partial" and what the receiver took but answered with an error are told apart by it.
    assert len(receiver.spans) == total["spans_exported"] + total["spans_dropped_rejected"]

