# SPDX-License-Identifier: Apache-2.0
"""Single calls and spans: at the shim's door, between a C server and a C client, in instructions."""
import os
import re
import subprocess
import tempfile

import measure


def no_socket(table, rounds, sink):
    variants = sink.variants()
    del variants["otlp"], variants["supervised"]
    found = measure.by_turns(
        rounds, variants, lambda env: measure.numbers([measure.program("calls"), "3000000"], env))
    for i, call in enumerate(("read", "write")):
        table.compared("%s() on /dev/null" % call, "ns", measure.column(found, i), 1, budget="5")


DOOR = (("server", "server span", "700"), ("client", "client span with injection", "900"),
        ("body-64", "64 B of a body", "40"), ("body-4k", "4 KiB of a body", "40"),
        ("body-64k", "64 KiB of a body", "40"),
        ("h2-server", "server stream of HTTP/2", "1200"),
        ("h2-client", "client stream of HTTP/2 with injection", "1500"),
        ("grpc-server", "server stream of gRPC", "1200"),
        ("grpc-client", "client stream of gRPC with injection", "1500"))


def at_the_door(table, rounds, sink):
    """No system calls in between: the library alone, in caches that are its own."""
    variants = sink.variants()
    variants = {name: variants[name] for name in ("none", "otlp")}
    for role, what, budget in DOOR:
        found = measure.by_turns(
            rounds, variants, lambda env: measure.numbers([measure.program("door"), role, "60000"], env))
        found = measure.column(found, 0)
        digits = 1 if role.startswith("body") else 0
        table.row("at the door: " + what, "ns", "", "", measure.Spread(found["none"]).text(digits),
                  measure.Spread(found["otlp"]).text(digits), budget=budget)


PAIR = (("server", "server span", 20000, "700"),
        ("client", "client span with injection", 20000, "900"),
        ("body-64", "64 B of a body", 100000, "40"),
        ("body-4096", "4 KiB of a body", 50000, "40"),
        ("body-65536", "64 KiB of a body", 5000, "40"))


def pair(table, rounds, sink):
    for role, what, count, budget in PAIR:
        found = measure.by_turns(
            rounds, sink.variants(),
            lambda env: measure.numbers([measure.program("pair"), role, str(count)], env))
        table.compared("C pair: " + what, "ns", measure.column(found, 0), budget=budget)
        if role in ("server", "client"):
            table.compared("C pair: the same with the exporter's thread", "ns",
                           measure.column(found, 1))


def tls(table, rounds, sink):
    """The same request in clear text and by TLS, by turns."""
    def both(env):
        return measure.numbers([measure.program("pair"), "server", "20000"], env) + \
            measure.numbers([measure.program("pair_tls"), "20000"], env)

    found = measure.by_turns(rounds, sink.variants(), both)
    for column, what in ((0, "in clear text"), (2, "by TLS")):
        table.compared("C pair: server span " + what, "ns", measure.column(found, column))


def instructions(table, _rounds, sink):
    for role, what, budget in DOOR[:3] + DOOR[5:]:
        cells = ["", ""]
        for name in ("none", "otlp"):
            cells.append("%.0f" % count_instructions(role, sink.variants()[name]))
        table.row("instructions: " + what, "", *cells)


def count_instructions(role, env, count=2000):
    with tempfile.TemporaryDirectory() as folder:
        argv = ["valgrind", "--tool=callgrind", "--toggle-collect=measured",
                "--callgrind-out-file=" + os.path.join(folder, "out"),
                measure.program("door"), role, str(count)]
        log = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stderr
    return int(re.search(r"Collected : (\d+)", log).group(1)) / count
