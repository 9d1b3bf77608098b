# SPDX-License-Identifier: Apache-2.0
"""Supervised export when the receiver, the disk or the supervisor is not there: what is committed is exported, on disk,
or counted, and nobody waits for it."""
import os
import re
import signal
import time

import pytest

from command import as_nobody
from harness import paths, supervised
from harness.load import drive
from harness.paths import scale
from harness.ports import free_port
from harness.supervised import companion, delivered, files, get, is_gone, program
from harness.usage import resident, threads
from harness.wait import wait_for
from soak_supervised import Counting
from storms import build

PYTHON_SERVER = [paths.PYTHON, "-m", "http.server", "--bind", "127.0.0.1"]
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "1000", "TAGALONG_SHUTDOWN_TIMEOUT": "1000",
        "OTEL_BSP_MAX_QUEUE_SIZE": None}


def loaded(port, count):
    """Sends `count` requests over eight connections; their paths."""
    sent = drive(port, count, in_flight=8, path="/q{id}")
    assert all(s.status == 200 for s in sent)
    return {s.path for s in sent}


def serve(run, receiver, service="svc", env=None, **more):
    port = free_port()
    front = supervised.start(run, receiver, [build("soak_server"), port], service, env={**FAST, **(env or {})}, port=port,
                             **more)
    return front, port


def end(front, within):
    before = time.monotonic()
    assert front.stop(timeout=within + 20) == 0     # soak_server ends by SIGTERM
    took = time.monotonic() - before
    assert took < within, f"the end took {took:.1f} s"


# ---- the receiver ----
BEHAVIOURS = ["ok", "slow:0.3", "hang", "never-read", "reset", "early-close", "status:503", "status:503 retry-after:1",
              "status:400", "partial:3:no", "garbage", "endless"]


@pytest.mark.parametrize("behaviour", [*BEHAVIOURS, "down", "flapping"])
def test_everything_is_accounted_for(run, receiver, behaviour):
    if behaviour == "down":
        receiver.close()
    elif behaviour == "flapping":
        receiver.behave(*(["ok", "reset", "status:503"] * 100))
    else:
        receiver.behave(behaviour)
    front, port = serve(run, receiver)
    asked = loaded(port, 1500)
    end(front, 3.5)
    receiver.errors.clear()
    stats = run.stats("svc")
    assert stats["spans_committed"] + stats.not_committed() == len(asked), stats
    assert stats.add_up(), stats
    got = delivered(receiver)
    if behaviour == "ok":
        assert sorted(got) == sorted(asked)
    if behaviour == "partial:3:no":
        assert stats["spans_exported"] + stats["spans_dropped_rejected"] == len(asked)
    elif behaviour in ("ok", "slow:0.3", "flapping"):
        assert stats["spans_exported"] == len(got)
    else:
        assert stats["spans_exported"] == 0 and stats.dropped() > 0


@pytest.mark.parametrize("behaviour", ["hang", "down"])
def test_memory_stays_bounded_without_a_receiver(run, receiver, behaviour):
    receiver.behave("hang")
    if behaviour == "down":
        receiver.close()
    front, port = serve(run, receiver, env={"OTEL_EXPORTER_OTLP_TIMEOUT": None})
    pid, helper = program(front), companion(front)
    for _ in range(scale(3, 60)):
        loaded(port, 10000)
    # A queue of 32 MiB, one request being sent, libcurl.
    assert resident(helper) < 64 << 20
    assert resident(pid) < 8 << 20
    end(front, 3.5)
    stats = run.stats("svc")
    assert stats.add_up(), stats
    assert stats["spans_committed"] + stats.not_committed() == scale(3, 60) * 10000, stats


# ---- on disk ----
def test_an_outage_loses_nothing_with_a_place_to_wait(run):
    receiver = run.add(Counting())
    receiver.close()        # from the start: an answer that a reset cuts off would have its request come again
    # As would one that comes later than it has time for.
    env = {"TAGALONG_SPILL_DIR": run.tmp / "spill", "OTEL_EXPORTER_OTLP_TIMEOUT": "30000"}
    front, port = serve(run, receiver, env=env)
    sent = 0
    until = time.monotonic() + scale(4, 600)
    while time.monotonic() < until:
        sent += len(loaded(port, 1000))
        time.sleep(scale(0.2, 2))       # the load's pace: the disk has a bound
    receiver.start()
    begin = time.monotonic()
    while len(receiver.ids) < sent and time.monotonic() < begin + scale(60, 600):
        receiver.forget()
        time.sleep(0.1)
    end(front, 3.5)
    stats = run.stats("svc")
    print(f"{sent} spans, {len(receiver.ids)} delivered, {receiver.twice} of them twice; {stats}")
    assert len(receiver.ids) == sent == stats["spans_exported"], stats
    assert stats["spans_spilled"] > 0 and not stats.dropped() and not stats.not_committed()
    assert not receiver.twice


def spilled(where):
    """Spans that wait on disk: of each record's head the mark, a sum, the number in the file's name, ..."""
    items = 0
    for f in where.glob("*.spill1"):
        nonce = int(f.stem.split("-")[1], 16).to_bytes(8, "little")
        items += sum(int.from_bytes(m[1], "little")
                     for m in re.finditer(b"Wait.{4}" + re.escape(nonce) + b".{12}(.{4})", f.read_bytes(), re.S))
    return items


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_waits_on_disk_outlives_runs(run, receiver, how):
    where = run.tmp / "spill"
    env = {"TAGALONG_SPILL_DIR": where}
    receiver.close()
    sent = 0
    for turn in range(3):
        front, port = serve(run, receiver, f"svc{turn}", env=env)
        loaded(port, 700)
        sent += 700
        helper = companion(front)
        if how == signal.SIGKILL:
            # Whatever is still in the rings is taken by nobody: it has to be on disk.
            wait_for(lambda: spilled(where) == sent, 15, "all of it to be on disk")
            os.kill(helper, signal.SIGKILL)
            wait_for(lambda: is_gone(helper), 5)
            os.kill(program(front), signal.SIGKILL)
            front.wait()
        else:
            end(front, 3.5)
    receiver.start()
    front, port = serve(run, receiver, "last", env=env)
    receiver.wait_spans(sent, timeout=30)
    end(front, 3.5)
    assert len(receiver.spans) == sent
    assert len({s["spanId"] for s in receiver.spans}) == sent


def test_a_disk_that_is_full_is_counted(run, receiver):
    receiver.close()
    front, port = serve(run, receiver, env={"TAGALONG_SPILL_DIR": "/proc/nowhere"})
    loaded(port, 1000)
    end(front, 3.5)
    stats = run.stats("svc")
    assert stats.add_up() and stats.dropped() == 1000, stats


# ---- agents ----
def agent_serve(run, where, service, env=None):
    port = free_port()
    e = {"TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None, "OTEL_BSP_MAX_QUEUE_SIZE": None,
         "OTEL_BSP_SCHEDULE_DELAY": "50"}
    p = run.start([build("soak_server"), port], service, env={**e, **(env or {})}, port=port)
    return p, port


def test_an_agent_serves_who_is_given_its_directory(run, receiver):
    where = run.tmp / "agent"
    agent = supervised.agent(run, receiver, where)
    one, port_one = agent_serve(run, where, "one")
    two, port_two = agent_serve(run, where, "two")
    asked = loaded(port_one, 300)
    assert loaded(port_two, 300) == asked
    receiver.wait_spans(600)
    assert threads(one.pid) == threads(two.pid) == 1
    bodies = b"".join(r.plain for r in receiver.requests)
    assert b"\x05\n\x03one" in bodies and b"\x05\n\x03two" in bodies      # service.name
    assert agent.stop() == 0
    stats = run.stats("agent")
    assert stats["spans_committed"] == stats["spans_exported"] == 600


def test_a_second_agent_is_refused(run, receiver):
    where = run.tmp / "agent"
    supervised.agent(run, receiver, where)
    done = run.call([paths.COMMAND, "agent", "-d", where], "second", env=supervised.own_environment(receiver),
                    check=False)
    assert done.status == 1 and b"another agent serves" in done.err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_agent_that_is_restarted_loses_nothing(run, receiver, how):
    where = run.tmp / "agent"
    agent = supervised.agent(run, receiver, where)
    svc, port = agent_serve(run, where, "svc")
    asked = 0
    for turn in range(3):
        loaded(port, 200)
        asked += 200
        receiver.wait_spans(asked)
        agent.stop(how)
        loaded(port, 200)       # while nobody is there
        asked += 200
        agent = supervised.agent(run, receiver, where, f"agent{turn}")
        receiver.wait_spans(asked)
    assert len(receiver.spans) == asked == len({s["spanId"] for s in receiver.spans})
    assert threads(svc.pid) == 1
    assert svc.stop() == 0
    receiver.wait_spans(asked)


def test_without_its_agent_a_process_goes_on_by_itself(run, receiver):
    where = run.tmp / "agent"
    agent = supervised.agent(run, receiver, where)
    svc, port = agent_serve(run, where, "svc", env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    loaded(port, 100)
    receiver.wait_spans(100)
    agent.stop(signal.SIGKILL)
    loaded(port, 100)
    asked = [200]

    def goes_on():
        loaded(port, 1)
        asked[0] += 1
        return threads(svc.pid) == 2
    wait_for(goes_on, 15, "a worker")
    receiver.wait_spans(asked[0])
    assert svc.stop() == 0
    assert "the supervisor is gone" in run.warnings()["svc.tagalong.log"]
    # The one that comes later serves those that come later.
    supervised.agent(run, receiver, where, "later")
    late, port = agent_serve(run, where, "late", env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    loaded(port, 10)
    receiver.wait_spans(asked[0] + 10)
    assert threads(late.pid) == 1
    assert len(receiver.spans) == asked[0] + 10


def test_a_process_that_floods_an_agent_does_not_starve_the_others(run, receiver):
    where = run.tmp / "agent"
    receiver.behave("hang")
    agent = supervised.agent(run, receiver, where, env={"OTEL_EXPORTER_OTLP_TIMEOUT": "60000"})
    ports = {name: agent_serve(run, where, name)[1] for name in ("flood", "calm")}
    loaded(ports["calm"], 1)

    def is_held_back():
        loaded(ports["flood"], 5000)
        return "has its share" in run.warnings().get("agent.tagalong.log", "")
    wait_for(is_held_back, 60, "the flood to have its share")
    loaded(ports["flood"], 5000)
    for _ in range(5):
        loaded(ports["calm"], 1000)
    receiver.behave("ok")
    agent.stop(signal.SIGTERM)
    stats = run.stats("agent")
    assert stats["spans_dropped_share"] > 0 and not stats["spans_dropped_queue_full"], stats


def test_what_a_killed_agent_had_in_hand_is_counted(run, receiver):
    where = run.tmp / "agent"
    receiver.behave("hang")
    agent = supervised.agent(run, receiver, where)
    svc, port = agent_serve(run, where, "svc", env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
                                                    "TAGALONG_STATS": "true"})
    loaded(port, 100)
    wait_for(lambda: receiver.connections, 15, "the agent to try")
    agent.stop(signal.SIGKILL)
    receiver.behave("ok")

    def goes_on():
        loaded(port, 1)
        return threads(svc.pid) == 2
    wait_for(goes_on, 15, "a worker")
    assert svc.stop() == 0
    stats = run.stats("svc")
    assert stats.add_up() and 0 < stats["spans_dropped_supervisor"] <= 100, stats
    assert len(receiver.spans) == stats["spans_exported"], stats


@pytest.mark.skipif(os.getuid() != 0, reason="makes namespaces")
def test_processes_of_other_pid_namespaces(run, receiver):
    where = run.tmp / "agent"
    supervised.agent(run, receiver, where)
    port = free_port()
    run.start(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", build("soak_server"), port], "svc", port=port,
              env={"TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None, "OTEL_BSP_MAX_QUEUE_SIZE": None})
    loaded(port, 500)
    receiver.wait_spans(500)
    run.processes[-1].stop(signal.SIGKILL)


@pytest.mark.skipif(os.getuid() != 0, reason="makes namespaces")
def test_short_lived_processes_of_other_pid_namespaces_leave_nothing(run, receiver, upstream):
    where = run.tmp / "agent"
    supervised.agent(run, receiver, where)
    script = f"for i in 1 2 3 4 5 6 7 8; do curl -s -o /dev/null http://127.0.0.1:{upstream.port}/$i; done; sleep 60"
    run.start(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script], "svc",
              env={"TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None})
    receiver.wait_spans(8)
    wait_for(lambda: len(files(where)) == 0, 15, "their files to go")
    run.processes[-1].stop(signal.SIGKILL)


@pytest.mark.skipif(os.getuid() != 0, reason="changes user")
def test_processes_of_other_users_share_with_the_agent(run, receiver):
    where = run.tmp / "agent"
    supervised.agent(run, receiver, where)
    assert where.stat().st_mode & 0o7777 == 0o1777
    port = free_port()
    p = run.start([paths.PYTHON, "-m", "http.server", "--bind", "127.0.0.1", port], "svc", port=port, preexec_fn=as_nobody,
                  env={"TAGALONG_SHARED_DIR": where, "TAGALONG_TRACES_FILE": None, "TAGALONG_LOG": None})
    assert get(port, "/n")
    wait_for(lambda: "/n" in delivered(receiver), 15)
    assert threads(p.pid) == 1
    f, = where.glob("spans-*")
    assert f.stat().st_mode & 0o7777 == 0o600


def test_an_agents_directory_takes_anything_anybody_puts_there(run, receiver):
    where = run.tmp / "agent"
    agent = supervised.agent(run, receiver, where)
    (where / "spans-empty").touch()
    (where / "spans-garbage").write_bytes(os.urandom(1 << 20))
    (where / "spans-zeroes").write_bytes(bytes(1 << 20))
    (where / "spans-link").symlink_to("/etc/passwd")
    (where / ("spans-" + 200 * "x")).touch()
    os.mkfifo(where / "spans-pipe")
    (where / "spans-directory").mkdir()
    with open(where / "spans-huge", "wb") as f:
        f.truncate(1 << 40)
    svc, port = agent_serve(run, where, "svc")
    loaded(port, 100)
    receiver.wait_spans(100)
    agent.check_alive()
    assert "is not what it should be" in run.warnings().get("agent.tagalong.log", "")
    assert agent.stop() == 0
