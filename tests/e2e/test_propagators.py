# SPDX-License-Identifier: Apache-2.0
"""What the variables promise about context: propagators, samplers, trust, exclusion."""
import re

import pytest

from harness import paths, servers
from harness.load import drive
from harness.rawhttp import fetch
from harness.spans import CLIENT, SERVER

T, S = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
T2, S2 = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{T}-{S}-01")
UNSAMPLED = ("traceparent", f"00-{T}-{S}-00")
HEADERS = ["traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid",
           "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id"]


def service(run, upstream, name="service", **env):
    """One request at a time: /r/<id> asks the upstream for /out/<id>."""
    env.setdefault("CLIENT", "urllib")
    return servers.gunicorn(run, "relay:app", name=name, env={**env, "UPSTREAM": upstream.port})


def proxy(run, upstream, name="service", **env):
    return servers.nginx_proxy(run, [upstream.port], name=name, env=env)


KINDS = {"service": service, "proxy": proxy}


def went_out(request):
    return {h: request.header(h) for h in HEADERS if request.all(h)}


def pair(run):
    return run.spans.one(service="service", kind=SERVER), run.spans.one(service="service", kind=CLIENT)


# ---- formats ----
TRACECONTEXT = {"traceparent": "00-{t}-{s}-{f}"}
B3 = {"b3": "{t}-{s}-1"}
B3MULTI = {"x-b3-traceid": "{t}", "x-b3-spanid": "{s}", "x-b3-sampled": "1"}
JAEGER = {"uber-trace-id": "{t}:{s}:0:1"}
INBOUND = {
    "traceparent": [PARENT],
    "b3": [("b3", f"{T}-{S}-1")],
    "b3 upper case name": [("B3", f"{T}-{S}-1-{S2}")],
    "b3multi": [("X-B3-TraceId", T), ("X-B3-SpanId", S), ("X-B3-Sampled", "1")],
    "jaeger": [("uber-trace-id", f"{T}:{S}:0:1")],
    "jaeger escaped": [("Uber-Trace-Id", f"{T}%3A{S}%3A0%3A1")],
    "none": [],
}
ANY_B3 = ["b3", "b3 upper case name", "b3multi"]        # both names read both forms
ANY_JAEGER = ["jaeger", "jaeger escaped"]
FORMATS = {     # OTEL_PROPAGATORS: (what it reads, what it writes)
    "tracecontext": (["traceparent"], TRACECONTEXT),
    "b3": (ANY_B3, B3),
    "b3multi": (ANY_B3, B3MULTI),
    "jaeger": (ANY_JAEGER, JAEGER),
    "TraceContext, b3 ,jaeger": (["traceparent"] + ANY_B3 + ANY_JAEGER, {**TRACECONTEXT, **B3, **JAEGER}),
    "b3,b3multi,jaeger,tracecontext,baggage": (["traceparent"] + ANY_B3 + ANY_JAEGER,
                                               {**TRACECONTEXT, **B3, **B3MULTI, **JAEGER}),
    "none": ([], {}),
    "baggage": ([], {}),
}


def written(span, formats):
    return {h: v.format(t=span.trace_id, s=span.span_id, f=f"{span.flags & 3:02x}") for h, v in formats.items()}


@pytest.mark.parametrize("propagators", FORMATS)
def test_formats_in_and_out(run, upstream, propagators):
    port = service(run, upstream, OTEL_PROPAGATORS=propagators)
    reads, writes = FORMATS[propagators]
    for n, (name, lines) in enumerate(INBOUND.items()):
        fetch(port, f"/r/{n}", headers=lines)
        s = run.spans.one(kind=SERVER, path=f"/r/{n}")
        c = run.spans.one(kind=CLIENT, path=f"/out/{n}")
        assert (s.parent_id, s.trace_id == T) == ((S, True) if name in reads else ("", False)), name
        assert went_out(upstream.received[-1]) == written(c, writes), name
        assert (c.trace_id, c.parent_id) == (s.trace_id, s.span_id)


@pytest.mark.parametrize("propagators", [p for p, (reads, _) in FORMATS.items() if "traceparent" in reads])
def test_formats_through_a_proxy(run, upstream, propagators):
    """It passes our traceparent on; the other formats are added to it, but where the caller's own
    header is passed on too."""
    port = proxy(run, upstream, OTEL_PROPAGATORS=propagators)
    reads, writes = FORMATS[propagators]
    for n, (name, lines) in enumerate(INBOUND.items()):
        fetch(port, f"/r/{n}", headers=lines)
        s = run.spans.one(kind=SERVER, path=f"/r/{n}")
        c = run.spans.one(kind=CLIENT, path=f"/r/{n}")
        assert (s.parent_id, s.trace_id == T) == ((S, True) if name in reads else ("", False)), name
        assert (c.trace_id, c.parent_id, c.link) == (s.trace_id, s.span_id, "header"), name
        passed = {h.lower(): v for h, v in lines if h.lower() != "traceparent"}
        sent = went_out(upstream.received[-1])
        assert {**sent, **passed} == sent
        want = written(c, writes)
        for h in passed:
            want.pop(h, None)
            if h.startswith("x-b3-"):
                want = {k: v for k, v in want.items() if not k.startswith("x-b3-")}
        assert sent == {**want, **passed}, name


@pytest.mark.parametrize("propagators", ["b3", "b3multi", "jaeger"])
def test_other_formats_through_a_proxy(run, upstream, propagators):
    """Without traceparent these carry our id through a proxy, whether the caller sent one or not."""
    port = proxy(run, upstream, OTEL_PROPAGATORS=propagators)
    lines = INBOUND[propagators]
    fetch(port, "/r/1", headers=lines)
    s, c = pair(run)
    assert s.parent_id == S and c.parent_id == s.span_id and c.link == "header"
    assert went_out(upstream.received[-1]) == written(c, FORMATS[propagators][1])
    fetch(port, "/r/2")
    s, c = (run.spans.one(kind=kind, path=path) for kind, path in ((SERVER, "/r/2"), (CLIENT, "/r/2")))
    assert not s.parent_id and c.parent_id == s.span_id and c.link == "header"
    sent = went_out(upstream.received[-1])
    assert sent == {**sent, **written(c, FORMATS[propagators][1])}


def test_baggage_and_tracestate_pass(run, upstream):
    port = service(run, upstream)
    fetch(port, "/r/1", headers=[PARENT, ("tracestate", "a=1,b=2"), ("Tracestate", "c=3"),
                                 ("baggage", "k=v;p=1, x=%20y"), ("Baggage", "z=3")])
    sent = went_out(upstream.received[-1])
    assert sent["tracestate"].replace(" ", "") == "a=1,b=2,c=3"
    assert sent["baggage"].replace(" ", "") == "k=v;p=1,x=%20y,z=3"
    s, c = pair(run)
    assert s.trace_state.replace(" ", "") == c.trace_state.replace(" ", "") == "a=1,b=2,c=3"


@pytest.mark.parametrize("propagators, inbound, outbound", [
    ("tracecontext", [PARENT, ("baggage", "k=v")], {"traceparent"}),
    ("baggage", [PARENT, ("baggage", "k=v")], {"baggage"}),
    ("b3,baggage", [("b3", f"{T}-{S}-1"), ("baggage", "k=v")], {"b3", "baggage"}),
    ("tracecontext,baggage", [("baggage", "k=v")], {"traceparent", "baggage"}),
    ("tracecontext,baggage", [("tracestate", "a=1")], {"traceparent"}),
    ("tracecontext,baggage", [("traceparent", "nonsense"), ("tracestate", "a=1")], {"traceparent"}),
    ("b3", [("b3", f"{T}-{S}-1"), ("tracestate", "a=1")], {"b3"}),
])
def test_only_what_is_configured_passes(run, upstream, propagators, inbound, outbound):
    port = service(run, upstream, OTEL_PROPAGATORS=propagators)
    fetch(port, "/r/1", headers=inbound)
    assert set(went_out(upstream.received[-1])) == outbound


@pytest.mark.parametrize("propagators, winner", [("tracecontext,b3", T2), ("b3,tracecontext", T),
                                                 ("jaeger,b3", T2), ("b3,jaeger", T)])
def test_the_last_propagator_that_finds_something_wins(run, upstream, propagators, winner):
    port = service(run, upstream, OTEL_PROPAGATORS=propagators)
    fetch(port, "/r/1", headers=[PARENT, ("b3", f"{T2}-{S2}-1"), ("uber-trace-id", f"{T}:{S}:0:1")])
    assert run.spans.one(kind=SERVER).trace_id == winner


B3_STATES = {   # inbound: (sampled, outbound b3 ends with, outbound multi headers)
    f"{T}-{S}-1": (True, "-1", {"x-b3-sampled": "1"}),
    f"{T}-{S}-0": (False, "-0", {"x-b3-sampled": "0"}),
    f"{T}-{S}-d": (True, "-d", {"x-b3-flags": "1"}),
    f"{T}-{S}": (True, "-1", {"x-b3-sampled": "1"}),
    f"{T[16:]}-{S}-1": (True, "-1", {"x-b3-sampled": "1"}),
    "0": (False, "-0", {"x-b3-sampled": "0"}),
    "1": (True, "-1", {"x-b3-sampled": "1"}),
    "d": (True, "-d", {"x-b3-flags": "1"}),
}


def test_states_of_b3(run, upstream):
    port = service(run, upstream, OTEL_PROPAGATORS="b3,b3multi")
    for n, (value, (sampled, tail, multi)) in enumerate(B3_STATES.items()):
        fetch(port, f"/r/{n}", headers=[("b3", value)])
        sent = went_out(upstream.received[-1])
        trace, span = re.fullmatch("([0-9a-f]{32})-([0-9a-f]{16})" + tail, sent.pop("b3")).groups()
        assert sent == {"x-b3-traceid": trace, "x-b3-spanid": span, **multi}, value
        if "-" in value:
            assert trace == value.split("-")[0].rjust(32, "0")
            assert span != S
        if sampled:
            assert run.spans.one(kind=CLIENT, path=f"/out/{n}").span_id == span
    fetch(port, "/r/99")
    run.spans.wait(1, path="/out/99")
    recorded = {s.path for s in run.spans.select(kind=SERVER)}
    assert recorded == {f"/r/{n}" for n, (s, *_) in enumerate(B3_STATES.values()) if s} | {"/r/99"}


# ---- sampling ----
ALWAYS, NEVER, AS_TOLD = (True, True, True), (False, False, False), lambda root: (root, True, False)
SAMPLERS = {    # sampler, argument: recorded for no parent, a sampled one, an unsampled one
    ("always_on", None): ALWAYS,
    ("always_off", None): NEVER,
    ("ALWAYS_OFF", None): NEVER,
    ("traceidratio", "1.0"): ALWAYS,
    ("traceidratio", "0"): NEVER,
    ("parentbased_always_on", None): AS_TOLD(True),
    ("parentbased_always_off", None): AS_TOLD(False),
    ("parentbased_traceidratio", "1"): AS_TOLD(True),
    ("parentbased_traceidratio", "0.0"): AS_TOLD(False),
    ("traceidratio", "nonsense"): ALWAYS,
    ("nonsense", None): AS_TOLD(True),
    (None, None): AS_TOLD(True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: f"{s[0]} {s[1]}")
def test_samplers(run, upstream, sampler, kind):
    """Context travels on, with fresh span ids, whether or not anything is recorded."""
    port = KINDS[kind](run, upstream, OTEL_TRACES_SAMPLER=sampler[0], OTEL_TRACES_SAMPLER_ARG=sampler[1])
    seen = set()
    expected = 0
    for n, (recorded, inbound) in enumerate(zip(SAMPLERS[sampler], ([], [PARENT], [UNSAMPLED]))):
        for again in range(2):
            fetch(port, f"/r/{n}", headers=inbound)
            trace, span, flags = upstream.received[-1].context()
            assert flags & 1 == recorded, (n, inbound)
            assert (trace == T) == bool(inbound)
            assert span not in seen and span != S
            seen.add(span)
            expected += 2 * recorded
    spans = run.spans.wait(expected) if expected else run.spans.select()
    assert len(spans) == expected
    assert {s.span_id for s in spans if s.kind == CLIENT} <= seen
    for c in run.spans.select(kind=CLIENT):
        s = run.spans.parent(c)
        assert s.kind == SERVER and s.trace_id == c.trace_id


RATIOS = {  # by the last 63 bits of the trace id
    "00000000000000000000000000000001": True,
    "ffffffffffffffff7fffffffffffffff": True,
    "00000000000000008000000000000000": False,
    "0000000000000000ffffffffffffffff": False,
}


def test_a_ratio_decides_by_the_trace_id(run, upstream):
    port = service(run, upstream, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    for n, (trace, recorded) in enumerate(RATIOS.items()):
        fetch(port, f"/r/{n}", headers=[("traceparent", f"00-{trace}-{S}-01")])
        got, _, flags = upstream.received[-1].context()
        assert (got, flags & 1) == (trace, recorded)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_a_request_is_recorded_as_a_whole_or_not_at_all(run, upstream, kind, sampler):
    port = KINDS[kind](run, upstream, OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0.5")
    n = 200
    drive(port, n, in_flight=1 if kind == "service" else 20, keepalive=False)
    recorded = {r.context()[1] for r in upstream.received if r.context()[2] & 1}
    assert n / 5 < len(recorded) < n * 4 / 5
    clients = run.spans.wait(len(recorded), kind=CLIENT)
    assert {c.span_id for c in clients} == recorded
    assert len(run.spans.select(kind=SERVER)) == len(recorded)
    for c in clients:
        assert run.spans.parent(c).trace_id == c.trace_id, c


def test_the_random_flag_is_kept(run, upstream):
    port = service(run, upstream)
    for n, flags in enumerate(("00", "01", "02", "03")):
        fetch(port, f"/r/{n}", headers=[("traceparent", f"00-{T}-{S}-{flags}")])
        assert upstream.received[-1].context()[2] == int(flags, 16)


# ---- trust ----
@pytest.mark.parametrize("kind", KINDS)
def test_an_edge_that_trusts_nobody(run, upstream, kind):
    port = KINDS[kind](run, upstream, TAGALONG_TRUST_INBOUND="false")
    for inbound in (PARENT, UNSAMPLED):
        fetch(port, f"/r/{inbound[1][-1]}", headers=[inbound, ("tracestate", "a=1")])
        trace, span, flags = upstream.received[-1].context()
        s = run.spans.one(kind=SERVER, path=f"/r/{inbound[1][-1]}")
        assert trace == s.trace_id != T and s.parent_id == "" and flags & 1
        assert [(x["traceId"], x["spanId"]) for x in s.links] == [(T, S)]
        assert s.trace_state == ""
        assert s.flags & 0x300 == 0x100
    fetch(port, "/r/99")
    assert run.spans.one(kind=SERVER, path="/r/99").links == []


# ---- what is left out ----
@pytest.mark.parametrize("kind", KINDS)
def test_excluded_paths_have_no_span_but_context_passes(run, upstream, kind):
    port = KINDS[kind](run, upstream, TAGALONG_EXCLUDE_PATHS="/healthz,/r/1*")
    fetch(port, "/r/12?x=1", headers=[PARENT, ("tracestate", "a=1"), ("baggage", "k=v")])
    r = upstream.received[-1]
    trace, span, flags = r.context()
    assert trace == T and flags == 1
    assert (r.header("tracestate"), r.header("baggage")) == ("a=1", "k=v")
    fetch(port, "/healthz")
    fetch(port, "/r/2", headers=[PARENT])
    run.spans.one(kind=SERVER, path="/r/2")
    assert len(run.spans.select(kind=SERVER)) == 1
    for c in run.spans.select(kind=CLIENT, trace=T, where=lambda c: c.path.endswith("/12")):
        assert (c.parent_id, c.span_id) == (S, span)
        assert c.flags & 0x300 == 0x300, "the parent is in another process"


def test_unsampled_context_passes_an_excluded_path(run, upstream):
    port = service(run, upstream, TAGALONG_EXCLUDE_PATHS="/r/*")
    fetch(port, "/r/1", headers=[UNSAMPLED])
    trace, span, flags = upstream.received[-1].context()
    assert (trace, flags) == (T, 0)
    fetch(port, "/none")
    run.spans.one(kind=SERVER)
    assert run.spans.select(kind=CLIENT) == []


def curl(run, upstream, host, **env):
    run.call(["curl", "-sS", "-o", "/dev/null", "-H", f"Host: {host}",
              f"http://127.0.0.1:{upstream.port}/{host}"], "client", env=env)
    return upstream.received[-1]


def test_headers_go_only_where_they_may(run, upstream):
    allow = {"TAGALONG_PROPAGATE_TO": "*.internal,localhost,10.*"}
    for host, goes in (("a.internal", True), ("A.Internal:81", True), ("internal", False),
                       ("localhost:8080", True), ("10.1.2.3", True), ("110.1.2.3", False),
                       ("example.com", False), ("a.internal.example.com", False)):
        assert bool(went_out(curl(run, upstream, host, **allow))) == goes, host
        assert run.spans.one(kind=CLIENT, path=f"/{host}")["tagalong.link"] == "none"
    for host in ("169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal"):
        assert not went_out(curl(run, upstream, host)), host


def test_a_proxy_sends_nothing_where_it_may_not(run, upstream):
    port = proxy(run, upstream, TAGALONG_PROPAGATE_TO="*.internal")
    for host, goes in (("a.internal", True), ("example.com", False)):
        run.call(["curl", "-sS", "-H", f"Host: {host}", f"http://127.0.0.1:{port}/r/1"], traced=False)
        assert bool(went_out(upstream.received[-1])) == goes, host


# ---- disabled ----
@pytest.mark.parametrize("kind", KINDS)
def test_disabled_records_nothing_and_passes_context_on(run, upstream, kind):
    port = KINDS[kind](run, upstream, OTEL_SDK_DISABLED="true")
    fetch(port, "/r/1", headers=[PARENT, ("tracestate", "a=1"), ("baggage", "k=v")])
    assert went_out(upstream.received[-1]) == {"traceparent": PARENT[1], "tracestate": "a=1", "baggage": "k=v"}
    fetch(port, "/r/2")
    assert went_out(upstream.received[-1]) == {}
    run.close()
    assert run.spans.select() == []


# ---- the environment ----
def test_a_command_is_part_of_the_span_in_its_environment(run, upstream):
    env = {"TRACEPARENT": PARENT[1], "TRACESTATE": "a=1", "BAGGAGE": "k=v"}
    run.call(["sh", "-c", f"curl -sS http://127.0.0.1:{upstream.port}/x"], "step", env=env)
    c = run.spans.one(service="step")
    assert (c.trace_id, c.parent_id, c.link) == (T, S, "process")
    assert c.flags & 0x300 == 0x300 and c.trace_state == "a=1"
    assert went_out(upstream.received[-1]) == {"traceparent": f"00-{T}-{c.span_id}-01", "tracestate": "a=1",
                                               "baggage": "k=v"}


def test_an_unsampled_command(run, upstream):
    run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/x"], "step", env={"TRACEPARENT": UNSAMPLED[1]})
    trace, span, flags = upstream.received[-1].context()
    assert (trace, flags) == (T, 0) and span != S
    assert run.spans.select() == []


def test_nonsense_in_the_environment(run, upstream):
    for value in ("", "nonsense", f"00-{T}-{S}", f"ff-{T}-{S}-01"):
        run.call(["curl", "-sS", f"http://127.0.0.1:{upstream.port}/x"], "step",
                 env={"TRACEPARENT": value, "TRACESTATE": "a=1"})
        assert set(went_out(upstream.received[-1])) == {"traceparent"}
        assert upstream.received[-1].context()[0] != T
    assert all(s.link == "none" and not s.parent_id for s in run.spans.wait(4))


@pytest.mark.parametrize("change, link", [("pass", "process"), ("socket.create_server(('127.0.0.1', 0))", "none"),
                                          ("os.setsid()", "none")])
def test_a_daemon_is_not_part_of_what_started_it(run, upstream, change, link):
    script = f"import os, socket, urllib.request, sys; x = {change if change != 'pass' else 0}; " \
             "urllib.request.urlopen(sys.argv[1]).read()"
    # As a child: the leader of a session cannot begin another one.
    run.call(["sh", "-c", '"$@"; true', "sh", paths.PYTHON, "-c", script,
              f"http://127.0.0.1:{upstream.port}/x"], "step", env={"TRACEPARENT": PARENT[1]})
    c = run.spans.one(service="step")
    assert c.link == link
    assert (c.trace_id == T) == (link == "process")
