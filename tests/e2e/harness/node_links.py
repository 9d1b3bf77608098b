# SPDX-License-Identifier: Apache-2.0
"""Services of tests/bench/links_node, whose requests say whose they are: right, wrong or orphaned."""
import json
import os

from . import paths
from .npm import install
from .spans import CLIENT, SERVER
from .wait import wait_for

SOURCE = paths.ROOT / "tests/bench/links_node"
ASKED = {"plain": 2, "before": 2, "between": 3, "fan": 3, "callbacks": 2, "answered": 2}


class Counts(dict):
    def __missing__(self, key):
        return 0


class Links:
    """One service between a driver and an upstream, neither of them traced."""

    def __init__(self, run, certificates, server, client, node="node", background=False, env=None):
        self.run, self.server = run, server
        self.node = str(node)
        files = [certificates.path("server.key"), certificates.path("server.pem")]
        self.upstream = run.bare([self.node, SOURCE / "upstream.js", *files])
        ports = self.first_line(self.upstream)
        self.service = run.traced([self.node, SOURCE / "service.js", install(), server, client, ports,
                                   *files, *(["background"] if background else [])], "service", env=env)
        self.port = self.first_line(self.service)

    @staticmethod
    def first_line(process):
        wait_for(lambda: "\n" in process.log(), what="a port", alive=process.check_alive)
        return process.log().split("\n")[0]

    def drive(self, shapes=ASKED, count=8, concurrency=32, context=False):
        """Returns how many requests of the service's are linked how."""
        shapes = list(shapes)
        self.run.call([self.node, SOURCE / "drive.js", self.server, self.port, ",".join(shapes), count,
                       concurrency, *(["context"] if context else [])], traced=False, timeout=120)
        paths_asked = [f"/{shape}/{i}" for i in range(1, count + 1) for shape in shapes]
        n = count * sum(ASKED[s] for s in shapes)
        self.run.spans.wait(len(paths_asked), service="service", kind=SERVER, timeout=30)
        wait_for(lambda: self.told() >= n, 30, f"{n} requests of the service's")
        if not context:
            return self.count({s.span_id: s.path for s in self.servers()})
        numbers = {f"{i + 1:016x}": p for i, p in enumerate(paths_asked)}
        return self.count({s.span_id: numbers[s.parent_id] for s in self.servers()})

    def servers(self):
        return self.run.spans.select(service="service", kind=SERVER)

    def seen(self):
        """What the upstream was asked for: its requests by the span id they carried."""
        text = self.upstream.log()
        lines = [json.loads(line) for line in text[:text.rfind("\n")].split("\n")[1:]]
        assert all(len(line["traceparent"]) == 1 for line in lines), lines
        by_id = {line["traceparent"][0][36:52]: line["path"] for line in lines}
        assert len(by_id) == len(lines)
        return by_id

    def told(self):
        """Requests of the service's, but for those on its own account, that have a span."""
        seen = self.seen()
        paths_told = [seen.get(s.span_id, "/background/") for s in
                      self.run.spans.select(service="service", kind=CLIENT)]
        return sum(not p.startswith("/background/") for p in paths_told)

    def count(self, path_of_server):
        counts = Counts()
        spans = self.run.spans.select(service="service", kind=CLIENT)
        seen = self.seen()      # later than the spans: the service goes on by itself
        for span in spans:
            truth = os.path.dirname(seen[span.span_id])
            if not span.parent_id:
                counts["background" if truth == "/background" else "orphan"] += 1
            elif path_of_server.get(span.parent_id) == truth:
                counts["right"] += 1
                assert span.link == "header"
            else:
                counts["wrong"] += 1
        return counts
