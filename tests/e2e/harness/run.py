# SPDX-License-Identifier: Apache-2.0
"""One test's programs: started bare or traced, ended together, their spans in one file."""
import os
import re
import signal
import subprocess

from . import paths
from .ports import free_port
from .process import Process
from .spans import SpanFile
from .wait import wait_for

_OURS = re.compile(r"^(OTEL_|TAGALONG_|TRACING_|OTLP_ENDPOINT$|JAEGER_ENDPOINT$|SERVICE_VERSION$|APP_ENV$|"
                   r"TRACEPARENT$|TRACESTATE$|LD_PRELOAD$|BAGGAGE$)")


def clean_environment():
    """The environment without anything that speaks to the library, and without proxies."""
    env = {k: v for k, v in os.environ.items() if not _OURS.match(k)
           and not k.lower().endswith("_proxy")}
    env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    env.pop("PYTHONPATH", None)
    return env


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


class Run:
    def __init__(self, tmp):
        self.tmp = tmp
        self.traces = tmp / "traces.jsonl"
        self.spans = SpanFile(self.traces)
        self.processes = []
        self.closers = []
        self.count = 0

    # -- environments --
    def environment(self, service, env=None, library=None):
        """The variables of a traced program."""
        e = clean_environment()
        e.update(LD_PRELOAD=str(library or paths.LIBRARY), OTEL_SERVICE_NAME=service,
                 TAGALONG_TRACES_FILE=str(self.traces), OTEL_BSP_SCHEDULE_DELAY="30",
                 OTEL_BSP_MAX_QUEUE_SIZE="65536",
                 TAGALONG_LOG=str(self.tmp / f"{service}.tagalong.log"))
        for k, v in (env or {}).items():
            if v is None:
                e.pop(k, None)
            else:
                e[k] = str(v)
        return e

    def bare_environment(self, env=None):
        e = clean_environment()
        e.update({k: str(v) for k, v in (env or {}).items() if v is not None
                  and not _OURS.match(k)})
        return e

    # -- long running programs --
    def start(self, cmd, service=None, env=None, port=None, traced=True, cwd=None, library=None,
              **popen):
        """Starts a program; with `port` waits until it listens."""
        self.count += 1
        name = service or os.path.basename(str(cmd[0]))
        e = self.environment(name, env, library) if traced else self.bare_environment(env)
        p = Process(cmd, e, self.tmp / f"{self.count}-{name}.log", cwd=cwd or self.tmp, name=name,
                    **popen)
        self.processes.append(p)
        if port:
            p.wait_port(port)
        return p

    def traced(self, cmd, service, **kw):
        return self.start(cmd, service, **kw)

    def bare(self, cmd, **kw):
        return self.start(cmd, traced=False, **kw)

    # -- programs that end by themselves --
    def call(self, cmd, service=None, env=None, traced=True, timeout=60, cwd=None, input=None,
             library=None, check=True):
        """Runs a program to its end."""
        e = self.environment(service or os.path.basename(str(cmd[0])), env, library) if traced \
            else self.bare_environment(env)
        r = subprocess.run([str(c) for c in cmd], env=e, cwd=cwd or self.tmp, timeout=timeout,
                           input=input, stdin=None if input is not None else subprocess.DEVNULL,
                           capture_output=True)
        if check:
            assert r.returncode == 0, (f"{cmd[0]} ended with {r.returncode}\n"
                                       + r.stderr.decode("utf-8", "replace")[-3000:])
        return Result(r.returncode, r.stdout, r.stderr)

    def add(self, thing):
        """Something with close(), closed at the end."""
        self.closers.append(thing)
        return thing

    def close(self):
        for p in reversed(self.processes):
            p.stop()
        for thing in reversed(self.closers):
            thing.close()

    def stats(self, service):
        """The counters a service printed at its end (TAGALONG_STATS)."""
        log = self.tmp / f"{service}.tagalong.log"
        return stats_of(log.read_text()) if log.exists() else Counters()

    def warnings(self):
        """What the library had to say, by service."""
        return {p.name: p.read_text() for p in self.tmp.glob("*.tagalong.log") if p.stat().st_size}


class Counters(dict):
    """Counters of one or more processes; a counter that was not printed is 0."""

    def __missing__(self, name):
        return 0

    def dropped(self):
        """Spans that were in the ring and were not delivered."""
        return sum(v for n, v in self.items() if n.startswith("spans_dropped_")) \
            - self.not_committed()

    def not_committed(self):
        return sum(self[f"spans_dropped_{why}"] for why in ("queue_full", "share", "shared", "open"))

    def add_up(self):
        return self["spans_committed"] == self["spans_exported"] + self.dropped()


def stats_of(text):
    """The counters of the TAGALONG_STATS lines in a text, summed. Those of a process whose supervisor counts are in the
    supervisor's line: "shared:" is in front of them."""
    total = Counters()
    for line in text.splitlines():
        if re.match(r"tagalong\[\d+\]: (all of \d+ processes:)? ?\w+=\d", line):
            for name, value in re.findall(r"(\w+)=(\d+)", line):
                total[name] += int(value)
    return total


def build_victim(name, libs=()):
    """Compiles tests/e2e/victims/<name>.c once a change."""
    src = paths.VICTIMS / f"{name}.c"
    out = paths.BUILD / "victims" / name
    newest = max(f.stat().st_mtime for f in (src, *paths.VICTIMS.glob("*.h")))
    if not out.exists() or out.stat().st_mtime < newest:
        out.parent.mkdir(parents=True, exist_ok=True)
        tmp = out.with_suffix(f".{os.getpid()}")
        subprocess.run(["cc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-o", str(tmp),
                        str(src), "-lpthread", *libs], check=True)
        tmp.rename(out)
    return out
