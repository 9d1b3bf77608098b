# SPDX-License-Identifier: Apache-2.0
"""Processes that fork, exec, end, jump and lock themselves up, in every way there is."""
import pytest

from harness import paths
from harness.paths import scale
from harness.wait import wait_for
from traps import Trapped, build


@pytest.fixture(scope="module")
def process():
    return build("trap_process")


@pytest.fixture(scope="module")
def jump():
    return build("trap_jump")


@pytest.fixture(scope="module")
def seccomp():
    return build("trap_seccomp")


@pytest.mark.parametrize("way", ["fork", "__fork", "_Fork", "clone", "syscall", "raw"])
def test_a_child_of_its_own_traces_on_its_own(run, process, way):
    t = Trapped(run, [process, way]).same()
    assert t.paths == ["/child", "/first", "/last"]
    assert len({s.trace_id for s in t.spans}) == 3
    assert len({s.pid for s in t.spans}) == 2


@pytest.mark.parametrize("way", ["vfork", "vfork_exec", "vfork_nested", "vfork_fork", "clone_borrow", "clone_beside",
                                 "spawn", "system"])
def test_a_child_in_our_memory_touches_nothing(run, process, way):
    t = Trapped(run, [process, way]).same()
    assert t.paths == ["/first", "/last"]
    assert len(t.headers) == 2


def test_a_vfork_that_is_refused_says_why(run, process):
    t = Trapped(run, [process, "vfork_refused"]).same()
    assert "vfork: -1 Resource temporarily unavailable" in t.traced[1]


def test_daemon_is_a_fork(run, process):
    t = Trapped(run, [process, "daemon"])
    wait_for(lambda: len(run.spans.read()) == 3, 10, "the daemon's spans")
    assert {s.path for s in run.spans.all} == {"/first", "/child", "/last"}
    assert t.bare[0] == t.traced[0] == 0


def test_a_storm_of_forks_loses_and_mixes_nothing(run, process):
    count = scale(100, 3000)
    t = Trapped(run, [process, "storm", count], timeout=600).same()
    assert len(t.spans) == count
    assert len({s.trace_id for s in t.spans}) == count


@pytest.mark.parametrize("name", ["execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve",
                                  "execveat", "syscall", "many", "fails"])
def test_what_waits_is_sent_before_an_exec(run, process, name):
    t = Trapped(run, [process, "exec", name]).same()
    assert t.traced[0] == (8 if name == "fails" else 7)
    assert t.paths == ["/first"]


@pytest.mark.parametrize("way", ["exit", "_exit", "_Exit", "quick_exit", "syscall", "thread", "return"])
def test_what_waits_is_sent_at_every_exit(run, process, way):
    t = Trapped(run, [process, "exit", way]).same()
    assert t.traced[0] == 7
    assert t.paths == ["/first"]


@pytest.mark.parametrize("way", ["exit", "_exit", "_Exit", "quick_exit", "syscall", "thread", "return"])
def test_what_is_open_ends_with_the_program(run, process, way):
    t = Trapped(run, [process, "open", way]).same()
    assert t.paths == ["/first", "/open"]
    assert {s.path: s.attributes.get("error.type") for s in t.spans} == {"/first": None, "/open": "aborted"}


@pytest.mark.parametrize("way", ["abort", "kill", "term"])
def test_death_by_signal_stays_one(run, process, way):
    t = Trapped(run, [process, "exit", way]).same()
    assert t.traced[0] < 0


def test_a_process_whose_last_thread_ends_does_end(run, process):
    t = Trapped(run, [process, "exit", "pthread_exit"], timeout=30).same()
    assert t.traced[0] == 0
    assert t.paths == ["/first"]


def test_a_thread_that_outlives_the_main_one_is_traced_and_ends_the_process(run, process):
    t = Trapped(run, [process, "exit", "outlived"], timeout=30).same()
    assert t.traced[1].endswith("unflushed\nexit handler\n")
    assert t.paths == ["/first", "/outlived"]


@pytest.mark.parametrize("how", ["jump", "cancel"])
@pytest.mark.parametrize("call", ["recv", "read", "readv", "recvmsg", "accept", "poll", "write"])
def test_a_call_left_in_the_middle_leaves_nothing_behind(run, jump, how, call):
    t = Trapped(run, [jump, how, call, scale(200, 1000)]).same()
    # The connection that write() was left on is in the middle of a message: no further request there.
    assert t.paths == sorted(["/before", "/elsewhere"] + (["/after"] if call != "write" else []))


def test_a_signal_handler_that_writes_makes_the_connection_opaque(run, jump):
    t = Trapped(run, [jump, "handler", scale(500, 10000)]).same()
    assert t.paths == ["/elsewhere"]


@pytest.mark.parametrize("first", ["", "first"])
@pytest.mark.parametrize("how", ["filter", "tsync"])
@pytest.mark.parametrize("call", ["write", "writev", "send", "sendmsg", "sendmmsg"])
def test_a_filter_that_allows_one_way_of_writing_is_not_tripped(run, seccomp, how, call, first):
    t = Trapped(run, [seccomp, how, call, *([first] if first else [])]).same()
    assert "GET /filtered" in t.traced[1]
    assert len(t.headers) == (1 if first else 2)


@pytest.mark.parametrize("first", ["", "first"])
def test_strict_mode_is_not_tripped(run, seccomp, first):
    t = Trapped(run, [seccomp, "strict", "write", *([first] if first else [])], timeout=30).same()
    assert "GET /filtered" in t.traced[1]


def test_stacks_of_16_kib_are_enough(run):
    t = Trapped(run, [build("trap_threads"), scale(20, 500)]).same()
    assert t.paths == ["/thread"] * (scale(20, 500) * 4 * 3 * 2)


NO_HTTP = """
import os, socket
a, b = socket.socketpair()
a.send(b"x"); b.recv(1)
listener = socket.socket(socket.AF_UNIX); listener.bind("s"); listener.listen()
c = socket.socket(socket.AF_UNIX); c.connect("s")
d, _ = listener.accept()
c.send(b"RSET"); d.recv(9)
os.unlink("s")
listener = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(listener.getsockname())
d, _ = listener.accept()
c.send(b"EHLO me"); d.recv(9); d.send(b"250 you"); c.recv(9)
print(os.listdir("/proc/self/task") == [str(os.getpid())])
"""


def test_a_program_without_http_gets_no_thread(run):
    """unshare(2) and setns(2) refuse programs with threads."""
    t = Trapped(run, [paths.PYTHON, "-c", NO_HTTP]).same()
    assert t.traced[1] == "True\n"


@pytest.mark.parametrize("limit", ["-v", "-d"])
def test_a_ration_of_memory_is_the_programs_alone(run, limit):
    eat = f"ulimit {limit} 160000; exec {paths.PYTHON} -c 'print(len(bytearray(100 << 20)))'"
    t = Trapped(run, ["/bin/sh", "-c", eat]).same()
    assert t.traced[:2] == (0, "104857600\n")


def test_a_mebibyte_of_thread_locals_is_no_trouble(run):
    t = Trapped(run, [build("trap_large_tls"), scale(20, 250)]).same()
    assert t.paths == ["/thread"] * (scale(20, 250) * 4 * 3 * 2)


def test_no_thread_is_started_by_a_handler_that_may_hold_up_the_heap(run):
    """pthread_create() takes memory, and the handler may have interrupted whoever has the heap's lock."""
    t = Trapped(run, [build("trap_heap")], env={"OTEL_BSP_SCHEDULE_DELAY": "1"}).same()
    assert t.paths == ["/after", "/after", "/handler", "/handler"]
