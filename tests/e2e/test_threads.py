# SPDX-License-Identifier: Apache-2.0
"""Programs that answer on threads and call out meanwhile. A link is known, not guessed: no parent
may be wrong, whatever the program does with its threads."""
import pytest

from harness import paths, servers
from harness.load import drive, judge, judge_inbound
from harness.paths import scale
from harness.ports import free_port
from harness.spans import SERVER

N = scale(1000, 10000)


def answered(request):
    return b"out " + request.path.encode()


def check(run, up, sent, right, links=None, starting=40):
    """starting: requests that may pass before the process has shown that readers answer."""
    assert {s.status for s in sent} == {200}
    received = [r for r in list(up.received) if r.path != "/background"]
    verdict = judge(run.spans, received, "svc")
    print(verdict)
    assert verdict.wrong == 0, verdict
    if right:
        # The first requests have no parent: the process has not yet shown that readers answer.
        assert verdict.orphan <= max(verdict.total * (1 - right), starting), verdict
    if links:
        assert set(verdict.links) <= links, verdict
    try:
        judge_inbound(run.spans, sent, "svc")
    except AssertionError as e:
        run.processes[0].stop()
        raise AssertionError(f"{e}\ncounters: {run.stats('svc')}") from None
    return verdict


@pytest.mark.parametrize("context", ["with traceparent", "without"])
@pytest.mark.parametrize("client", ["requests", "session", "urllib", "http.client"])
def test_gunicorn_with_16_threads(run, upstreams, client, context):
    up = upstreams(answered)
    port = servers.gunicorn(run, "relay:app", "gthread", threads=16, name="svc",
                            env={"UPSTREAM": up.port, "CLIENT": client})
    n = N if client == "requests" else N // 4
    sent = drive(port, n, in_flight=32, with_context=lambda i: context != "without")
    check(run, up, sent, 1.0, {"flow"}, starting=0)


def test_gunicorn_sync_workers(run, upstreams):
    up = upstreams(answered)
    port = servers.gunicorn(run, "relay:app", "sync", workers=4, name="svc",
                            env={"UPSTREAM": up.port, "CLIENT": "requests"})
    sent = drive(port, N, in_flight=16, with_context=lambda i: i % 2)
    check(run, up, sent, 1.0, {"flow"}, starting=0)


def test_threading_http_server_by_its_threads_alone(run, upstreams):
    """What the rule for threads knows without asking Python."""
    up, port = upstreams(answered), free_port()
    run.traced([paths.PYTHON, paths.SERVICES / "relay_http_server.py", port, up.port], "svc",
               port=port, env={"TAGALONG_PYTHON": "off"})
    sent = drive(port, N, in_flight=16, with_context=lambda i: i % 2)
    check(run, up, sent, 0.99, {"thread", "none"})


def test_threading_http_server(run, upstreams):
    up, port = upstreams(answered), free_port()
    run.traced([paths.PYTHON, paths.SERVICES / "relay_http_server.py", port, up.port], "svc",
               port=port)
    sent = drive(port, N, in_flight=16, with_context=lambda i: i % 2)
    check(run, up, sent, 1.0, {"flow"}, starting=0)


def start_victim(run, victim, name, up, libs=(), args=()):
    port = free_port()
    run.traced([victim(name, libs), port, up.port, *args], "svc", port=port,
               env={"TAGALONG_STATS": "true"})
    return port


def test_thread_per_connection_with_libcurl(run, upstreams, victim):
    up = upstreams(answered)
    port = start_victim(run, victim, "thread_per_connection", up, ["-lcurl"])
    sent = drive(port, N, in_flight=50, with_context=lambda i: i % 2)
    check(run, up, sent, 0.99, {"thread", "none"}, starting=80)


@pytest.mark.parametrize("name, libs", [("work_stealing", ()), ("hand_off", ()),
                                        ("event_loop", ("-levent",))])
def test_programs_that_move_requests_between_threads_get_no_wrong_parent(run, upstreams, victim,
                                                                         name, libs):
    """Readers do not answer here, or one thread holds many requests: nothing may be linked unless
    it is right."""
    up = upstreams(answered)
    port = start_victim(run, victim, name, up, libs)
    sent = drive(port, N, in_flight=40, with_context=lambda i: i % 2)
    check(run, up, sent, 0.0)


@pytest.mark.parametrize("client", ["http", "fetch"])
@pytest.mark.parametrize("script, least", [("auto", 1.0), ("off", 0.0)])
def test_node_with_many_requests_in_flight_is_never_wrong(run, upstreams, client, script, least):
    up = upstreams(answered)
    port = servers.node(run, "relay.js", up.port, client, name="svc", env={"TAGALONG_NODE": script})
    sent = drive(port, N, in_flight=40, with_context=lambda i: i % 2)
    check(run, up, sent, least)


@pytest.mark.parametrize("client", ["http", "fetch"])
def test_node_one_at_a_time_with_a_guess_allowed(run, upstreams, client):
    up = upstreams(answered)
    port = servers.node(run, "relay.js", up.port, client, name="svc",
                        env={"TAGALONG_LINK": "best", "TAGALONG_NODE": "off"})
    sent = drive(port, 200, in_flight=1, with_context=lambda i: i % 2)
    verdict = check(run, up, sent, 1.0)
    assert set(verdict.links) == {"only"}, verdict


def test_background_calls_have_no_parent(run, upstreams, victim):
    """A thread beside the server that calls out by itself is never under a request."""
    up = upstreams(answered)
    port = start_victim(run, victim, "thread_per_connection", up, ["-lcurl"], ["background"])
    sent = drive(port, N // 2, in_flight=8)
    background = [r for r in up.received if r.path == "/background"]
    assert background, "no background call was made"
    check(run, up, sent, 0.99)
    ids = run.spans.by_id()
    for r in background:
        span = ids.get(r.context()[1])
        assert span is None or span.parent_id == "", span


def test_links_of_an_unknown_parent_name_the_candidates(run, upstreams):
    """With few requests open, a client span whose parent is not known links to all of them."""
    up = upstreams(answered)
    port = servers.node(run, "relay.js", up.port, "http", name="svc", env={"TAGALONG_NODE": "off"})
    drive(port, 200, in_flight=4, with_context=lambda i: True)
    verdict = judge(run.spans, up.received, "svc")
    assert verdict.wrong == 0
    ids = run.spans.by_id()
    linked = 0
    for r in up.received:
        span = ids[r.context()[1]]
        if span.parent_id or not span.links:
            continue
        linked += 1
        truth = [s for s in run.spans.select(service="svc", kind=SERVER)
                 if s.path == r.path.replace("/out/", "/r/")]
        assert truth[0].span_id in {k["spanId"] for k in span.links}, (span, span.links)
    assert linked > 100
