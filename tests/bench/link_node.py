# SPDX-License-Identifier: Apache-2.0
"""The services of tests/bench/links_node as programs of tests/bench/links: all shapes at once."""
import pathlib
import shutil
import tempfile

import link_bench       # finds the harness

from harness.certificates import Certificates
from harness.load import Verdict
from harness.node_links import Links
from harness.run import Run

SERVERS = ("https", "http2", "http2s", "streams", "express", "fastify")
CLIENTS = ("http", "keep", "pool", "fresh", "names", "array", "https", "pipe", "fetch",
           "fetch of few", "undici", "http2", "grpc")


class Node:
    lost = ()

    def __init__(self, server, client):
        self.server, self.client = server, client

    def cells(self, options):
        """options.requests of each shape for each number in flight, beside a job of the service's own."""
        for in_flight in map(int, options.in_flight.split(",")):
            tmp = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-links-"))
            run = Run(tmp)
            try:
                env = {"TAGALONG_NODE": "off"} if options.off else {}
                links = Links(run, Certificates(tmp), self.server, self.client, background=True, env=env)
                counts = links.drive(count=options.requests, concurrency=in_flight)
                yield "all", in_flight, verdict(counts)
            finally:
                run.close()
                shutil.rmtree(tmp, ignore_errors=True)


def verdict(counts):
    """A background call that was given a parent is among the wrong ones."""
    v = Verdict()
    v.right, v.orphan, v.wrong = counts["right"], counts["orphan"], counts["wrong"]
    return v


NODE = {f"Node {s}, {c}": Node(s, c)
        for s, c in [*((s, "keep") for s in SERVERS), *(("http", c) for c in CLIENTS)]}
