# SPDX-License-Identifier: Apache-2.0
"""`tagalong run` passes signals on to the program, each once, and stops and goes on with it."""
import ctypes
import os
import signal
import subprocess
import time

import pytest

from command import CLEAN
from harness import paths
from harness.wait import wait_for
from test_command_init import EVERY_SIGNAL, GROUP, LIBC, RUN, Log, gone, same, state, witnesses_of


# ---- signals ----

def test_every_signal_is_passed_on_once(victim):
    with Log(victim, "keep") as log:
        want = [n for n in EVERY_SIGNAL if n not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR2)]
        for number in want:
            os.kill(log.pid, number)
            assert log.line() == f"signal {number} value 0"
        assert log.end() == []


def test_values_are_passed_on(victim):
    class Value(ctypes.Union):
        _fields_ = [("int", ctypes.c_int), ("ptr", ctypes.c_void_p)]
    with Log(victim) as log:
        for number, value in ((signal.SIGRTMIN, 1), (signal.SIGRTMIN, 2), (signal.SIGUSR1, 3), (64, 4)):
            assert LIBC.sigqueue(log.pid, int(number), Value(int=value)) == 0
            assert log.line() == f"signal {int(number)} value {value}"
        for value in range(20):    # these are queued
            assert LIBC.sigqueue(log.pid, 40, Value(int=value)) == 0
        assert [log.line() for _ in range(20)] == [f"signal 40 value {n}" for n in range(20)]


@pytest.mark.parametrize("leader", ["session", "group"])
def test_signals_to_the_group_arrive_once(victim, leader):
    with Log(victim, **({"start_new_session": True} if leader == "session" else {"preexec_fn": os.setpgrp})) as log:
        assert log.group == log.pid
        for _ in range(paths.scale(10, 300)):
            for number in GROUP:
                os.killpg(log.pid, number)
                assert log.line() == f"signal {int(number)} value 0"
                log.settle()
                os.kill(log.pid, number)
                assert log.line() == f"signal {int(number)} value 0"
        assert log.end() == []


def test_signals_to_each_process_by_name_are_not_lost(victim):
    """pkill -f and killall go through the list of processes."""
    with Log(victim, start_new_session=True) as log:
        ours = [log.pid, *witnesses_of(log)]
        for order in (ours, ours[::-1]):
            for _ in range(paths.scale(10, 300)):
                for number in GROUP:
                    for pid in order:
                        os.kill(pid, number)
                    assert log.line() == f"signal {int(number)} value 0"
                    log.settle()
                    os.killpg(log.pid, number)
                    assert log.line() == f"signal {int(number)} value 0"
                    log.settle()
        assert log.end() == []


def test_signals_are_passed_on_without_the_processes_that_tell_them_apart(victim):
    with Log(victim, start_new_session=True) as log:
        for pid in witnesses_of(log):
            os.kill(pid, signal.SIGKILL)
        for number in GROUP:
            os.kill(log.pid, number)
            assert log.line() == f"signal {int(number)} value 0"


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to us", "to the group"])
def test_no_signal_is_lost_while_the_program_starts(send):
    for turn in range(paths.scale(60, 2000)):
        program = subprocess.Popen([*RUN, "sleep", "60"], env=CLEAN, start_new_session=True)
        until = time.monotonic() + (turn % 60) / 10000
        while time.monotonic() < until:
            pass
        send(program.pid, signal.SIGTERM)
        assert program.wait(15) == -signal.SIGTERM


def test_a_program_that_signals_its_group_gets_it_once():
    script = "trap 'echo got' TERM; (kill -TERM 0); kill -TERM 0; kill -USR1 $$; echo end"
    assert same("sh", "-c", "trap '' USR1; " + script, start_new_session=True)[1] == "got\ngot\nend\n"


def test_a_signal_to_the_parent_reaches_the_parent():
    got = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    try:
        subprocess.run([*RUN, "sh", "-c", "kill -USR1 $PPID; exit 0"], env=CLEAN, check=True)
        wait_for(lambda: got)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == [signal.SIGUSR1]


def test_programs_that_lead_a_session_of_their_own(victim):
    with Log(victim, prefix=[*RUN, "setsid"], start_new_session=True) as log:
        assert log.group == log.child
        for send, to in ((os.kill, log.pid), (os.killpg, log.pid)):
            for number in GROUP:
                send(to, number)
                assert log.line() == f"signal {int(number)} value 0"
        assert log.end() == []


def test_nohup():
    program = subprocess.Popen(["nohup", *RUN, "sh", "-c", "echo $$; exec sleep 60"], env=CLEAN,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    child = int(program.stdout.readline())
    os.kill(program.pid, signal.SIGHUP)
    os.kill(program.pid, signal.SIGTERM)
    assert program.wait(10) == -signal.SIGTERM
    program.stdout.close()
    assert gone(child)


# ---- stops ----

def stopped(pid):
    got, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
    return got and os.WIFSTOPPED(status) and os.WSTOPSIG(status)


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP, signal.SIGTTIN, signal.SIGTTOU])
def test_stops_and_goes_on_with_the_program(victim, number):
    with Log(victim, preexec_fn=os.setpgrp) as log:
        for _ in range(paths.scale(5, 100)):
            os.kill(log.child, number)
            assert wait_for(lambda: stopped(log.pid)) == number
            assert state(log.child) == "T"
            os.kill(log.pid, signal.SIGCONT)
            assert log.line() == f"signal {int(signal.SIGCONT)} value 0"
            os.killpg(log.pid, number)
            assert wait_for(lambda: stopped(log.pid)) == number
            os.killpg(log.pid, signal.SIGCONT)
            assert log.line() == f"signal {int(signal.SIGCONT)} value 0"
        assert log.end() == []


def test_goes_on_when_the_program_alone_was_continued(victim):
    with Log(victim) as log:
        os.kill(log.child, signal.SIGSTOP)
        assert wait_for(lambda: stopped(log.pid)) == signal.SIGSTOP
        os.kill(log.child, signal.SIGCONT)
        assert log.line() == f"signal {int(signal.SIGCONT)} value 0"
        os.kill(log.pid, signal.SIGTERM)
        assert log.line() == f"signal {int(signal.SIGTERM)} value 0"
        os.kill(log.child, signal.SIGSTOP)
        assert wait_for(lambda: stopped(log.pid)) == signal.SIGSTOP
        os.kill(log.child, signal.SIGKILL)
        assert log.process.wait(10) == -signal.SIGKILL


def test_kill_of_the_parent_leaves_the_program_running(victim):
    with Log(victim) as log:
        others = witnesses_of(log)
        os.kill(log.pid, signal.SIGKILL)
        assert log.process.wait(10) == -signal.SIGKILL
        wait_for(lambda: all(gone(pid) for pid in others))
        os.kill(log.child, signal.SIGINT)
        assert log.line() == f"signal {int(signal.SIGINT)} value 0"
