# SPDX-License-Identifier: Apache-2.0
"""Shells, terminals, and what starts other programs in odd ways: bash, dash, busybox sh, tmux, sudo, su,
start-stop-daemon. Each does the same job bare and traced; see programs.py."""
import os
import re

import pytest

from harness import paths
from harness.wait import wait_for
from programs import unnumbered

BUSYBOX = paths.BUILD / "debian" / "busybox"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="becomes other users")

PIPES = r"""
set -u
seq 1 20000 | sort -r | uniq | tail -n 3 | tr '\n' ' '; echo "${PIPESTATUS[@]}"
diff <(printf '%s\n' a b c) <(printf '%s\n' a x c); echo "diff $?"
tee >(wc -c >count) >/dev/null < <(head -c 300000 /dev/zero); while ! [ -s count ]; do :; done; cat count
cat <<< "here $((6 * 7))"
cat <<-END
	a document of ${#PATH}
END
coproc BC { while read -r a b; do echo $((a + b)); done; }
for i in 1 2 3; do echo "$i $i" >&"${BC[1]}"; read -r sum <&"${BC[0]}"; echo "sum $sum"; done
exec {BC[1]}>&-; wait "$BC_PID"; echo "coproc $?"
mkfifo f; (echo through >f) & read -r x <f; wait; echo "$x"
false | true; echo "$?"; set -o pipefail; false | true; echo "$?"
exec 7>seven; echo to seven >&7; exec 7>&-; cat seven
exec 8<>eight 9>&8; echo to eight >&9; exec 9>&- 8>&-; cat eight
(exit 42); echo $?; bash -c 'kill -TERM $$'; echo $?; (kill -KILL $BASHPID); echo $?
ls -l /proc/self/fd | awk 'NR > 1 { print $9 }' | tr '\n' ' '
yes | head -n 1; echo "${PIPESTATUS[@]}"
for i in {1..200}; do x=$(echo $i); done; echo $x
ulimit -n 32; for i in {1..20}; do cat /dev/null | cat | cat; done; echo limited
nosuchcommand; echo $?; ./count; echo $?
"""

TRAPS = r"""
trap 'echo exit $?' EXIT
trap 'echo usr1' USR1; trap 'echo usr2; return 2>/dev/null' USR2
trap 'echo child' CHLD
set -m; sleep 0.1 & wait $!; set +m; trap - CHLD
kill -USR1 $$; kill -USR2 $$
(trap 'echo in the subshell' EXIT; exit 3); echo $?
sleep 100 & pid=$!; until [ "$(cat /proc/$pid/comm)" = sleep ]; do :; done
kill -TERM $pid; wait $pid; echo "killed $?"
trap 'echo err at $LINENO' ERR; false; trap - ERR
trap 'echo debug' DEBUG; :; trap - DEBUG
(sleep 0.1; kill -ALRM $$) & trap 'echo alarm' ALRM; wait; wait; echo waited
read -t 0.05 x < <(sleep 1); echo "read $?"
trap '' PIPE; (yes; echo "yes $?" >&2) | head -n 1
exec bash -c 'echo replaced; exit 5'
"""


def without_pids(done):
    done.err = re.sub(r"((line \d+:|process) +)\d+", r"\1PID", done.err)
    return done


def test_bash_pipes_substitutions_and_coprocesses(kit):
    done, _ = kit.same(lambda s: (without_pids(s.run("bash", "-c", PIPES)), s.files()))
    assert "sum 6" in done.out


def test_bash_traps_and_signals(kit):
    assert kit.same(lambda s: without_pids(s.run("bash", "-c", TRAPS))).status == 5


def test_bash_finds_its_descriptors_threads_and_children_as_ever(kit):
    def job(side):
        side.write("job", "sleep 60 & coproc cat; exec 5<>/dev/null; echo ready; wait")
        p = side.start("bash", "job").wait_log("ready")
        return side.census(side.program(p), lambda c: "'name': 'sleep'" in repr(c) and "'name': 'cat'" in repr(c))
    assert len(kit.same(job)["children"]) == 2


@pytest.mark.parametrize("writer, traced", [("cat", 2), ("printf", 0)])
def test_http_through_dev_tcp_of_bash(kit, upstream, writer, traced):
    """cat writes by itself and is traced, printf of bash through stdio, which is not seen."""
    ask = r"""exec 3<>/dev/tcp/127.0.0.1/$0
request() { printf 'GET /from-bash HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n'; }
case $1 in cat) request | cat >&3;; *) request >&3;; esac
cat <&3"""
    upstream.answer = lambda r: r.without_trace_headers()
    assert "Host: here" in kit.same(lambda s: s.run("bash", "-c", ask, upstream.port, writer).ok()).out
    assert [len(r.all("traceparent")) for r in upstream.received].count(1) == traced


def test_bash_job_control_on_a_terminal(kit):
    def job(side):
        with side.terminal("bash", "--norc", "--noediting", "-i", env={"PS1": "% ", "HISTFILE": "/dev/null"}) as t:
            def in_front(name):
                """A key that comes between fork and exec would be ignored."""
                wait_for(lambda: side.named(os.tcgetpgrp(t.fd)) == name, 20, f"{name} to have the terminal")

            def says(line, answer):
                t.expect("% ", 30)
                t.type(line + "\n")
                t.expect(answer, 30)
            says("tty >/dev/null && echo on a $((40 + 2))", "on a 42")
            says("sleep 100", "\n")
            in_front("sleep")
            t.type("\x1a")
            t.expect("Stopped", 30)
            says("jobs", "Stopped")
            says("bg %1", "sleep 100 &")
            says("jobs", "Running")
            says("fg %1", "\nsleep 100\n")
            in_front("sleep")
            t.type("\x03")
            says("echo st=$?", "st=130")
            says("cat", "\n")
            in_front("cat")
            t.type("hello\n")
            t.expect("hello\nhello\n", 30)
            t.type("\x04")
            t.resize(7, 70)
            says("(exit 9); stty size; echo $?", "7 70\n0")
            says("trap 'echo winch' WINCH; kill -WINCH $$", "\nwinch\n")
            says("exit 7", "exit")
            status = t.wait(30)
            return status, re.sub(r"\[1\] \d+", "[1] PID", t.text)
    assert kit.same(job)[0] == 7


POSIX = r"""
for i in 1 2 3; do echo "$i" | { read -r x; echo "got $x"; }; done
trap 'echo bye' EXIT; trap 'echo usr1' USR1; kill -USR1 $$
x=$(printf '%s' "$(echo nested)"); echo "$x"
sleep 0.1 & wait $!; echo $?; sh -c 'kill -TERM $$'; echo $?
cat <<END | sed s/a/b/
banana
END
echo a >f; echo b >>f; while read -r l; do echo "<$l>"; done <f
exec 3<f; read -r l <&3; echo "$l"; exec 3<&-
(ulimit -n 16; echo x | cat)
seq 1 5 | xargs -n 2 echo; find . -type f -exec wc -c {} \;
exit 11
"""


@pytest.mark.parametrize("shell", [("dash",), (BUSYBOX, "sh"), ("busybox", "sh")], ids=["dash", "busybox", "static busybox"])
def test_small_shells(kit, shell):
    assert kit.same(lambda s: (s.run(*shell, "-c", POSIX), s.files()))[0].status == 11


def test_tmux_runs_a_shell_and_shows_its_screen(kit):
    def job(side):
        tmux = ["tmux", "-S", side.dir / "s", "-f", "/dev/null"]
        side.run(*tmux, "new-session", "-d", "-s", "one", "-x", "80", "-y", "24", "bash", "--norc", "--noediting",
                 env={"PS1": "% "}).ok()
        try:
            def ask(*words):
                return side.run(*tmux, *words).ok().out

            def screen(pane=1):
                return ask("capture-pane", "-p", "-t", f"one.{pane}")
            wait_for(lambda: "%" in screen(0), 20, "a prompt")
            ask("send-keys", "-t", "one", "echo $((6*7)); seq 3", "Enter")
            wait_for(lambda: "\n3\n" in screen(0), 20, "three lines")
            ask("split-window", "-h", "-t", "one", "cat")
            ask("send-keys", "-t", "one", "typed", "Enter")
            wait_for(lambda: screen().count("typed") == 2, 20, "what was typed")
            ask("set-buffer", "pasted")
            ask("paste-buffer", "-t", "one")
            server = int(ask("display-message", "-p", "#{pid}"))
            return (ask("list-panes", "-t", "one", "-F", "#{pane_index} #{pane_width}x#{pane_height} #{pane_dead}"),
                    wait_for(lambda: "pasted" in screen() and screen(0) + screen(1), 20, "what was pasted"),
                    unnumbered(side.census(server)))
        finally:
            side.run(*tmux, "kill-server")
    assert "42" in kit.same(job)[1]


@needs_root
def test_sudo_and_su_become_other_users(kit):
    """They are setuid: passive inside, and what they start is as it would be."""
    def job(side):
        other = {"user": 65534, "group": 65534, "extra_groups": []}
        return [side.run("sudo", "-n", "-u", "nobody", "id"),
                side.run("sudo", "-n", "sh", "-c", "id -u; exit 5"),
                side.run("sudo", "-n", "-u", "#65534", "-g", "#65534", "sh", "-c", "echo $SUDO_USER; kill -9 $$"),
                side.run("sudo", "-V").out.splitlines()[0],
                side.run("sudo", "-n", "true", **other),
                side.run("su", "-s", "/bin/sh", "nobody", "-c", "id -un; exit 6"),
                side.run("su", "-c", "true", **other),
                side.run("runuser", "-u", "nobody", "--", "id", "-un"),
                side.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "sudo", "-n", "id")]
    assert [d.status for d in kit.same(job) if hasattr(d, "status")] == [0, 5, -9, 1, 6, 1, 0, 1]


def test_start_stop_daemon_starts_and_stops_a_daemon(kit):
    def job(side):
        pidfile = side.dir / "pid"
        word = ["start-stop-daemon", "--pidfile", pidfile, "--exec", "/usr/bin/sleep"]
        said = [side.run(*word, "--status").status,
                side.run(*word, "--start", "--background", "--make-pidfile", "--", "300")]
        pid = int(wait_for(lambda: pidfile.exists() and pidfile.read_text().strip(), 10, "its pid"))
        side.names.append((str(pid), "PID"))
        return [*said, side.census(pid, lambda c: c["name"] == "sleep"), side.run(*word, "--status").status, side.run(*word, "--start", "--", "300"),
                side.run(*word, "--stop", "--retry", "5", "--remove-pidfile"), side.files()]
    assert kit.same(job)[-2].status == 0


CLOSES = r"""
import ctypes, os, socket, sys
libc = ctypes.CDLL(None)
a, b = socket.socketpair()
kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
print(libc.close_range(3, ctypes.c_uint(0xffffffff), 0), sorted(os.listdir("/proc/self/fd")))
for s in (a, b): s.detach()
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /closed-all HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
print(s.recv(12), s.fileno())
s.close()
os.closerange(3, 4096)
os.chroot("."); os.chdir("/")
os.setgid(65534); os.setuid(65534)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /daemon HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
print(s.recv(12), s.fileno(), os.getuid(), os.listdir("/"), flush=True)
"""


@needs_root
def test_a_daemon_that_closes_all_and_locks_itself_up(kit, upstream):
    def job(side):
        (side.dir / "jail").mkdir()
        return side.run(paths.PYTHON, "-c", CLOSES, upstream.port, cwd=side.dir / "jail")
    assert kit.same(job).status == 0
    assert [r.path for r in upstream.received].count("/daemon") == 3
