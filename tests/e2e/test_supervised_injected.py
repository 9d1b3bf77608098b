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
REQUESTS = 20


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

    def of_ours(self):
        """(call, its number) of each one since the library has said where it writes its log."""
        numbers, found = dict.fromkeys(ERRORS, 0), []
        begun = 0
        for line in self.log.read_text().splitlines():
            call = re.match(r"\d+ +(\w+)\(", line)
            if not call:
                continue
            numbers[call[1]] += 1
            if begun >= 2:
                found.append((call[1], numbers[call[1]]))
            begun += "tagalong.log" in line
        return found


@pytest.mark.parametrize("how", ["once", "from-then-on"])
def test_whatever_fails_costs_no_answer_and_no_span_without_a_number(run, receiver, how):
    where = run.tmp / "agent"
    supervised.agent(run, receiver, where)
    plain = Calls(run, receiver, where)
    receiver.wait_spans(REQUESTS)
    places = plain.of_ours()
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


def agent_with_faults(run, receiver, where, log, inject=None):
    """An agent that strace runs, a server that shares with it, and whether all of its spans come."""
    agent = run.start(["strace", "-f", "-o", log, "-e", "trace=openat,mmap", *(["-e", f"inject={inject}"] if inject else []),
                       paths.COMMAND, "agent", "-d", where], "agent", env=supervised.own_environment(receiver))
    agent.wait_log("serving")
    port, before = free_port(), len(receiver.spans)
    server = run.start([build("soak_server"), port], "svc", port=port,
                       env={"TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None, "OTEL_BSP_SCHEDULE_DELAY": "50",
                            "OTEL_BSP_MAX_QUEUE_SIZE": None})
    assert [s.status for s in drive(port, REQUESTS, in_flight=1, path="/q{id}")] == [200] * REQUESTS
    receiver.wait_spans(before + REQUESTS)
    assert server.stop() == 0
    pid = next(iter(children(agent.pid)))
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: is_gone(pid), 20, "the agent to end")
    agent.wait(15)


def calls_for_a_file(log):
    """The main thread's openat and mmap, by number, that give it the file of a process."""
    numbers, main, opened = {"openat": 0, "mmap": 0}, None, 0
    for line in log.splitlines():
        call = re.match(r"(\d+) +(openat|mmap)\(", line)
        if not call or call[1] != (main or call[1]):
            continue
        main = call[1]
        numbers[call[2]] += 1
        if '"spans-' in line:
            opened = numbers["openat"]
        elif opened and "MAP_SHARED" in line:
            return opened, numbers["mmap"]
    raise AssertionError(log)


def test_an_agent_outlives_what_fails_once(run, receiver):
    """Its looks at the directory and at a process's file: it looks again."""
    where, log = run.tmp / "agent", run.tmp / "calls"
    agent_with_faults(run, receiver, where, log)
    opened, mapped = calls_for_a_file(log.read_text())
    for number in range(opened - 2, opened + 2):
        agent_with_faults(run, receiver, where, log, f"openat:error=EMFILE:when={number}")
    agent_with_faults(run, receiver, where, log, f"mmap:error=ENOMEM:when={mapped}")
