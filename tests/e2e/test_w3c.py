# SPDX-License-Identifier: Apache-2.0
"""W3C Trace Context, Level 2: what a service that knows nothing of tracing passes on.

Each case sends one or more requests with given headers and looks at the requests the service makes
while it answers: exactly one traceparent of version 00, the received trace id kept or replaced by
a new one, tracestate carried on or dropped as a whole."""
import json
import re

import pytest

from harness import paths
from harness.ports import free_port
from harness.rawhttp import RawClient

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
KEY = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}")
VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")

ANY = object()      # nothing is said about tracestate


class Case:
    """One request. keep: the trace id goes on. state: the ordered members that must come out,
    None for no tracestate, ANY for no opinion, or a function of the list of (key, value)."""

    def __init__(self, headers, keep, state=ANY, calls=1, flags=None):
        self.headers, self.keep, self.state = headers, keep, state
        self.calls, self.flags = calls, flags


def tp(value, name="traceparent"):
    return (name, value)


def ts(value, name="tracestate"):
    return (name, value)


def only_traceparent(keep, *values):
    return [Case([tp(v)], keep) for v in values]


def with_state(state, *values):
    """One request whose traceparent is good and whose tracestate headers are `values`."""
    return Case([tp(GOOD)] + [ts(v) for v in values], True, state)


def pairs(text):
    return [tuple(m.split("=", 1)) for m in text.split(",")]


def one_foo(members):
    assert all(k == "foo" and v in "12" for k, v in members), members


EVERY_KEY = "".join(map(chr, range(ord("a"), ord("z") + 1))) + "0123456789_-*/"
EVERY_VALUE = "".join(c for c in map(chr, range(0x20, 0x7f)) if c not in ",=")
MANY = [f"bar{n:02}=1" for n in range(1, 34)]
LONG = "z" * 256
VENDOR = "t" * 240 + "@" + "v" * 15

CASES = {
    # traceparent
    "both_traceparent_and_tracestate_missing": [Case([], False)],
    "traceparent_included_tracestate_missing": only_traceparent(True, GOOD),
    "traceparent_duplicated": [Case([tp(GOOD), tp(GOOD.replace(TRACE, TRACE[::-1]))], False)],
    "traceparent_header_name": [Case([tp(GOOD, "trace-parent")], False),
                                Case([tp(GOOD, "trace.parent")], False)],
    "traceparent_header_name_valid_casing": [
        Case([tp(GOOD, n)], True) for n in ("TraceParent", "TrAcEpArEnT", "TRACEPARENT")],
    "traceparent_version_0x00": only_traceparent(False, GOOD + ".", GOOD + "-and-what-may-come"),
    "traceparent_version_0xcc": only_traceparent(
        True, "cc" + GOOD[2:], "cc" + GOOD[2:] + "-and-what-may-come")
    + only_traceparent(False, "cc" + GOOD[2:] + ".and-what-may-come"),
    "traceparent_version_0xff": only_traceparent(False, "ff" + GOOD[2:]),
    "traceparent_version_illegal_characters": only_traceparent(
        False, ".0" + GOOD[2:], "0." + GOOD[2:], "0G" + GOOD[2:]),
    "traceparent_version_too_long": only_traceparent(False, "0" + GOOD, "000" + GOOD, "00.00" + GOOD[2:]),
    "traceparent_version_too_short": only_traceparent(False, GOOD[1:]),
    "traceparent_trace_id_all_zero": only_traceparent(False, f"00-{'0' * 32}-{SPAN}-01"),
    "traceparent_trace_id_illegal_characters": only_traceparent(
        False, f"00-.{TRACE[1:]}-{SPAN}-01", f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01"),
    "traceparent_trace_id_too_long": only_traceparent(False, f"00-{TRACE}aa-{SPAN}-01"),
    "traceparent_trace_id_too_short": only_traceparent(False, f"00-{TRACE[2:]}-{SPAN}-01"),
    "traceparent_parent_id_all_zero": only_traceparent(False, f"00-{TRACE}-{'0' * 16}-01"),
    "traceparent_parent_id_illegal_characters": only_traceparent(
        False, f"00-{TRACE}-.{SPAN[1:]}-01", f"00-{TRACE}-{SPAN[:-1]}.-01",
        f"00-{TRACE}-{SPAN.upper()}-01"),
    "traceparent_parent_id_too_long": only_traceparent(False, f"00-{TRACE}-{SPAN}aa-01"),
    "traceparent_parent_id_too_short": only_traceparent(False, f"00-{TRACE}-{SPAN[2:]}-01"),
    "traceparent_trace_flags_illegal_characters": only_traceparent(
        False, GOOD[:-2] + ".0", GOOD[:-2] + "0.", GOOD[:-2] + "0A"),
    "traceparent_trace_flags_too_long": only_traceparent(False, GOOD + "0", GOOD[:-2] + "001"),
    "traceparent_trace_flags_too_short": only_traceparent(False, GOOD[:-1], GOOD[:-2], GOOD[:-3]),
    "traceparent_ows_handling": only_traceparent(
        True, " " + GOOD, "\t" + GOOD, GOOD + " ", GOOD + "\t", f"\t {GOOD} \t"),
    # tracestate
    "tracestate_included_traceparent_missing": [Case([ts("foo=1")], False, None),
                                                Case([ts("foo=1,bar=2")], False, None)],
    "tracestate_included_traceparent_included": [
        with_state(pairs("foo=1"), "foo=1"), with_state(pairs("foo=1,bar=2"), "foo=1,bar=2")],
    "tracestate_header_name": [Case([tp(GOOD), ts("foo=1", "trace-state")], True, None),
                               Case([tp(GOOD), ts("foo=1", "trace.state")], True, None)],
    "tracestate_header_name_valid_casing": [
        Case([tp(GOOD), ts("foo=1", n)], True, pairs("foo=1"))
        for n in ("TraceState", "TrAcEsTaTe", "TRACESTATE")],
    "tracestate_empty_header": [with_state(None, ""), with_state(pairs("foo=1"), "foo=1", ""),
                                with_state(pairs("foo=1"), "", "foo=1")],
    "tracestate_multiple_headers_different_keys": [
        with_state(pairs("foo=1,bar=2,rojo=1,congo=2,baz=3"), "foo=1,bar=2", "rojo=1,congo=2",
                   "baz=3")],
    "tracestate_duplicated_keys": [
        with_state(one_foo, "foo=1,foo=1"), with_state(one_foo, "foo=1,foo=2"),
        with_state(one_foo, "foo=1", "foo=1"), with_state(one_foo, "foo=1", "foo=2")],
    "tracestate_all_allowed_characters": [
        with_state([(EVERY_KEY, "foo")], EVERY_KEY + "=foo"),
        with_state([("foo", EVERY_VALUE)], "foo=" + EVERY_VALUE),
        with_state([("a" + EVERY_KEY, "1")], f"a{EVERY_KEY}=1"),
        with_state([("1a-2@foo", "bar1"), ("foo", "bar2")], "1a-2@foo=bar1,foo=bar2")],
    "tracestate_ows_handling": [
        with_state(pairs("foo=1,bar=2,baz=3"), "foo=1 \t , \t bar=2, \t baz=3"),
        with_state(pairs("foo=1,bar=2,baz=3"), "foo=1 \t", " \t bar=2 \t", "\t baz=3"),
        with_state(pairs("foo=1"), " foo=1"), with_state(pairs("foo=1"), "\tfoo=1"),
        with_state(pairs("foo=1"), "foo=1 "), with_state(pairs("foo=1"), "foo=1\t"),
        with_state(pairs("foo=1"), "\t foo=1 \t")],
    "tracestate_key_illegal_characters": [
        with_state(None, "foo =1"), with_state(None, "FOO=1"), with_state(None, "foo.bar=1")],
    "tracestate_key_illegal_vendor_format": [
        with_state(pairs("foo@=1,bar=2"), "foo@=1,bar=2"),
        with_state(None, "@foo=1,bar=2"),
        with_state(pairs("foo@@bar=1,bar=2"), "foo@@bar=1,bar=2"),
        with_state(pairs("foo@bar@baz=1,bar=2"), "foo@bar@baz=1,bar=2")],
    "tracestate_member_count_limit": [
        with_state(pairs(",".join(MANY[:32])), ",".join(MANY[:16]), ",".join(MANY[16:32])),
        with_state(None, ",".join(MANY[:16]), ",".join(MANY[16:]))],
    "tracestate_key_length_limit": [
        with_state([("foo", "1"), (LONG, "1")], f"foo=1,{LONG}=1"),
        with_state(None, f"foo=1,z{LONG}=1"),
        with_state([("foo", "1"), (VENDOR, "1")], f"foo=1,{VENDOR}=1"),
        with_state(None, f"foo=1,tt{VENDOR}=1")],
    "tracestate_value_illegal_characters": [
        with_state(None, "foo=bar=baz"), with_state(None, "foo=,bar=3")],
    # several calls for one request
    "multiple_requests_with_valid_traceparent": [Case([tp(GOOD)], True, calls=3)],
    "multiple_requests_without_traceparent": [Case([], False, calls=3)],
    "multiple_requests_with_illegal_traceparent": [Case([tp("00-garbage")], False, calls=3)],
    # Level 2
    "propagates_random_flag": [Case([tp(f"00-{TRACE}-{SPAN}-02")], True, flags=0x02)],
}


def start_python(run, *args):
    port = free_port()
    run.traced([paths.PYTHON, paths.SERVICES / "w3c_service.py", port, *args], "w3c", port=port)
    return port


def start_node(run):
    port = free_port()
    run.traced(["node", paths.SERVICES / "w3c_service.js", port], "w3c", port=port,
               env={"TAGALONG_LINK": "best"})
    return port


SERVICES = {"http.server": start_python,
            "http.server threads": lambda run: start_python(run, "--threads"),
            "node http": start_node}


def members_of(request):
    """The combined tracestate of a request as pairs; each one checked against the grammar."""
    out = []
    for header in request.all("tracestate"):
        for member in header.split(","):
            if not member.strip(" \t"):
                continue
            key, _, value = member.strip("\t").lstrip(" ").partition("=")
            assert KEY.fullmatch(key) and VALUE.fullmatch(value), member
            out.append((key, value))
    assert len(out) <= 32 and len({k for k, _ in out}) == len(out), out
    return out


def check(case, received):
    assert len(received) == case.calls
    seen = [r.context() for r in received]
    spans = {s for _, s, _ in seen}
    assert len(spans) == case.calls, "each request has a span id of its own"
    assert SPAN not in spans
    sent = " ".join(v for _, v in case.headers).lower()
    for trace, _, flags in seen:
        assert (trace == TRACE) if case.keep else trace not in sent
        if case.flags is not None:
            assert flags & 0x02 == case.flags
    if case.keep or case.calls == 1:
        assert len({t for t, _, _ in seen}) == 1
    if case.state is ANY:
        return
    for r in received:
        got = members_of(r)
        if callable(case.state):
            case.state(got)
        else:
            assert got == (case.state or [])


@pytest.fixture(params=list(SERVICES))
def service(request, run):
    return SERVICES[request.param](run)


def test_there_are_41_cases():
    assert len(CASES) == 41


def test_every_case(service, upstream):
    wrong = []
    with RawClient(service) as client:
        for name, cases in CASES.items():
            for number, case in enumerate(cases):
                before = len(upstream.received)
                body = json.dumps([{"url": f"http://127.0.0.1:{upstream.port}/{name}.{n}",
                                    "arguments": []} for n in range(case.calls)]).encode()
                answer = client.request("/test", "POST", case.headers + [
                    ("Accept", "application/json"), ("Content-Type", "application/json")], body)
                assert answer.status == 200, answer.body
                try:
                    check(case, upstream.received[before:])
                except AssertionError as e:
                    heads = [r.head for r in upstream.received[before:]]
                    wrong.append(f"{name}[{number}] {case.headers}: {e}\n   {heads}")
    assert not wrong, "\n".join(wrong)
