# SPDX-License-Identifier: Apache-2.0
"""Every mapping, opening, socket and connection of our own threads fails in turn, once and from then on: in a process
that exports by itself, and in an agent. The program goes on, and what it has committed is delivered or counted."""
import os
import re
import subprocess

import pytest

from harness import paths, supervised
from harness.load import drive
from harness.paths import scale
from harness.ports import free_port
from harness.run import stats_of
from harness.wait import wait_for
from storms import build

ERRORS = {"mmap": ["ENOMEM"], "openat": ["EMFILE", "ENFILE"], "socket": ["EMFILE", "ENOBUFS"],
          "connect": ["EADDRNOTAVAIL", "ENOBUFS"]}
REQUESTS = 20
HOW = pytest.mark.parametrize("how", ["once", "from-then-on"])


def threads(pid):
    """All but the main one, in the order of their making."""
    return sorted(int(t) for t in os.listdir(f"/proc/{pid}/task") if int(t) != pid)


class Strace:
    """Attached to one thread."""

    def __init__(self, run, tid, inject):
        self.log = run.tmp / "calls"
        self.p = subprocess.Popen(["strace", "-p", str(tid), "-o", self.log, "-e", f"trace={','.join(ERRORS)}",
                                   *(["-e", f"inject={inject}"] if inject else [])],
                                  stderr=subprocess.PIPE, text=True)
        assert "attached" in self.p.stderr.readline()

    def calls(self):
        return re.findall(r"^(\w+)\(", self.log.read_text(), re.M)

    def close(self):
        self.p.terminate()
        self.p.wait()
        self.p.stderr.close()


def serve(run, receiver, where=None, **env):
    port = free_port()
    server = run.start([build("soak_server"), port], "svc", port=port,
                       env={"TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None, "TAGALONG_STATS": "true",
                            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_MAX_QUEUE_SIZE": None, **env})
    return server, port


def ask(port, n):
    assert [s.status for s in drive(port, n, in_flight=1, path="/q{id}")] == [200] * n


class Outcome:
    def __init__(self, run, receiver, before, strace, who):
        counts = run.tmp / f"{who}.tagalong.log"
        self.stats = stats_of(counts.read_text())
        self.calls, self.delivered = strace.calls(), len(receiver.spans) - before
        self.told = f"{self.delivered} {self.stats}\n{counts.read_text()}\n{strace.log.read_text()}"
        self.hit = "INJECTED" in self.told
        counts.unlink()


def worker(run, receiver, _, inject=None):
    """Its first batch and its last are what it is traced at."""
    before = len(receiver.spans)
    server, port = serve(run, receiver, OTEL_BSP_SCHEDULE_DELAY="300")
    ask(port, 1)
    tid, = wait_for(lambda: threads(server.pid), what="the worker")
    strace = run.add(Strace(run, tid, inject))
    ask(port, REQUESTS - 1)
    assert server.stop() == 0
    strace.close()
    return Outcome(run, receiver, before, strace, "svc")


def agent(run, receiver, which, inject=None):
    before, where = len(receiver.spans), run.tmp / "agent"
    front = supervised.agent(run, receiver, where, env={"OTEL_METRICS_EXPORTER": "otlp",
                                                        "OTEL_METRIC_EXPORT_INTERVAL": "200"})
    found = wait_for(lambda: len(threads(front.pid)) > which and threads(front.pid), what="its threads")
    strace = run.add(Strace(run, found[which], inject))
    server, port = serve(run, receiver, where, OTEL_METRICS_EXPORTER="otlp")
    ask(port, REQUESTS)
    assert server.stop() == 0
    assert front.stop() == 0
    strace.close()
    (run.tmp / "svc.tagalong.log").unlink()
    return Outcome(run, receiver, before, strace, "agent")


@HOW
@pytest.mark.parametrize("who, which", [(worker, 0), (agent, 0), (agent, 1)])
def test_whatever_fails_costs_no_span_without_a_number(run, receiver, who, which, how):
    plain = who(run, receiver, which)
    assert plain.delivered == REQUESTS and plain.calls, plain.told
    for call in sorted(set(plain.calls)):
        for number in range(1, plain.calls.count(call) + 1):
            for error in ERRORS[call][:scale(1, 2)]:
                more = "+" if how == "from-then-on" else ""
                o = who(run, receiver, which, f"{call}:error={error}:when={number}{more}")
                told = f"{call} {number} {error}: {o.told}"
                assert o.hit or number > 1, told
                assert o.stats["spans_committed"] == REQUESTS, told
                assert o.delivered + o.stats.dropped() == REQUESTS, told
