# SPDX-License-Identifier: Apache-2.0
"""By which rule the parent of each client span was found is counted, and `tagalong view` shows it."""
import re

import pytest

from command import tagalong
from harness import paths, supervised
from harness.load import drive
from harness.ports import free_port
from harness.spans import CLIENT

N = 40
PASSES_ON = """
import http.client, http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
        c.request("GET", self.path, headers={"traceparent": self.headers["traceparent"]})
        c.getresponse().read()
        c.close()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
THREADED = [paths.PYTHON, paths.SERVICES / "relay_http_server.py"]
NODE = ["node", paths.SERVICES / "relay.js"]
WARM_UP = 4  # answers that show that a threaded server's readers answer
# What is started with two ports and more words, and what all its requests are linked by (where threads
# do, behind the first few).
PROGRAMS = {
    "a header that is passed on": ([paths.PYTHON, "-c", PASSES_ON], [], "header",
                                   {"TAGALONG_PYTHON": "off", "TAGALONG_INBOUND_HEADER": "on"}),
    "a context of Python's": (THREADED, [], "flow", {}),
    "a context of Node's": (NODE, ["http"], "header", {}),
    "the thread that has read": (THREADED, [], "thread", {"TAGALONG_PYTHON": "off"}),
    "the caller of libcurl": (["curl_ways"], ["multi"], "header", {}),
    "nothing": (NODE, ["http"], "none", {"TAGALONG_NODE": "off"}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_rule_is_counted_and_shown(run, upstreams, victim, name):
    command, words, rule, env = PROGRAMS[name]
    if command == ["curl_ways"]:
        command = [victim("curl_ways", ["-lcurl"])]
    port = free_port()
    up = upstreams(lambda r: b"ok")
    front = supervised.start(run, None, [*command, port, up.port, *words], env=env,
                             options=["--file", run.traces], port=port)
    assert {s.status for s in drive(port, N, in_flight=1)} == {200}
    assert len(run.spans.wait(N, kind=CLIENT)) == N
    front.stop()
    stats = run.stats("svc")
    counts = {k: v for k, v in stats.items() if k.startswith("link_")}
    roots = WARM_UP if name in ("the thread that has read", "the caller of libcurl") else 0
    assert counts == {f"link_{rule}": N - roots, **({"link_none": roots} if roots else {})}
    assert stats["flows_told"] == (N if name == "a context of Node's" else 0)
    shown = tagalong("view", run.traces)
    assert shown.status == 0, shown.err
    rules = re.findall(r" client .* 200  (\w+)$", shown.out, re.M)
    assert sorted(rules) == sorted([rule] * (N - roots) + ["none"] * roots), shown.out
