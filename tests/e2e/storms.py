# SPDX-License-Identifier: Apache-2.0
"""Storms: small programs that do to themselves what breaks preloaded libraries, run many times.

Each is run bare first, to learn what may come out of it (status and both outputs, byte for byte),
then under the library, its spans going in turn to a receiver, to a port where nobody listens, and
to a file. A run that ends in a way the bare ones never did, or does not end, is a difference."""
import collections
import concurrent.futures
import os
import pathlib
import signal
import socket
import subprocess
import time

from harness import paths
from harness.run import clean_environment
from harness.sink import Sink

HANGS = 60          # seconds; a try takes milliseconds
HANGS_MAX = 3       # after so many hangs of one storm its other tries are left out
KEEP = 5            # differences of one storm that are described
LIBS = pathlib.Path("/usr/lib/x86_64-linux-gnu")
JEMALLOC = LIBS / "libjemalloc.so.2"
TCMALLOC = LIBS / "libtcmalloc_minimal.so.4"
DESTINATIONS = ("receiver", "dead port", "file")


class Storm:
    def __init__(self, name, *command, beside=None, first=False, spans=True, share=1.0):
        self.name, self.command = name, command
        self.beside, self.first = beside, first     # another library to preload, before or after
        self.spans = spans                          # whether the file must have got some
        self.share = share                          # of the tries; heavy ones make do with less

    def argv(self):
        program = self.command[0]
        return [str(build(program)) if program.startswith("storm_") else program, *map(str, self.command[1:])]

    def preload(self, library):
        if not self.beside:
            return str(library)
        return f"{self.beside}:{library}" if self.first else f"{library}:{self.beside}"


def allocators():
    for short, lib in (("jemalloc", JEMALLOC), ("tcmalloc", TCMALLOC)):
        for first in (True, False):
            name = f"{short} {'before' if first else 'after'} us"
            beside = {"beside": lib, "first": first}
            yield Storm(f"{name}: memory", "storm_memory", 4, **beside)
            yield Storm(f"{name}: leave", "storm_memory", 4, "leave", **beside)
            yield Storm(f"{name}: nothing", "storm_exit", "nothing", spans=False, **beside)
            yield Storm(f"{name}: exit", "storm_exit", "return", **beside)
            yield Storm(f"{name}: fork", "storm_fork", "http", **beside)


EXITS = ("return", "exit", "_exit", "_Exit", "quick_exit", "syscall", "pthread_exit", "thread", "thread_quick", "busy",
         "alarm", "atexit")
DEATHS = ("nothing", "abort", "kill", "thread_kill")
FORKS = ("nothing", "http", "nested", "threads", "exec", "vfork", "vfork_exit", "spawn", "popen")
FILTERS = ("before", "after", "connect", "errno", "tsync", "fork")

STORMS = [
    *allocators(),
    *(Storm(f"exit: {how}", "storm_exit", how) for how in EXITS),
    *(Storm(f"exit: {how}", "storm_exit", how, spans=False) for how in DEATHS),
    Storm("exit: another program's", "/bin/true", spans=False),
    *(Storm(f"fork: {how}", "storm_fork", how) for how in FORKS),
    *(Storm(f"seccomp: {how}", "storm_seccomp", how, spans=how not in ("before", "connect")) for how in FILTERS),
    Storm("1 MiB of thread-locals", "storm_tls", 4),
    Storm("stacks of 16 KiB", "storm_stack", 8),
    Storm("threads, joined", "storm_threads", 1000),
    Storm("threads, detached", "storm_threads", 1000, "detached"),
    *(Storm(f"close during {how}", "storm_close", how) for how in ("send", "answer", "recv", "request")),
    Storm("close and reuse, all the time", "storm_close", "churn", 40),
    *(Storm(f"close all: {how}", "storm_close_range", how)
      for how in ("close_range", "unshare", "syscall", "closefrom", "listed", "loop")),
    *(Storm(f"dup: {how}", "storm_dup", how) for how in ("dup2", "dup3", "fcntl", "syscall")),
    Storm("dup: over every number", "storm_dup", "sweep", 1),
    *(Storm(f"signals: {how}", "storm_signal", how) for how in ("own", "stack", "new", "threads", "fork")),
    *(Storm(f"siglongjmp: {how}", "storm_jump", how) for how in ("recv", "anywhere")),
    *(Storm(f"pthread_cancel: {how}", "storm_cancel", how) for how in ("recv", "accept", "send", "busy")),
    # Where no memory can be had, there is none to export with.
    *(Storm(f"limits: {how}", "storm_limits", how, spans=how != "memory")
      for how in ("files", "threads", "memory", "closed", "setuid", "chroot", "daemon")),
]


def build(name):
    """A victim, compiled once a change of its source or of storm.h."""
    source, out = paths.VICTIMS / f"{name}.c", paths.BUILD / "victims" / name
    newest = max(source.stat().st_mtime, (paths.VICTIMS / "storm.h").stat().st_mtime)
    if not out.exists() or out.stat().st_mtime < newest:
        out.parent.mkdir(parents=True, exist_ok=True)
        tmp = out.with_name(f"{name}.{os.getpid()}")
        subprocess.run(["cc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-o", str(tmp), str(source),
                        "-lpthread"], check=True)
        tmp.rename(out)
    return out


def run(argv, env, cwd, timeout=HANGS):
    """(status, stdout, stderr) of one run; status None: it hung, and stderr tells where."""
    p = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = p.communicate(timeout=timeout)
        return p.returncode, out, err
    except subprocess.TimeoutExpired:
        where = where_it_hangs(p.pid)
        try:
            os.killpg(p.pid, signal.SIGKILL)        # the session is ours alone
        except ProcessLookupError:
            pass
        p.kill()
        p.communicate()
        return None, b"", where.encode()


def where_it_hangs(session):
    """The system calls that the session's threads are in."""
    said = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if int((proc / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            for task in (proc / "task").iterdir():
                name, call = (task / "comm").read_text().strip(), (task / "syscall").read_text().strip()
                said.append(f"{task.name} {name}: {call}")
        except (OSError, IndexError, ValueError):
            continue
    return "\n".join(said)


class Outcome:
    def __init__(self, storm):
        self.storm, self.tries, self.spans = storm, 0, 0
        self.expected = collections.Counter()
        self.differences = []       # (destination, result)
        self.bare_s = self.traced_s = 0.0

    @property
    def untraced(self):
        """The storm's spans never came, so that nothing was tried."""
        return self.storm.spans and not self.spans

    def describe(self):
        said = []
        for destination, (status, out, err) in self.differences[:KEEP]:
            said.append(f"{self.storm.name}, {destination}: " + ("hangs" if status is None else f"status {status}"))
            for name, text in (("out", out), ("err", err)):
                if text:
                    said.append(f"  {name}: {text[-1500:].decode('utf-8', 'replace')}")
        if self.differences:
            said.append("  bare: " + ", ".join(f"{n} x {e}" for e, n in self.expected.most_common(3)))
        if self.untraced:
            said.append(f"{self.storm.name}: no span came")
        return "\n".join(said)


class Weather:
    """The places where spans go, and the runs."""

    def __init__(self, tmp, jobs=2, library=paths.LIBRARY):
        self.tmp, self.jobs, self.library = tmp, jobs, library
        self.traces = tmp / "traces.jsonl"
        self.receiver = Sink()
        self.dead = socket.socket()                 # bound, not listening: nobody else gets the port
        self.dead.bind(("127.0.0.1", 0))

    def close(self):
        self.receiver.close()
        self.dead.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def environment(self, storm, i):
        """Of the i-th try: the destinations in turn, each with the exporter in a hurry or at rest."""
        destination = DESTINATIONS[i % 3]
        env = clean_environment()
        env.update(LD_PRELOAD=storm.preload(self.library), OTEL_SERVICE_NAME="storm")
        if i // 3 % 2:
            env["OTEL_BSP_SCHEDULE_DELAY"] = "1"
        if i // 6 % 2:
            env["TAGALONG_INBOUND_HEADER"] = "on"
        if destination == "file":
            env["TAGALONG_TRACES_FILE"] = str(self.traces)
        else:
            port = self.receiver.port if destination == "receiver" else self.dead.getsockname()[1]
            env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
        return destination, env

    def bare_environment(self, storm):
        env = clean_environment()
        if storm.beside:
            env["LD_PRELOAD"] = str(storm.beside)
        return env

    def spans(self):
        """How many have come to the file since the last question."""
        if not self.traces.exists():
            return 0
        with open(self.traces, "rb") as f:
            n = sum(line.count(b'"spanId"') for line in f)
        self.traces.unlink()
        return n

    def run(self, storm, tries):
        tries = max(int(tries * storm.share), 1)
        o, argv = Outcome(storm), storm.argv()

        def bare(_):
            start = time.monotonic()
            return run(argv, self.bare_environment(storm), self.tmp), time.monotonic() - start

        def traced(i):
            if sum(status is None for _, (status, _, _) in o.differences) >= HANGS_MAX:
                return None
            destination, env = self.environment(storm, i)
            start = time.monotonic()
            return destination, run(argv, env, self.tmp), time.monotonic() - start

        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            runs = min(tries, 100)
            for result, took in pool.map(bare, range(runs)):
                o.expected[result] += 1
                o.bare_s += took / runs
            for tried in pool.map(traced, range(tries)):
                if not tried:
                    continue
                destination, result, took = tried
                o.tries += 1
                o.traced_s += took / tries
                if result not in o.expected:
                    o.differences.append((destination, result))
        o.spans = self.spans()
        return o
