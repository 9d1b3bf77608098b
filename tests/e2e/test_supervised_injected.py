# SPDX-License-Identifier: Apache-2.0
"""Every mapping and opening of a program that shares its spans fails in turn, once and from then on: it goes on, and
what it has committed is delivered or counted."""
import os
import re
import signal

import pytest

from harness import paths, supervised
from harness.load import drive
from harness.paths import scale
from harness.ports import free_port
from harness.run import stats_of
from harness.supervised import children, is_gone
from harness.wait import wait_for
from storms import build

ERRORS = {"mmap": ["ENOMEM"], "openat": ["EMFILE", "ENOMEM", "ENFILE"], "fallocate": ["ENOSPC", "ENOMEM"]}
AGENT_ERRORS = {"mmap": "ENOMEM", "openat": "EMFILE", "socket": "EMFILE"}
REQUESTS = 20


def calls_since(log, written, times=1):
    """(call, its number in its thread) of each one in strace's log since `written` stood in it so often."""
    numbers, found, begun = {}, [], 0
    for line in log.read_text().splitlines():
        call = re.match(r"(\d+) +(\w+)\(", line)
        if not call:
            continue
        number = numbers[call.groups()] = numbers.get(call.groups(), 0) + 1
        if begun >= times and (call[2], number) not in found:
            found.append((call[2], number))
        begun += written in line
    return found


class Calls:
    """A server that strace runs, with calls that fail; what it answered and counted."""

    def __init__(self, run, receiver, where, inject=None):
        port, self.log = free_port(), run.tmp / "calls"
        counts = run.tmp / "svc.tagalong.log"
        counts.unlink(missing_ok=True)
        front = run.start(["strace", "-f", "-o", self.log, "-e", f"trace={','.join(ERRORS)}",
                           *(["-e", f"inject={inject}"] if inject else []),
                           "-E", f"LD_PRELOAD={paths.LIBRARY}", build("soak_server"), port], "svc", port=port,
                          env={"LD_PRELOAD": None, "TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None,
                               "TAGALONG_STATS": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
                               "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BSP_MAX_QUEUE_SIZE": None})
        self.answers = [s.status for s in drive(port, REQUESTS, in_flight=1, path="/q{id}")]
        pid = wait_for(lambda: next(iter(children(front.pid)), 0), 5)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: is_gone(pid), 20, "the server to end")
        self.status = front.wait(15)
        self.stats = stats_of(counts.read_text().replace(" shared:", ""))


@pytest.mark.parametrize("how", ["once", "from-then-on"])
def test_whatever_fails_costs_no_answer_and_no_span_without_a_number(run, receiver, how):
    where = run.tmp / "agent"
    supervised.agent(run, receiver, where)
    plain = Calls(run, receiver, where)
    receiver.wait_spans(REQUESTS)
    places = calls_since(plain.log, "tagalong.log", 2)
    # Its control file and its own one, opened and mapped, among others.
    assert len(places) > 15 and {"mmap", "openat", "fallocate"} <= {call for call, _ in places}, plain.log.read_text()
    for call, number in places:
        for error in ERRORS[call][:scale(1, 3)]:
            before = len(receiver.spans)
            c = Calls(run, receiver, where, f"{call}:error={error}:when={number}{'+' if how == 'from-then-on' else ''}")
            told = f"{call} {number} {error}: {c.stats}"
            assert c.status == 0 and c.answers == [200] * REQUESTS, told
            assert "INJECTED" in c.log.read_text(), told
            committed = c.stats["spans_committed"]
            assert committed + c.stats.not_committed() in (0, REQUESTS), told
            wait_for(lambda b=before, s=c.stats: len(receiver.spans) - b == s["spans_committed"] - s.dropped(), 15, told)
            if how == "once" and call != "mmap":
                assert committed == REQUESTS and not c.stats.dropped(), told


class Agent:
    """An agent that strace runs, with a call that fails, and a server that shares with it; what became of its spans."""

    def __init__(self, run, receiver, where, inject=None):
        self.log, counts = run.tmp / "calls", [run.tmp / f"{who}.tagalong.log" for who in ("agent", "svc")]
        for f in counts:
            f.unlink(missing_ok=True)
        agent = run.start(["strace", "-f", "-o", self.log, "-e", f"trace={','.join(AGENT_ERRORS)}",
                           *(["-e", f"inject={inject}"] if inject else []), paths.COMMAND, "agent", "-d", where],
                          "agent", env=supervised.own_environment(receiver))
        wait_for(lambda: "serving" in agent.log() or agent.p.poll() is not None, 10, "the agent")
        self.serves = "serving" in agent.log()
        port, before = free_port(), len(receiver.spans)
        server = run.start([build("soak_server"), port], "svc", port=port,
                           env={"TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None, "TAGALONG_STATS": "true",
                                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "50",
                                "OTEL_BSP_MAX_QUEUE_SIZE": None})
        self.answers = [s.status for s in drive(port, REQUESTS, in_flight=1, path="/q{id}")]
        self.ended = server.stop()
        if agent.p.poll() is None:
            pid = next(iter(children(agent.pid)))
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: is_gone(pid), 20, "the agent to end")
        self.status = agent.wait(15)
        self.delivered = len(receiver.spans) - before
        # A process whose supervisor counts tells its own only when nobody has taken it over.
        told = [f.read_text() for f in counts if f.exists()]
        self.stats = stats_of("\n".join(told))
        self.said = agent.log() + "".join(told)


@pytest.mark.parametrize("how", ["once", "from-then-on"])
def test_whatever_fails_in_an_agent_costs_no_answer_and_no_span_without_a_number(run, receiver, how):
    """Its mappings, files and sockets: it looks again, or says that it cannot serve, and what
    was waiting for it is the next one's."""
    where = run.tmp / "agent"
    plain = Agent(run, receiver, where)
    assert plain.delivered == REQUESTS and plain.serves
    places = calls_since(plain.log, "tagalong.log")
    assert len(places) > 10 and {call for call, _ in places} == set(AGENT_ERRORS), plain.log.read_text()
    owed = 0
    for call, number in places:
        a = Agent(run, receiver, where, f"{call}:error={AGENT_ERRORS[call]}:when={number}{'+' if how == 'from-then-on' else ''}")
        told = f"{call} {number}: {a.status} {a.stats} {a.said}\n{a.log.read_text()[-2000:]}"
        assert "INJECTED" in a.log.read_text(), told
        assert a.ended == 0 and a.answers == [200] * REQUESTS, told
        assert (a.status == 0) == a.serves, told
        owed += REQUESTS - a.delivered - a.stats.dropped()
        assert owed == 0 or (owed > 0 and (how == "from-then-on" or not a.serves)), told
        assert owed == 0 or not a.serves or "cannot be" in a.said or "is not read" in a.said, told
    assert Agent(run, receiver, where).delivered == owed + REQUESTS
