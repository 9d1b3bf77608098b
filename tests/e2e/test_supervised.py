# SPDX-License-Identifier: Apache-2.0
"""`tagalong run` exports for its tree: nothing of ours is in the programs, and what they have committed is delivered
whatever becomes of them."""
import contextlib
import http.client
import os
import random
import signal
import threading
import time

import pytest

from harness import paths, supervised
from harness.paths import scale
from harness.ports import free_port
from harness.supervised import companion, delivered, directory, files, get, is_gone, program, state
from harness.usage import descriptors, threads
from harness.wait import wait_for
from storms import build

PYTHON_SERVER = [paths.PYTHON, "-m", "http.server", "--bind", "127.0.0.1"]
NODE_SERVER = "require('http').createServer((q, a) => a.end('ok')).listen(process.argv[1], '127.0.0.1')"


def python_server(run, receiver, port, **more):
    return supervised.start(run, receiver, [*PYTHON_SERVER, port], port=port, **more)


def wait_delivered(receiver, wanted, timeout=15):
    wait_for(lambda: set(wanted) <= set(delivered(receiver)), timeout,
             f"spans of {len(set(wanted))} requests")


# ---- nothing of ours ----
SERVERS = {
    "python": lambda port: [*PYTHON_SERVER, port],
    "node": lambda port: ["node", "-e", NODE_SERVER, port],
}


QUIET = {"TAGALONG_LOG": None, "TAGALONG_STATS": None}      # a log is a descriptor


def held(pid):
    return descriptors(pid), threads(pid)


@pytest.mark.parametrize("name", SERVERS)
def test_no_thread_and_no_descriptor_of_ours(run, receiver, name):
    seen = []
    for traced in (False, True):
        port = free_port()
        cmd = SERVERS[name](port)
        if traced:
            front = supervised.start(run, receiver, cmd, port=port, env=QUIET)
            pid = program(front)
        else:
            pid = run.bare(cmd, port=port).pid
        before = held(pid)
        for _ in range(20):
            assert get(port, "/a")
        wait_for(lambda: held(pid) == before, 5, f"{name} to hold {before} again")
        seen.append(before)
    assert seen[0] == seen[1]
    wait_delivered(receiver, ["/a"])
    assert len(files(directory(pid))) == 1


def test_nginx_has_neither_in_any_process(run, receiver):
    seen = []
    for traced in (False, True):
        port = free_port()
        conf = run.tmp / "nginx.conf"
        # As root its worker becomes somebody else, who may not list the directory.
        conf.write_text(f"""daemon off; pid {run.tmp}/pid; error_log stderr; worker_processes 2;
            {"user www-data;" if os.getuid() == 0 else ""} events {{}}
            http {{ access_log off; {" ".join(f"{k}_temp_path {run.tmp}/{k};" for k in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
            server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok\n"; }} }} }}""")
        cmd = ["nginx", "-p", run.tmp, "-e", "stderr", "-c", conf]
        if traced:
            front = supervised.start(run, receiver, cmd, port=port, env=QUIET)
            master = program(front)
        else:
            master = run.bare(cmd, port=port).pid
        workers = wait_for(lambda: len(supervised.children(master)) == 2 and supervised.children(master), 5)
        for n in range(200):
            assert get(port, f"/n{n}")
        seen.append(sorted(held(pid) for pid in (master, *workers)))
    assert seen[0] == seen[1]
    wait_delivered(receiver, [f"/n{n}" for n in range(200)])
    where = supervised.directory_of(front)     # nginx has wiped its environment
    assert where.stat().st_mode & 0o7777 == (0o1733 if os.getuid() == 0 else 0o700)
    assert 1 <= len(files(where)) <= 3
    if os.getuid() == 0:
        assert {f.owner() for f in where.glob("spans-*")} <= {"www-data", "root"}
        assert "www-data" in {f.owner() for f in where.glob("spans-*")}


def test_gunicorn_workers_come_and_go(run, receiver):
    port = free_port()
    front = supervised.start(run, receiver, [paths.PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "-w", 2,
                                             "--max-requests", 20, "--chdir", paths.SERVICES, "--log-level=warning",
                                             "plain:app"], port=port)
    asked = [f"/g{n}" for n in range(100)]
    answered = [p for p in asked if get(port, p)]
    assert len(answered) > 90       # a worker that ends may refuse
    where = directory(program(front))
    wait_delivered(receiver, answered)
    wait_for(lambda: len(files(where)) <= 4, 10, "the files of workers that have ended to go")
    assert front.stop() == -signal.SIGTERM or front.p.returncode == 0
    assert not where.exists()
    assert run.stats("svc").add_up(), run.stats("svc")


# ---- killed ----
THREADED = """
import http.server, sys
class H(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


def one_client(port, number, results, stop):
    """Requests one after the other on one connection, which has one thread; those whose answers came whole."""
    count = 0
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.suppress(OSError, http.client.HTTPException):
        while not stop.is_set():
            path = f"/k{number}-{count}"
            count += 1
            c.request("GET", path)
            c.getresponse().read()
            results.append(path)
    c.close()


@pytest.mark.parametrize("way", ["program", "tree"])
def test_what_a_killed_server_has_answered_is_delivered(run, receiver, way):
    clients, lost, answered = 4, 0, 0
    for turn in range(scale(5, 200)):
        port = free_port()
        # How long it takes is not what is looked at.
        front = supervised.start(run, receiver, [paths.PYTHON, "-c", THREADED, port], f"kill{turn}", port=port,
                                 env={"TAGALONG_SHUTDOWN_TIMEOUT": "20000"})
        pid = program(front)
        stop, results = threading.Event(), [[] for _ in range(clients)]
        workers = [threading.Thread(target=one_client, args=(port, f"{turn}-{n}", results[n], stop))
                   for n in range(clients)]
        for w in workers:
            w.start()
        time.sleep(random.uniform(0.01, 0.5))       # that is the moment
        os.kill(pid, signal.SIGKILL)
        if way == "tree":
            os.kill(front.pid, signal.SIGKILL)
        stop.set()
        for w in workers:
            w.join()
        front.wait()
        whole = {p for r in results for p in r}
        if way == "tree":
            wait_for(lambda: len(whole - set(delivered(receiver))) <= clients, 20, "the companion to finish")
        got = delivered(receiver)
        missing = whole - set(got)
        assert len(missing) <= clients, missing     # the one in flight of each thread
        assert len(got) == len(set(got)), "twice"
        lost += len(missing)
        answered += len(whole)
    print(f"{answered} answered, {lost} of them not delivered")
    assert answered


def test_a_killed_companion_is_missed_by_nobody(run, receiver):
    port = free_port()
    front = python_server(run, receiver, port, env={"OTEL_BSP_SCHEDULE_DELAY": "50"})
    pid, helper = program(front), companion(front)
    where = directory(pid)
    assert get(port, "/before")
    wait_delivered(receiver, ["/before"])
    os.kill(helper, signal.SIGSTOP)     # so that it takes no more
    asked = [f"/waiting{n}" for n in range(30)]
    assert all(get(port, p) for p in asked)
    os.kill(helper, signal.SIGKILL)
    wait_for(lambda: is_gone(helper), 5)
    # It is looked for when it has not shown itself for five seconds; then what waits leaves first.
    def asked_on():
        path = f"/later{len(asked)}"
        assert get(port, path)
        asked.append(path)
        return "/waiting0" in delivered(receiver)
    wait_for(asked_on, 15, "the process to go on by itself")
    wait_delivered(receiver, asked)
    assert front.stop() == -signal.SIGTERM
    got = delivered(receiver)
    assert len(got) == len(set(got))
    assert not where.exists()


def test_signals_that_are_sent_by_name_leave_the_companion_be(run, receiver):
    port = free_port()
    front = python_server(run, receiver, port)
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS,
                                                 signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS}:
        os.kill(companion(front), number)
    assert get(port, "/a")
    assert front.stop() == -signal.SIGTERM
    assert delivered(receiver) == ["/a"]


def test_a_companion_without_its_front_goes_on(run, receiver):
    port = free_port()
    front = python_server(run, receiver, port)
    pid, helper = program(front), companion(front)
    where = directory(pid)
    assert get(port, "/a")
    os.kill(front.pid, signal.SIGKILL)
    front.wait()
    assert get(port, "/b")
    wait_delivered(receiver, ["/a", "/b"])
    assert get(port, "/c") and get(port, "/in-flight")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(helper), 15, "the companion to end")
    wait_delivered(receiver, ["/c"])
    assert not where.exists()


def test_a_stopped_companion_goes_on_where_it_was(run, receiver):
    port = free_port()
    front = python_server(run, receiver, port)
    helper = companion(front)
    assert get(port, "/a")
    os.kill(helper, signal.SIGSTOP)
    wait_for(lambda: state(helper) == "T", 5, "it to stop")
    asked = [f"/s{n}" for n in range(50)]
    assert all(get(port, p) for p in asked)
    assert not set(asked) & set(delivered(receiver))
    os.kill(helper, signal.SIGCONT)
    wait_delivered(receiver, asked)


def test_the_front_does_not_wait_for_a_stopped_companion(run, receiver):
    port = free_port()
    front = python_server(run, receiver, port)
    helper = companion(front)
    assert get(port, "/a")
    os.kill(helper, signal.SIGSTOP)
    before = time.monotonic()
    assert front.stop() == -signal.SIGTERM
    assert time.monotonic() - before < 4
    os.kill(helper, signal.SIGCONT)
    wait_delivered(receiver, ["/a"])
    wait_for(lambda: is_gone(helper), 10)


# ---- other ways to be a process ----
DAEMON = """
import http.server, os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
null = os.open("/dev/null", os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
open(sys.argv[2], "w").write(str(os.getpid()))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_daemons_keep_their_companion_and_nobody_else_waits(run, receiver):
    port, note, cwd = free_port(), run.tmp / "pid", run.tmp / "stand"
    cwd.mkdir()
    # All of its outputs are a pipe whose end is waited for, as by $(...).
    supervised.call(run, receiver, [paths.PYTHON, "-c", DAEMON, port, note], cwd=cwd, timeout=20)
    wait_for(lambda: note.exists() and note.read_text(), 10)
    pid = int(note.read_text())
    try:
        where = directory(pid)
        wait_for(lambda: get(port, "/d"), 10)
        assert get(port, "/daemon")
        wait_delivered(receiver, ["/daemon"])
        held = [p for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/cwd")
                and os.path.realpath(f"/proc/{p}/cwd") == str(cwd)]
        assert held == []
        assert get(port, "/last") and get(port, "/in-flight")
    finally:
        os.kill(pid, signal.SIGKILL)
    wait_delivered(receiver, ["/last"])
    wait_for(lambda: not where.exists(), 15, "the directory to go")


FORKS = """
import http.client, os, sys
def ask(path):
    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1])); c.request("GET", path); c.getresponse().read()
ask("/parent")
for n in range(20):
    if os.fork() == 0:
        ask(f"/child{n}")
        if n % 2:
            os.kill(os.getpid(), 9)
        os._exit(0)
for n in range(20):
    os.wait()
ask("/parent-again")
"""


def test_forked_children_share_rings_of_their_own(run, receiver, upstream):
    supervised.call(run, receiver, [paths.PYTHON, "-c", FORKS, upstream.port])
    got = delivered(receiver, kind=3)
    assert sorted(got) == sorted(["/parent", "/parent-again", *(f"/child{n}" for n in range(20))])
    assert run.stats("svc")["spans_exported"] == 22 and run.stats("svc").add_up()


# clone(SIGCHLD, 0, 0, 0, 0) in the processor's words: no libc, no hook, nobody who could say that there is a child.
RAW_CLONE = r"""
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\xb8\x38\0\0\0\xbf\x11\0\0\0\x31\xf6\x31\xd2\x45\x31\xd2\x45\x31\xc0\x0f\x05\xc3")
clone = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code")
def test_children_that_nobody_announces_share_rings_of_their_own(run, receiver, upstream):
    script = RAW_CLONE + FORKS.replace("os.fork()", "clone()")
    supervised.call(run, receiver, [paths.PYTHON, "-c", script, upstream.port])
    got = delivered(receiver, kind=3)
    assert sorted(got) == sorted(["/parent", "/parent-again", *(f"/child{n}" for n in range(20))])
    assert run.stats("svc")["spans_exported"] == 22 and run.stats("svc").add_up()


EXECS = """
import http.client, os, sys
port, n = int(sys.argv[1]), int(sys.argv[2])
c = http.client.HTTPConnection("127.0.0.1", port); c.request("GET", f"/exec{n}"); c.getresponse().read()
try:
    os.execv("/nowhere", ["x"])
except OSError:
    pass
c = http.client.HTTPConnection("127.0.0.1", port); c.request("GET", f"/still{n}"); c.getresponse().read()
if n:
    os.execv(sys.executable, [sys.executable, sys.argv[3], str(port), str(n - 1), sys.argv[3]])
"""


def test_chains_of_execs_lose_nothing(run, receiver, upstream):
    script = run.tmp / "execs.py"
    script.write_text(EXECS)
    supervised.call(run, receiver, [paths.PYTHON, script, upstream.port, 5, script])
    assert sorted(delivered(receiver, kind=3)) == sorted(f"/{w}{n}" for n in range(6) for w in ("exec", "still"))


REEXEC = """
import http.client, os, sys, time
port, n = int(sys.argv[1]), int(sys.argv[2])
c = http.client.HTTPConnection("127.0.0.1", port); c.request("GET", f"/exec{n}"); c.getresponse().read()
if n:
    os.execv(sys.executable, [sys.executable, sys.argv[3], str(port), str(n - 1), sys.argv[3]])
time.sleep(60)
"""


def test_what_an_exec_leaves_is_cleared_away_while_its_process_lives(run, receiver, upstream):
    script = run.tmp / "reexec.py"
    script.write_text(REEXEC)
    front = supervised.start(run, receiver, [paths.PYTHON, script, upstream.port, 8, script])
    pid = program(front)
    wait_for(lambda: "/exec0" in delivered(receiver, kind=3), 10)
    assert len(files(directory(pid))) > 1
    wait_for(lambda: len(files(directory(pid))) == 1, 15, "the files of the images before to go")


@pytest.mark.parametrize("how", ["return", "_exit", "quick_exit", "thread", "kill", "abort"])
def test_every_end_is_one_that_delivers(run, receiver, how):
    supervised.call(run, receiver, [build("storm_exit"), how], check=False)
    stats = run.stats("svc")
    assert stats["spans_exported"] == stats["spans_committed"] == len(receiver.spans) > 0


CHROOT = """
import http.server, os, sys
port, root, when = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def drop():
    os.chroot(root); os.chdir("/"); os.setgid(65534); os.setuid(65534)
server = http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler)
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *a): pass
server.RequestHandlerClass = H
if when == "before":
    drop()
    server.serve_forever()
server.handle_request()
drop()
server.serve_forever()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="chroot")
@pytest.mark.parametrize("when", ["before", "after"])
def test_chroot_and_another_user(run, receiver, when):
    """After the first request the ring is there; before it the directory cannot be reached any more."""
    port, root = free_port(), run.tmp / "root"
    root.mkdir()
    front = supervised.start(run, receiver, [paths.PYTHON, "-c", CHROOT, port, root, when], port=port,
                             env={"OTEL_BSP_SCHEDULE_DELAY": "50"})
    pid = program(front)
    asked = [f"/c{n}" for n in range(5)]
    assert all(get(port, p) for p in asked)
    wait_delivered(receiver, asked)
    assert threads(pid) == (1 if when == "after" else 2)
    front.stop()


SECCOMP = """
import ctypes, http.server, os, struct, sys
KILL, ALLOW = 0x80000000, 0x7fff0000
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H)
# socket, connect, clone, clone3, open, openat, futex, mmap of files is left: death by any of them
forbidden = [41, 42, 56, 435, 2, 257, 202]
code = struct.pack("HBBI", 0x20, 0, 0, 0)
for i, nr in enumerate(forbidden):
    code += struct.pack("HBBI", 0x15, len(forbidden) - i, 0, nr)
code += struct.pack("HBBI", 0x06, 0, 0, ALLOW) + struct.pack("HBBI", 0x06, 0, 0, KILL)
buffer = ctypes.create_string_buffer(code)
prog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer)))
libc = ctypes.CDLL(None)
libc.prctl.argtypes = [ctypes.c_int] + 4 * [ctypes.c_ulong]
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.addressof(prog), 0, 0) == 0
server.serve_forever()
"""


def test_a_filter_that_forbids_sockets_and_threads(run, receiver):
    port = free_port()
    front = supervised.start(run, receiver, [paths.PYTHON, "-c", SECCOMP, port], port=port)
    pid = program(front)
    asked = [f"/f{n}" for n in range(20)]
    assert all(get(port, p) for p in asked)
    wait_delivered(receiver, asked)
    assert not is_gone(pid)


CLOSER = """
import ctypes, http.server, os, sys
libc = ctypes.CDLL(None)
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
        mine = sorted({self.connection.fileno(), server.fileno()})
        edges = [2, *mine, 1 << 20]
        for a, b in zip(edges, edges[1:]):
            if b - a > 1:
                libc.close_range(a + 1, b - 1, 0)
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H)
server.serve_forever()
"""


def test_everything_is_closed_while_it_runs(run, receiver):
    port = free_port()
    supervised.start(run, receiver, [paths.PYTHON, "-c", CLOSER, port], port=port)
    asked = [f"/x{n}" for n in range(20)]
    assert all(get(port, p) for p in asked)
    wait_delivered(receiver, asked)


@pytest.mark.parametrize("limit", ["-n 32", "-v 4000000", "-f 100", "-u 4000", "-l 0", "-s 1024"])
def test_limits(run, receiver, limit):
    """A limit is the program's: with or without a supervisor its spans arrive, and it serves."""
    port = free_port()
    shell = f'ulimit {limit} && exec "$0" "$@"'
    supervised.start(run, receiver, ["bash", "-c", shell, *PYTHON_SERVER, port], port=port,
                     env={"OTEL_BSP_SCHEDULE_DELAY": "50"})
    assert get(port, "/l")
    wait_delivered(receiver, ["/l"])


@pytest.mark.parametrize("limit", ["-n 32", "-v 4000000", "-f 100"])
def test_limits_of_everything(run, receiver, limit):
    port = free_port()
    command = [paths.COMMAND, "run", "--quiet", "--", *PYTHON_SERVER, port]
    run.start(["bash", "-c", f'ulimit {limit} && exec "$0" "$@"', *command], "svc",
              env=supervised.own_environment(receiver, {"OTEL_BSP_SCHEDULE_DELAY": "50"}), port=port)
    assert get(port, "/l")
    wait_delivered(receiver, ["/l"])


# ---- where shared memory is not what it should be ----
@pytest.mark.skipif(os.getuid() != 0, reason="mounts")
@pytest.mark.parametrize("how", ["full", "read-only", "missing"])
def test_without_shared_memory(run, receiver, how):
    port = free_port()
    mounts = {"full": "mount -t tmpfs -o size=8k none /dev/shm", "read-only": "mount -t tmpfs -o ro none /dev/shm",
              "missing": "mount -t tmpfs -o mode=755 none /dev"}
    script = mounts[how] + (" && mknod -m 666 /dev/null c 1 3 && mknod -m 444 /dev/urandom c 1 9"
                            if how == "missing" else "") + ' && exec "$0" "$@"'
    command = [paths.COMMAND, "run", "--quiet", "--", *PYTHON_SERVER, port]
    run.start(["unshare", "--mount", "bash", "-c", script, *command], "svc",
              env=supervised.own_environment(receiver, {"OTEL_BSP_SCHEDULE_DELAY": "50"}), port=port)
    assert get(port, "/m")
    wait_delivered(receiver, ["/m"])


# ---- where spans go ----
def test_a_process_with_a_destination_of_its_own_exports_by_itself(run, receiver):
    from otlp_receiver import OtlpReceiver
    port, other = free_port(), run.add(OtlpReceiver())
    shell = f'export OTEL_EXPORTER_OTLP_ENDPOINT={other.url}; exec "$0" "$@"'
    front = supervised.start(run, receiver, ["sh", "-c", shell, *PYTHON_SERVER, port], port=port)
    assert get(port, "/other")
    wait_delivered(other, ["/other"])
    assert front.stop() == -signal.SIGTERM
    assert delivered(receiver) == []


def test_nested_runs_each_export_their_own(run, receiver):
    port = free_port()
    inner = [paths.COMMAND, "run", "--quiet", "--service", "inner", "--", *PYTHON_SERVER, port]
    front = supervised.start(run, receiver, inner, port=port)
    asked = [f"/i{n}" for n in range(10)]
    assert all(get(port, p) for p in asked)
    wait_delivered(receiver, asked)
    assert front.stop() == -signal.SIGTERM
    assert len(delivered(receiver)) == 10
    assert not [s for s in receiver.spans if s["kind"] == 3], "our own requests are no spans"


def test_the_command_itself_may_be_preloaded(run, receiver):
    port = free_port()
    run.start([paths.COMMAND, "run", "--quiet", "--", *PYTHON_SERVER, port], "svc", port=port,
              env=supervised.own_environment(receiver, {"LD_PRELOAD": str(paths.LIBRARY)}))
    assert get(port, "/p")
    wait_delivered(receiver, ["/p"])
    assert len(receiver.spans) == 1


def test_relative_paths_are_those_of_the_caller(run, receiver):
    receiver.close()
    cwd = run.tmp / "here"
    cwd.mkdir()
    supervised.call(run, receiver, ["curl", "-s", "-o", os.devnull, receiver.url + "/x"], cwd=cwd, check=False,
                    env={"TAGALONG_SPILL_DIR": "kept", "TAGALONG_INBOUND_HEADER": "off"})
    assert (cwd / "kept").is_dir()
