# SPDX-License-Identifier: Apache-2.0
"""`tagalong run` as the parent of the program: nothing tells the program, or whoever started it, that
somebody stands in between."""
import ctypes
import os
import resource
import select
import signal
import subprocess
import time

import pytest

from command import CLEAN, as_nobody, idle, install, open_to_all, tagalong
from harness import paths
from harness.wait import wait_for

RUN = [str(paths.COMMAND), "run", "-q", "--console", "--"]
PID1 = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
LIBC = ctypes.CDLL(None, use_errno=True)
EVERY_SIGNAL = range(1, 65)
STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
DEADLY = [n for n in EVERY_SIGNAL if n not in STOPS and
          n not in (signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)]
GROUP = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCONT, signal.SIGWINCH,
         signal.SIGUSR1, 34, 50, 64]


def same(*command, **more):
    """Runs a command bare and under us: status and output. The first is what must be."""
    results = []
    for words in (list(command), RUN + list(command)):
        done = subprocess.run(words, env=CLEAN, capture_output=True, text=True, timeout=60, **more)
        results.append((done.returncode, done.stdout, done.stderr))
    assert results[0] == results[1]
    return results[0]


def python(script):
    return [paths.PYTHON, "-c", script]


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def name(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def gone(pid):
    return state(pid) in (None, "Z")


def descendants_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


class Log:
    """The victim signal_log under us."""

    def __init__(self, victim, *arguments, prefix=RUN, **popen):
        self.process = subprocess.Popen([*prefix, str(victim("signal_log")), *arguments], env=CLEAN,
                                        stdout=subprocess.PIPE, **popen)
        self.pid = self.process.pid
        self.text = b""
        _, self.child, self.parent, self.group = map(int, self.line().replace("ready", "0").split())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in (self.pid, self.child):
            if self.process.poll() is None or pid == self.child and not gone(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self.process.stdout.close()

    def line(self, timeout=15):
        while b"\n" not in self.text:
            assert select.select([self.process.stdout], [], [], timeout)[0], "it says nothing"
            more = os.read(self.process.stdout.fileno(), 4096)
            assert more, "it has ended"
            self.text += more
        line, _, self.text = self.text.partition(b"\n")
        return line.decode()

    def settle(self):
        """All that we were sent has been dealt with: two of the same that wait are one."""
        everybody = [self.pid, *witnesses_of(self)]
        wait_for(lambda: all(idle(pid) for pid in everybody))

    def end(self):
        """Ends it from beside; the signals it has seen and not said yet."""
        os.kill(self.child, signal.SIGUSR2)
        rest, _ = self.process.communicate(timeout=15)
        rest = self.text + rest
        assert self.process.returncode == 0
        return [int(line.split()[1]) for line in rest.splitlines()]


def witnesses_of(log):
    """The two that tell who a signal was sent to."""
    def found():
        pids = [pid for pid in descendants_of(log.pid) if name(pid) == "tagalong-signal"]
        return len(pids) == 2 and sorted(pids)
    return wait_for(found)


# ---- how it ends ----

def test_every_exit_status_is_passed_on():
    for status in range(256):
        assert tagalong("run", "-q", "sh", "-c", f"exit {status}").status == status


def test_every_death_by_signal_is_passed_on():
    script = "import ctypes, os, sys; ctypes.CDLL(None).prctl(4, 0); os.kill(os.getpid(), int(sys.argv[1]))"
    for number in DEADLY:
        if number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            continue    # Python has handlers for these: see below
        assert same(*python(script), str(number))[0] == -number
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        assert same("sh", "-c", f"kill -{number} $$")[0] == -number


def test_no_core_file_of_ours(tmp_path):
    """The program's own, and no second one."""
    def core():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    done = subprocess.run([*RUN, "sh", "-c", "ulimit -c 0; kill -SEGV $$"], env=CLEAN, cwd=tmp_path,
                          preexec_fn=core)
    assert done.returncode == -signal.SIGSEGV and not os.listdir(tmp_path)


def test_programs_that_do_not_start_say_so_as_with_exec(tmp_path):
    (tmp_path / "plain").write_text("x")
    (tmp_path / "strange").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "strange").chmod(0o755)
    (tmp_path / "script").write_text("echo from a script without a first line; exit 3\n")
    (tmp_path / "script").chmod(0o755)
    for name in ("no-such-program", "nothing", tmp_path / "nothing", tmp_path / "plain", tmp_path,
                 tmp_path / "strange", tmp_path / "script", "/etc/passwd/x", ""):
        assert tagalong("run", "-q", name) == tagalong("run", "-q", "--exec", name)
    assert tagalong("run", "-q", tmp_path / "script").status == 3


# ---- what the program is given ----

def test_signal_masks_and_ignored_signals_are_inherited():
    def prepare():
        for number in EVERY_SIGNAL:
            if number not in (9, 19, 32, 33) and number % 3 == 0:
                signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [n for n in EVERY_SIGNAL if n % 5 == 0])
    for before in (prepare, None):
        status, out, _ = same("grep", "-E", "^(Sig|Shd)(Pnd|Blk|Ign|Cgt)", "/proc/self/status",
                              preexec_fn=before, restore_signals=False)
        assert status == 0 and out.count("\n") == 5


def test_children_are_seen_to_end_where_sigchld_is_ignored():
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    done = subprocess.run([*RUN, "sh", "-c", "exit 5"], env=CLEAN, preexec_fn=ignore, timeout=30)
    assert done.returncode == 5


def test_descriptors_are_inherited(tmp_path):
    with open(tmp_path / "f", "w+") as f:
        os.dup2(f.fileno(), 77)
        try:
            status, out, _ = same(*python("import os; print([(n, os.readlink(f'/proc/self/fd/{n}')) for n in "
                                          "sorted(map(int, os.listdir('/proc/self/fd'))) if n > 2 and "
                                          "os.path.exists(f'/proc/self/fd/{n}')])"),
                                  pass_fds=[f.fileno(), 77], stdin=subprocess.DEVNULL)
            assert status == 0 and out.count(str(tmp_path / "f")) == 2
        finally:
            os.close(77)


def test_the_environment_and_the_limits_are_inherited(tmp_path):
    def prepare():
        os.umask(0o137)
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 4096))
    _, out, _ = same("sh", "-c", "umask; nice; ulimit -a; pwd; cat /proc/self/limits; echo $0 $PPID | cut -d' ' -f1",
                     preexec_fn=prepare, cwd=tmp_path)
    assert out.startswith("0137\n") and str(tmp_path) in out
    bare = subprocess.run(["env"], env={**CLEAN, "A": "b"}, capture_output=True, text=True).stdout
    ours = subprocess.run([*RUN, "env"], env={**CLEAN, "A": "b"}, capture_output=True, text=True).stdout
    added = {line.split("=")[0] for line in set(ours.splitlines()) - set(bare.splitlines())}
    assert added == {"LD_PRELOAD", "OTEL_TRACES_EXPORTER", "TAGALONG_SHARED_DIR"}
    assert set(bare.splitlines()) <= set(ours.splitlines())


def test_the_programs_name_is_its_own():
    _, out, _ = same("sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline; cat /proc/$$/comm", "one", "two")
    assert "one two" in out and out.endswith("sh\n")


def test_timers_go_to_the_program():
    def alarm():
        signal.setitimer(signal.ITIMER_REAL, 3600)
        signal.setitimer(signal.ITIMER_PROF, 1800)
    _, out, _ = same(*python("import signal as s; print([round(s.getitimer(t)[0] / 100) for t in (0, 1, 2)])"),
                     preexec_fn=alarm)
    assert out == "[36, 0, 18]\n"
    done = subprocess.run([*RUN, "sleep", "60"], env=CLEAN, timeout=30,
                          preexec_fn=lambda: signal.setitimer(signal.ITIMER_REAL, 0.05))
    assert done.returncode == -signal.SIGALRM


def test_a_pending_signal_reaches_the_program():
    def pending():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        os.kill(os.getpid(), signal.SIGUSR1)
    status, out, _ = same(*python("import signal; print(signal.sigwait([signal.SIGUSR1]))"),
                          preexec_fn=pending)
    assert status == 0 and out == "10\n"


@pytest.mark.parametrize("number", [0, signal.SIGKILL, signal.SIGTERM])
def test_the_signal_at_a_parents_death_is_inherited(victim, number):
    same(*python("import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)"),
         preexec_fn=lambda: LIBC.prctl(1, int(number)))


# ---- descriptors ----

def test_the_end_of_an_output_is_seen_while_the_program_runs():
    read, write = os.pipe()
    program = subprocess.Popen([*RUN, *python(f"import os, time; os.close({write}); os.close(1); time.sleep(60)")],
                               env=CLEAN, pass_fds=[write], stdout=subprocess.PIPE)
    os.close(write)
    try:
        for fd in (read, program.stdout.fileno()):
            assert select.select([fd], [], [], 15)[0] and os.read(fd, 1) == b""
        assert program.poll() is None
    finally:
        program.terminate()
        program.wait(10)
        program.stdout.close()
        os.close(read)


def test_an_input_that_the_program_closes_is_closed():
    program = subprocess.Popen([*RUN, *python("import os, time; os.close(0); time.sleep(60)")], env=CLEAN,
                               stdin=subprocess.PIPE)

    def broken():
        try:
            os.write(program.stdin.fileno(), b"x")
        except BrokenPipeError:
            return True
    try:
        wait_for(broken)
    finally:
        program.terminate()
        program.wait(10)
        try:
            program.stdin.close()
        except BrokenPipeError:
            pass


def test_standard_streams_that_are_closed_stay_closed():
    script = "exec 0<&- 1>&- 2>&-; exec \"$@\""
    see = "import os, sys; open(sys.argv[1], 'w').write(repr([os.path.exists(f'/proc/self/fd/{n}') for n in range(3)]))"
    results = []
    for words in ([], RUN):
        name = f"/tmp/tagalong-streams-{os.getpid()}"
        subprocess.run(["sh", "-c", script, "sh", *words, *python(see), name], env=CLEAN, check=True)
        with open(name) as f:
            results.append(f.read())
        os.unlink(name)
    assert results[0] == results[1]


def test_pipelines():
    done = subprocess.run(["bash", "-c", f"{' '.join(RUN)} seq 1000000 | head -2; echo ${{PIPESTATUS[@]}};"
                           f"seq 5 | {' '.join(RUN)} cat | tail -1"], env=CLEAN, capture_output=True, text=True)
    assert done.stdout == "1\n2\n141 0\n5\n"


# ---- orphans ----

ORPHANS = """
import os, sys, time
read, write = os.pipe()
for _ in range({count}):
    if os.fork() == 0:
        if os.fork() == 0:
            os.read(read, 1)        # all end at once
            os._exit(3)
        os._exit(0)
for _ in range({count}):
    os.wait()
print(os.getppid(), flush=True)
sys.stdin.readline()
os.write(write, b"x" * {count})
sys.stdin.readline()
os._exit(9)
"""


@pytest.mark.parametrize("prefix", [[], PID1], ids=["subreaper", "process 1"])
def test_200_orphans_at_once_are_reaped(prefix):
    program = subprocess.Popen([*prefix, *RUN, *python(ORPHANS.format(count=200))], env=CLEAN, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        parent = int(program.stdout.readline())
        assert parent == (1 if prefix else program.pid)
        ours = descendants_of(program.pid)[0] if prefix else program.pid
        def pythons():
            return sum(name(pid) == "python3" for pid in descendants_of(ours))
        wait_for(lambda: pythons() == 201)
        program.stdin.write("\n")
        program.stdin.flush()
        wait_for(lambda: pythons() == 1)
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.wait(10) == 9
    finally:
        program.kill()
        program.wait()
        program.stdin.close()
        program.stdout.close()


def test_a_daemon_does_not_hold_us_up():
    done = subprocess.run([*RUN, "sh", "-c", "(sleep 60 & echo $!) ; exit 4"], env=CLEAN, text=True,
                          capture_output=False, stdout=subprocess.DEVNULL, timeout=10)
    assert done.returncode == 4


# ---- process 1 of a container ----

def test_exit_statuses_as_process_1():
    for status in (0, 1, 7, 125, 126, 127, 128, 255):
        assert subprocess.run([*PID1, *RUN, "sh", "-c", f"exit {status}"], env=CLEAN).returncode == status
    assert subprocess.run([*PID1, *RUN, "no-such-program"], env=CLEAN,
                          stderr=subprocess.DEVNULL).returncode == 127


def test_deaths_by_signal_as_process_1():
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGSEGV, signal.SIGHUP, 40):
        done = subprocess.run([*PID1, *RUN, "sh", "-c", f"ulimit -c 0; kill -{int(number)} $$"], env=CLEAN)
        assert done.returncode == 128 + number


def test_process_1_ends_by_docker_stop():
    """One SIGTERM, to process 1, which without us would have ignored it."""
    program = subprocess.Popen([*PID1, *RUN, "sh", "-c", "echo; exec sleep 60"], env=CLEAN,
                               stdout=subprocess.PIPE)
    program.stdout.readline()
    os.kill(descendants_of(program.pid)[0], signal.SIGTERM)
    assert program.wait(10) == 128 + signal.SIGTERM
    program.stdout.close()


def test_process_1_passes_signals_on_once(victim):
    with Log(victim, prefix=[*PID1, *RUN], start_new_session=True) as log:
        one = descendants_of(log.process.pid)[0]
        log.child = next(pid for pid in descendants_of(one) if name(pid) == "signal_log")
        for _ in range(10):
            for number in GROUP:
                os.kill(one, number)
                assert log.line() == f"signal {int(number)} value 0"
        os.kill(log.child, signal.SIGSTOP)
        wait_for(lambda: state(log.child) == "T")
        os.kill(one, signal.SIGCONT)    # it cannot be stopped itself
        assert log.line() == f"signal {int(signal.SIGCONT)} value 0"
        assert log.end() == []


# ---- nothing to be had ----

@pytest.mark.skipif(os.getuid() != 0, reason="changes user")
def test_runs_in_place_when_no_process_can_be_had(tmp_path):
    def no_process():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        as_nobody()
    open_to_all(tmp_path)
    program = install(tmp_path)
    done = subprocess.run([program, "run", "-q", "--", "sh", "-c", "exit 6"], env=CLEAN, preexec_fn=no_process)
    assert done.returncode == 6


def test_runs_with_few_descriptors():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    for words in (["true"], ["no-such-program"]):
        ours, bare = (subprocess.run([paths.COMMAND, "run", "-q", *exec, *words], env=CLEAN, preexec_fn=few,
                                     capture_output=True).returncode for exec in ([], ["--exec"]))
        assert ours == bare


def test_costs_nothing_while_the_program_runs(victim):
    def switches(pid):
        with open(f"/proc/{pid}/status") as f:
            return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
    with Log(victim) as log:
        everybody = [log.pid, *witnesses_of(log)]
        wait_for(lambda: all(idle(pid) for pid in everybody))
        before = [switches(pid) for pid in everybody]
        until = time.monotonic() + 1.5
        wait_for(lambda: time.monotonic() > until)
        assert [switches(pid) for pid in everybody] == before
