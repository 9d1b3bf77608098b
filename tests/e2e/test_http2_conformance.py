# SPDX-License-Identifier: Apache-2.0
"""What a server of HTTP/2 gets right and wrong is the same with the library in it: the cases of
h2spec, and frames that h2spec does not have, bare and traced, one by one."""
import json
import re
import subprocess
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor

import pytest
from hpack import Encoder, NeverIndexedHeaderTuple
from hyperframe.frame import (AltSvcFrame, ContinuationFrame, DataFrame, HeadersFrame, PingFrame,
                              PriorityFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from harness import http2, http2_servers, paths
from harness.conventions import check_server
from harness.golang import go_build
from harness.h2_server import frame
from harness.http2_raw import PREFACE, RawConnection
from harness.spans import SERVER
from harness.wait import can_connect

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
SPEC_CASES = 100        # at least


@pytest.fixture(scope="module")
def h2spec():
    return go_build(paths.E2E / "h2spec", paths.BUILD / "h2spec",
                    "github.com/summerwind/h2spec/cmd/h2spec")


def start_both(run, kind):
    """The ports of one server, bare and traced."""
    start = http2_servers.ALL[kind]
    return start(run, name=f"{kind}-bare", traced=False), start(run, name=kind)


@pytest.fixture(params=list(http2_servers.ALL))
def both(request, run):
    http2_servers.site(run)
    return run, *start_both(run, request.param)


def outcomes(program, run, port, n):
    """{case: what came of it} of one run of all cases."""
    report = run.tmp / f"report-{port}-{n}.xml"
    done = subprocess.run([program, "-p", str(port), "-P", "/hello.txt", "-S", "-o", "1", "-j", report],
                          capture_output=True, text=True, errors="replace", timeout=120)
    assert report.exists(), (port, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    got = {}
    text = re.sub(r"[^\n -~]", "?", report.read_text("latin-1"))      # frames are quoted in it
    for suite in xml.fromstring(text).iter("testsuite"):
        for case in suite.iter("testcase"):
            bad = [child.tag for child in case if child.tag in ("failure", "skipped", "error")]
            name = (case.get("package"), case.get("classname"))
            assert name not in got, name
            got[name] = bad[0] if bad else "passed"
    return got


def test_the_cases_of_h2spec_come_out_as_without_us(run, h2spec):
    """Some depend on who closes first, so a difference has to show three times."""
    content = http2_servers.site(run)
    ports = {kind: start_both(run, kind) for kind in http2_servers.ALL}
    seen = {port: {} for pair in ports.values() for port in pair}
    todo = list(ports)
    for n in range(3):
        with ThreadPoolExecutor(8) as pool:     # they wait most of the time
            asked = [port for kind in todo for port in ports[kind]]
            for port, got in zip(asked, pool.map(lambda p: outcomes(h2spec, run, p, n), asked)):
                for case, what in got.items():
                    seen[port].setdefault(case, set()).add(what)
        todo = [kind for kind in todo if differences(seen, ports[kind])]
        if not todo:
            break
    assert not todo, {kind: differences(seen, ports[kind]) for kind in todo}
    assert all(len(cases) >= SPEC_CASES for cases in seen.values())
    for p in run.processes:
        p.check_alive()
    for kind, (_, port) in ports.items():
        assert http2.fetch(port, "/hello.txt?after").body == content["/hello.txt"]
        run.spans.wait(service=kind, where=lambda s: s.get("url.query") == "after")


def differences(seen, pair):
    bare, traced = (seen[port] for port in pair)
    return [(case, bare.get(case), traced.get(case)) for case in bare.keys() | traced.keys()
            if not bare.get(case, set()) & traced.get(case, set())]


# -- frames of our own --

HEAD = [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/hello.txt")]
CONTEXT = HEAD + [("traceparent", GOOD), ("x-other", "kept")]


def headers(stream, block, *flags, **more):
    return HeadersFrame(stream, data=block, flags=["END_STREAM", "END_HEADERS", *flags], **more)


def several(block, sizes, **more):
    """HEADERS and CONTINUATION frames of the given sizes, the last takes the rest."""
    first = HeadersFrame(1, data=block[:sizes[0]], flags=["END_STREAM"], **more)
    frames, at = [first], sizes[0]
    for n in sizes[1:]:
        frames.append(ContinuationFrame(1, data=block[at:at + n]))
        at += n
    frames.append(ContinuationFrame(1, data=block[at:], flags=["END_HEADERS"]))
    return frames


def encode(pairs, huffman=True, encoder=None):
    return (encoder or Encoder()).encode(pairs, huffman=huffman)


def padded():
    f = headers(1, encode(CONTEXT), "PADDED")
    f.pad_length = 200
    return [f]


def with_priority():
    return [headers(1, encode(CONTEXT), "PRIORITY", stream_weight=7, depends_on=0)]


def never_indexed():
    pairs = HEAD + [NeverIndexedHeaderTuple("traceparent", GOOD)]
    return [headers(1, encode(pairs))]


def table_turns_over():
    """Many long fields push each other out of the table; the context stays in it, or does not."""
    encoder, frames = Encoder(), []
    for n in range(30):
        pairs = CONTEXT + [(f"x-{n % 7}", f"{n}" * 120)]
        frames.append(headers(2 * n + 1, encode(pairs, n % 2 == 0, encoder)))
    return frames


def table_is_resized():
    encoder, frames = Encoder(), []
    for n, size in enumerate((0, 4096, 100, 4096, 0)):
        encoder.header_table_size = size
        frames.append(headers(2 * n + 1, encode(CONTEXT, True, encoder)))
    return frames


class Extension:
    def __init__(self, kind, stream, payload):
        self.bytes = frame(kind, 0, stream, payload)

    def serialize(self):
        return self.bytes


def unknown_frames():
    return [Extension(0xbe, 0, b"x" * 100), headers(1, encode(CONTEXT)), Extension(0xbf, 1, b"")]


def frames_of_extensions():
    return [Extension(0x10, 0, b"\0\0\0\1u=3"), headers(1, encode(CONTEXT)),
            AltSvcFrame(1, field=b"ignored")]


def a_lot_before():
    window = WindowUpdateFrame(0)
    window.window_increment = 1000
    priority = PriorityFrame(9)
    priority.stream_weight = 3
    return [SettingsFrame(0, settings={4: 70000}), PingFrame(0, opaque_data=b"12345678"), window,
            priority, headers(1, encode(CONTEXT)), SettingsFrame(0, settings={4: 60000})]


def trailers_and_padding():
    encoder = Encoder()
    first = HeadersFrame(1, data=encode([(":method", "POST")] + CONTEXT[1:], True, encoder),
                         flags=["END_HEADERS"])
    data = DataFrame(1, data=b"body", flags=["PADDED"])
    data.pad_length = 9
    return [first, data, DataFrame(1, data=b""),
            headers(1, encode([("x-sum", "1"), ("traceparent", GOOD)], True, encoder))]


def reset_and_go_on():
    encoder = Encoder()
    open_one = HeadersFrame(1, data=encode(CONTEXT, True, encoder), flags=["END_HEADERS"])
    reset = RstStreamFrame(1)
    reset.error_code = 8
    return [open_one, reset, headers(3, encode(CONTEXT, True, encoder))]


CASES = {
    "plain": lambda: [headers(1, encode(CONTEXT, False))],
    "huffman": lambda: [headers(1, encode(CONTEXT))],
    "padded": padded,
    "with priority": with_priority,
    "never indexed": never_indexed,
    "continued": lambda: several(encode(CONTEXT, False), [20, 1, 0, 30]),
    "continued in places": lambda: several(encode(CONTEXT, False), [1, 30, 12, 40]),
    "continued byte by byte": lambda: several(encode(CONTEXT, False), [1] * 90),
    "continued within huffman": lambda: several(encode(CONTEXT), [len(encode(CONTEXT)) - 20]),
    "table turns over": table_turns_over,
    "table is resized": table_is_resized,
    "unknown frames": unknown_frames,
    "frames of extensions": frames_of_extensions,
    "much before": a_lot_before,
    "trailers and padding": trailers_and_padding,
    "reset and go on": reset_and_go_on,
    "a broken block": lambda: [headers(1, b"\x82\x86\xff\xff\xff\xff\xff")],
    "an index of nothing": lambda: [headers(1, encode(HEAD) + b"\xff\x20")],
    "a stream that went by": lambda: [headers(5, encode(HEAD)), headers(3, encode(HEAD))],
    "an even stream": lambda: [headers(2, encode(CONTEXT))],
    "data for nobody": lambda: [DataFrame(7, data=b"x")],
    "no path": lambda: [headers(1, encode(HEAD[:3]))],
    "upper case": lambda: [headers(1, encode(HEAD + [("TraceParent", GOOD)]))],
    "headers within headers": lambda: [HeadersFrame(1, data=encode(HEAD), flags=["END_STREAM"]),
                                       headers(3, encode(HEAD))],
    "a long list": lambda: [headers(1, encode(CONTEXT + [(f"x-{n}", "y" * 90) for n in range(60)]))],
    "more than a frame": lambda: several(encode(CONTEXT + [("x", "y" * 40000)], False), [16384, 16384]),
}


def answer(port, name, pieces, expect=None):
    frames = b"".join(f.serialize() for f in CASES[name]())
    with RawConnection(port) as c:
        c.send(PREFACE + SettingsFrame(0).serialize())
        got = c.say(frames, pieces, expect)
    if name == "reset and go on":       # whether there was an answer before the reset
        got.pop(1, None)
    return got


@pytest.mark.parametrize("pieces", [7, 1 << 20], ids=["in pieces", "at once"])
def test_frames_are_answered_as_without_us(both, pieces):
    run, bare, traced = both
    plain, ours = {name: [] for name in CASES}, {name: [] for name in CASES}
    different = list(CASES)
    for _ in range(5):                  # some answers depend on which thread is first
        with ThreadPoolExecutor(8) as pool:
            for name, got in zip(different, pool.map(lambda n: answer(bare, n, pieces), different)):
                plain[name].append(got)
            for name, got in zip(different, pool.map(
                    lambda n: answer(traced, n, pieces, plain[n][-1]), different)):
                ours[name].append(got)
        different = [name for name in different if not any(got in plain[name] for got in ours[name])]
        if not different:
            break
    assert not different, {name: (plain[name], ours[name]) for name in different}
    assert can_connect(traced) and can_connect(bare)
    for s in run.spans.select(kind=SERVER, path="/hello.txt"):
        if s.parent_id:
            assert (s.trace_id, s.parent_id) == (TRACE, SPAN), s


FOLLOWED = ["plain", "huffman", "padded", "with priority", "never indexed", "continued",
            "continued in places", "continued within huffman", "table turns over",
            "table is resized", "unknown frames", "much before", "trailers and padding"]


@pytest.mark.parametrize("pieces", [3, 1 << 20], ids=["in pieces", "at once"])
def test_a_context_is_found_however_it_is_written(run, pieces):
    http2_servers.site(run)
    port = http2_servers.node(run)
    for name in FOLLOWED:
        method = "POST" if name == "trailers and padding" else "GET"
        n = sum(isinstance(f, HeadersFrame) for f in CASES[name]()) - (method == "POST")
        before = len(run.spans.all)
        answer(port, name, pieces, {"alive": True, **{2 * i + 1: None for i in range(n)}})
        got = run.spans.wait(before + n, kind=SERVER)[before:]
        assert len(got) == n, (name, got)
        for s in got:
            check_server(s, method, "/hello.txt", parent=(TRACE, SPAN), version="2", host="test")


def test_a_program_sees_all_fields_and_one_context(run):
    """In order, byte for byte; the context is that of the span, or the caller's."""
    http2_servers.site(run)
    ports = [http2_servers.node(run, name="bare", traced=False), http2_servers.node(run)]
    extra = [("x-a", "1"), ("cookie", "a=b"), ("traceparent", GOOD), ("cookie", "c=d"), ("x-b", "é")]
    seen = []
    for port in ports:
        with http2.Client(port) as c:
            for _ in range(3):      # by literals, then by the table
                m = c.fetch("/headers", headers=[(n, v.encode()) for n, v in extra])
                seen.append(json.loads(m.body))
    spans = {s.span_id for s in run.spans.wait(3, kind=SERVER)}
    for got in seen:
        names = got[::2]
        at = 2 * names.index("traceparent") + 1
        assert names.count("traceparent") == 1
        trace, span = got[at].split("-")[1:3]
        assert trace == TRACE and span in spans | {SPAN}
        got[at] = GOOD
    plain = [[v.replace(str(ports[1]), str(ports[0])) for v in got] for got in seen]
    assert all(got == plain[0] for got in plain), plain
