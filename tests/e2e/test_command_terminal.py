# SPDX-License-Identifier: Apache-2.0
"""`tagalong run` on a terminal: keys, job control, shells inside shells, pipelines."""
import os
import re
import signal

import pytest

from command import CLEAN, idle
from harness import paths
from harness.terminal import Terminal
from harness.wait import wait_for

RUN = f"{paths.COMMAND} run -q --console --"
INTR, QUIT, SUSPEND = "\x03", "\x1c", "\x1a"
ENV = {**CLEAN, "TERM": "xterm", "PS1": "PROMPT> ", "HISTFILE": "/dev/null", "INPUTRC": "/dev/null"}
BASH = ["bash", "--norc", "--noprofile", "-i"]


@pytest.fixture
def shell():
    with Terminal(BASH, ENV) as t:
        t.type("bind 'set enable-bracketed-paste off'; stty -echo; echo RE''ADY\n")
        t.expect("READY")
        yield t


def ready(t):
    """The ids that signal_log gives."""
    t.expect("ready ")
    return [int(word) for word in t.expect("\n").split()]


def expect_status(t, status):
    """What the program that ends now leaves in $?."""
    t.type("echo ST$?\n")      # what is typed before the shell has the terminal again waits for it
    return t.expect(f"ST{status}\n")


def take_all(t, child):
    """Ends signal_log; which signals it had seen and not said yet."""
    os.kill(child, signal.SIGUSR2)
    return re.findall(r"signal (\d+)", expect_status(t, 0))


# ---- keys ----

@pytest.mark.parametrize("key,number", [(INTR, signal.SIGINT), (QUIT, signal.SIGQUIT)])
def test_keys_reach_the_program_once(shell, victim, key, number):
    shell.type(f"{RUN} {victim('signal_log')}\n")
    child, parent, _ = ready(shell)
    for _ in range(5):
        shell.type(key)
        shell.expect(f"signal {int(number)} ")
        wait_for(lambda: idle(parent))
    assert take_all(shell, child) == []


@pytest.mark.parametrize("key,number", [(INTR, signal.SIGINT), (QUIT, signal.SIGQUIT)])
def test_keys_end_the_program_and_us(shell, key, number):
    for command in ("sleep 60", f"{RUN} sleep 60"):
        shell.type(f"ulimit -c 0; {command}\n")
        wait_for(lambda: foreground_runs(shell, "sleep"))
        shell.type(key)
        assert shell.expect("\n") is not None
        shell.expect("PROMPT> ")
        expect_status(shell, 128 + number)


def foreground_runs(terminal, name):
    group = os.tcgetpgrp(terminal.fd)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                before, _, after = f.read().rpartition(")")
            if before.split("(", 1)[1] == name and int(after.split()[2]) == group:
                return True
        except (FileNotFoundError, ProcessLookupError):
            pass
    return False


def test_keys_where_we_lead_the_session(victim):
    """As from ssh or docker run -it."""
    with Terminal([*RUN.split(), victim("signal_log")], ENV) as t:
        child, parent, group = ready(t)
        assert group == t.pid == parent
        for key, number in ((INTR, signal.SIGINT), (QUIT, signal.SIGQUIT)):
            t.type(key)
            t.expect(f"signal {int(number)} ")
            wait_for(lambda: idle(parent))
        t.type(SUSPEND)     # in a session without a shell nobody would continue it: the kernel does nothing
        t.resize(33, 77)
        t.expect(f"signal {int(signal.SIGWINCH)} ")
        os.kill(child, signal.SIGUSR2)
        assert t.wait() == 0
        assert "signal" not in t.text[t.read_to:]


def test_the_size_of_the_window(shell, victim):
    shell.type(f"{RUN} {victim('signal_log')}\n")
    child, parent, _ = ready(shell)
    shell.resize(33, 77)
    shell.expect(f"signal {int(signal.SIGWINCH)} ")
    assert take_all(shell, child) == []
    shell.type(f"{RUN} stty size\n")
    shell.expect("33 77\n")


def test_a_hang_up_reaches_the_program_once(victim, tmp_path):
    log = tmp_path / "log"
    with Terminal(["sh", "-c", f"exec {RUN} sh -c 'exec {victim('signal_log')} keep > {log}'"], ENV) as t:
        wait_for(lambda: log.exists() and "ready" in log.read_text())
        child = int(log.read_text().split()[1])
        os.close(t.fd)
        t.fd = os.open("/dev/null", os.O_RDONLY)
        wait_for(lambda: "signal 1 " in log.read_text())
        wait_for(lambda: idle(t.pid))
        os.kill(child, signal.SIGUSR2)
        assert t.wait() == 0
        assert re.findall(r"signal (\d+)", log.read_text()) in (["1"], ["1", "18"])


# ---- job control ----

def test_suspend_and_go_on(shell, victim):
    shell.type(f"{RUN} {victim('signal_log')}\n")
    child, parent, _ = ready(shell)
    for _ in range(3):
        shell.type(SUSPEND)
        shell.expect("Stopped")
        shell.expect("PROMPT> ")
        shell.type("jobs -s | grep -c signal_log\n")
        shell.expect("1\n")
        shell.type("fg\n")
        shell.expect("signal 18 ")
        wait_for(lambda: idle(parent))
    shell.type(INTR)
    shell.expect("signal 2 ")
    shell.type(SUSPEND)
    shell.expect("Stopped")
    shell.type("bg\n")
    shell.expect("signal 18 ")
    wait_for(lambda: idle(parent))
    shell.type("kill -HUP %1\n")
    shell.expect("signal 1 ")
    wait_for(lambda: idle(parent))
    shell.type("fg\n")
    shell.expect("signal_log")
    assert take_all(shell, child) in ([], ["18"])


def test_a_program_that_stops_itself(shell):
    """As editors do, after they have put the terminal back."""
    shell.type(f"{RUN} sh -c 'kill -STOP $$; echo on; kill -TSTP 0; echo and on; exit 3'\n")
    for word in ("on\n", "and on\n"):
        shell.expect("Stopped")
        shell.expect("PROMPT> ")
        shell.type("fg\n")
        shell.expect(word)
    expect_status(shell, 3)


def test_a_background_job_that_reads_the_terminal_stops(shell):
    shell.type(f"{RUN} cat &\n")
    shell.expect("PROMPT> ")
    shell.type("while ! jobs -s | grep Stopped; do :; done\n")
    shell.expect("Stopped")
    shell.type("fg\n")
    shell.expect("cat\n")
    wait_for(lambda: foreground_runs(shell, "cat"))
    shell.type("hello\n")
    shell.expect("hello\n")
    shell.type("\x04")
    shell.expect("PROMPT> ")


def test_background_jobs_and_wait(shell):
    shell.type(f"{RUN} sh -c 'exit 7' & wait $!; echo ST$?\n")
    shell.expect("ST7")
    shell.type(f"{RUN} sleep 60 & kill %1; wait $!; echo ST$?\n")
    shell.expect(f"ST{128 + signal.SIGTERM}")
    shell.type(f"{RUN} sleep 60 & kill -KILL %1; wait $!; echo ST$?\n")
    shell.expect(f"ST{128 + signal.SIGKILL}")


def test_a_pipeline_with_a_pager(shell):
    for command in (f"seq 100 | {RUN} less", f"{RUN} seq 100 | less", f"{RUN} seq 100 | {RUN} less"):
        shell.type(f"{command}\n")
        shell.expect("\n2\n")
        shell.type(" ")
        shell.expect("\n30\n")
        shell.type("q")
        shell.expect("PROMPT> ")
        expect_status(shell, 0)


def test_an_editor(shell, tmp_path):
    shell.type(f"{RUN} vim -u NONE -N {tmp_path}/f\n")
    shell.expect("[New]")
    shell.type("ihello")
    shell.expect("hello")
    shell.type("\x1b" + SUSPEND)
    shell.expect("Stopped")
    shell.type("fg\n")
    shell.expect("hello")
    shell.type(":wq\n")
    shell.expect("PROMPT> ")
    expect_status(shell, 0)
    assert (tmp_path / "f").read_text() == "hello\n"


# ---- shells ----

def job_control_works(t):
    t.type("sleep 60\n")
    wait_for(lambda: foreground_runs(t, "sleep"))
    t.type(SUSPEND)
    t.expect("Stopped")
    t.type("fg\n")
    wait_for(lambda: foreground_runs(t, "sleep"))
    t.type(INTR)
    t.type("echo ST$?\n")
    t.expect("ST130")
    t.type("cat <(echo so) & wait\n")
    t.expect("so\n")


INNER = " ".join(BASH)


def test_a_shell_inside(shell):
    shell.type(f"PS1='INNER> ' {RUN} {INNER}\n")
    shell.expect("INNER> ")
    job_control_works(shell)
    shell.type("exit 6\n")
    shell.expect("PROMPT> ")
    expect_status(shell, 6)
    job_control_works(shell)


def test_a_shell_inside_is_suspended(shell):
    shell.type(f"PS1='INNER> ' {RUN} {INNER}\n")
    shell.expect("INNER> ")
    for how in ("suspend", "kill -STOP $$"):
        shell.type(f"{how}\n")
        shell.expect("Stopped")
        shell.expect("PROMPT> ")
        job_control_works(shell)
        shell.type("fg\n")
        shell.expect("INNER> ")
        job_control_works(shell)
    shell.type("exit 6\n")
    shell.expect("PROMPT> ")
    expect_status(shell, 6)


def test_a_shell_that_leads_the_session():
    with Terminal([*RUN.split(), *BASH], ENV) as t:
        t.expect("PROMPT> ")
        job_control_works(t)
        t.type("exit 5\n")
        assert t.wait() == 5


@pytest.mark.skipif(os.getuid() != 0, reason="makes a namespace")
def test_a_shell_as_the_child_of_process_1():
    """docker run -it"""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "setsid", "--ctty", "--wait"]
    with Terminal([*command[:5], *RUN.split(), *BASH], ENV) as t:
        t.expect("PROMPT> ")
        t.type("echo I''AM $PPID\n")
        t.expect("IAM 1\n")
        t.type("exit 5\n")
        assert t.wait() == 5
