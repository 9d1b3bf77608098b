# SPDX-License-Identifier: Apache-2.0
"""Processes as a whole: how they start, and what they hold in memory."""
import os
import re
import subprocess
import time

import measure


def run_once(argv, env):
    """Milliseconds from spawn to exit, milliseconds of CPU time."""
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env)
    _, _, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    return wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def start_up(table, _rounds, sink):
    for argv, what in (([measure.program("nothing")], "a tiny C program"),
                       (["/bin/bash", "-c", "true"], "bash -c true")):
        found = measure.by_turns(300, sink.variants(), lambda env: run_once(argv, env))
        table.compared("start and end of %s, wall" % what, "ms", measure.column(found, 0), 2,
                       budget="0.3")
        table.compared("start and end of %s, CPU" % what, "ms", measure.column(found, 1), 2)


def resident_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"Rss:\s+(\d+)", f.read()).group(1))


def idle_once(env):
    """KiB resident and threads of a program that does nothing."""
    child = subprocess.Popen([measure.program("nothing"), "stay"], env=env, stdin=subprocess.PIPE)
    while open("/proc/%d/wchan" % child.pid).read() in ("", "0"):
        time.sleep(0.001)  # not in its read() yet
    found = resident_kib(child.pid), len(os.listdir("/proc/%d/task" % child.pid))
    child.stdin.close()
    child.wait()
    return found


def idle(table, rounds, sink):
    found = measure.by_turns(rounds, sink.variants(), idle_once)
    table.compared("resident, no traffic", "KiB", measure.column(found, 0), budget="1024")
    table.compared("threads, no traffic", "", measure.column(found, 1), budget="0")
    needed = subprocess.run(["readelf", "-d", measure.LIB], capture_output=True, text=True).stdout
    count = str(needed.count("(NEEDED)"))
    table.row("libraries it needs (NEEDED)", "", "", "", count, count, budget="0")


def busy(table, rounds, sink):
    """Nobody takes the spans: the ring is full."""
    variants = sink.variants()
    variants["otlp"]["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    found = measure.by_turns(
        rounds, variants, lambda env: measure.numbers([measure.program("memory"), "1000", "4"], env))
    table.compared("resident, 1,000 requests open, full ring", "KiB", measure.column(found, 0),
                   budget="4096")
