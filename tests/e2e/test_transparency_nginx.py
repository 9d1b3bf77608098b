# SPDX-License-Identifier: Apache-2.0
"""nginx does byte for byte the same with the library as without: each case is played against a bare
nginx and a traced one with the same configuration, on the same port, in front of the same upstreams.
What the client receives, what the upstreams are asked, the access log and the error log must be
the same, but for the trace headers upstream. Each request in the traced access log has its span."""
import collections
import re

import pytest

import nginx_serving    # noqa: F401 (the cases)
import nginx_trouble    # noqa: F401
from harness.odd_upstream import OddUpstream
from harness.ports import free_port
from harness.spans import CLIENT, SERVER
from nginx_site import CASES, Site, make_files

ACCESS = re.compile(r'(\d+) "(\S+) (\S+) HTTP/\d.*?(sent=0 )?')
OUR_LINE = 70       # "traceparent: 00-...\r\n", put into the request that nginx reads (\n: one less)


def check_access(bare, traced):
    """$request_length counts the header that nginx found in its buffer."""
    one, other = [[line for line, _ in site.access] for site in (bare, traced)]
    assert sorted(one) == sorted(other)
    if one == other:        # else it is not known which belong together
        for (line, a), (_, b) in zip(bare.access, traced.access):
            assert b - a in (0, OUR_LINE, OUR_LINE - 1), (line, a, b)


def check_spans(run, site):
    """Each line of the access log is a server span with that status, if one was sent."""
    logged = collections.Counter()
    for line in site.logged:
        m = ACCESS.match(line)
        # What nginx makes of an answer that is no HTTP; heads that it did not read to their end.
        if m and (m[1] not in ("009", "400", "414") or " sent=0 " in line):
            status = None if m[1] in ("000", "444", "499") or " sent=0 " in line else int(m[1])
            path = re.sub("^http://[^/]*", "", m[3]).split("?")[0].split("#")[0]
            logged[m[2], path, status] += 1
    spans = collections.Counter()
    for s in run.spans.select(kind=SERVER):
        method = s.get("http.request.method_original", s["http.request.method"])
        status = s.get("http.response.status_code")
        if status in (400, 414) or (s["url.path"].endswith("/garbage") and not status):
            continue
        spans[method, s["url.path"], status] += 1
    return logged - spans, spans - logged


def check_contexts(run, site, links):
    """Exactly one traceparent each, of the client span that was written for it."""
    clients = {s.span_id: s for s in run.spans.select(kind=CLIENT)}
    for r in site.heads:
        if None in links and not r.all("traceparent"):
            continue
        trace, span, _ = r.context()
        assert clients[span].trace_id == trace, r.head
        assert clients[span]["tagalong.link"] in links, r.head


@pytest.fixture(scope="module")
def upstream_pair():
    pair = OddUpstream(), OddUpstream()
    yield pair
    for up in pair:
        up.close()


@pytest.mark.parametrize("name", CASES)
def test_nginx_does_the_same(run, upstream_pair, name):
    play, config, spans, links, kept = CASES[name]
    make_files(run.tmp / "root")
    port, dead = free_port(), free_port()
    sites = []
    for traced in (False, True):
        site = Site(run, config, *upstream_pair, port, dead, traced)
        play(site)
        site.finish()
        sites.append(site)
    bare, traced = sites
    assert len(bare.saw) == len(traced.saw)
    for i, (a, b) in enumerate(zip(bare.saw, traced.saw)):
        assert a == b, i
    for which in bare.asked:
        less, more = (collections.Counter(site.asked[which]) for site in (bare, traced))
        assert (less - more, more - less) == (collections.Counter(), collections.Counter())
    assert not kept or bare.connections == traced.connections
    check_access(bare, traced)
    assert bare.errors == traced.errors
    if spans:
        missing, more = check_spans(run, traced)
        assert (missing, more) == (collections.Counter(), collections.Counter())
        check_contexts(run, traced, links)
