# SPDX-License-Identifier: Apache-2.0
"""How the rows are measured: the same program without a library, with the one that only forwards
and with ours, by turns, so that what else the machine does hits all of them alike."""
import os
import statistics
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("B") or os.path.join(HERE, "..", "..", "build")
BUILD = os.path.abspath(BUILD)
LIB = os.path.join(BUILD, "libtagalong.so")
NOP = os.path.join(BUILD, "libtagalong-nop.so")
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def program(name):
    return os.path.join(BUILD, "bench", name)


class Sink:
    """A collector that accepts everything, and an agent that sends to it."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [program("sink")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.endpoint = "http://127.0.0.1:%d" % int(self.process.stdout.readline())
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.shared = os.path.join(self.folder.name, "agent")
        self.agent = subprocess.Popen(
            [os.path.join(BUILD, "tagalong"), "agent", "-d", self.shared],
            env=dict(PATH, OTEL_EXPORTER_OTLP_ENDPOINT=self.endpoint), stderr=subprocess.PIPE)
        self.agent.stderr.readline()  # it serves
        return self

    def __exit__(self, *_):
        self.agent.terminate()
        self.agent.wait()
        self.folder.cleanup()
        self.process.stdin.close()
        self.process.wait()

    def variants(self):
        """name -> environment, the untraced one first."""
        return {
            "bare": dict(PATH),
            "nop": dict(PATH, LD_PRELOAD=NOP),
            "none": dict(PATH, LD_PRELOAD=LIB, OTEL_TRACES_EXPORTER="none"),
            "otlp": dict(PATH, LD_PRELOAD=LIB, OTEL_EXPORTER_OTLP_ENDPOINT=self.endpoint),
            "supervised": dict(PATH, LD_PRELOAD=LIB, TAGALONG_SHARED_DIR=self.shared),
        }


def numbers(argv, env):
    out = subprocess.run(argv, env=env, stdout=subprocess.PIPE, check=True).stdout
    return [float(word) for word in out.split()]


def by_turns(rounds, variants, measure):
    """{variant: [measure(environment) of each round]}, one of each in every round."""
    found = {name: [] for name in variants}
    for _ in range(rounds):
        for name, env in variants.items():
            found[name].append(measure(env))
    return found


def column(found, i):
    return {name: [values[i] for values in rounds] for name, rounds in found.items()}


class Spread:
    """The median, and the quartiles around it."""

    def __init__(self, values):
        values = sorted(values)
        self.median = statistics.median(values)
        self.low = values[len(values) // 4]
        self.high = values[-1 - len(values) // 4]

    def text(self, digits=0):
        form = "%%.%df" % digits
        return "%s (%s..%s)" % (form % self.median, form % self.low, form % self.high)


def added(found, name):
    """What a variant costs more than the bare program: of each round its own difference."""
    return Spread([a - b for a, b in zip(found[name], found["bare"])])


class Table:
    HEAD = ("what", "unit", "bare", "nop adds", "lib adds, exporter none",
            "lib adds, OTLP export", "lib adds, supervised", "budget")

    def __init__(self):
        self.rows = [self.HEAD, tuple("---" for _ in self.HEAD)]

    def row(self, what, unit, *cells, budget=""):
        cells = list(cells) + [""] * (5 - len(cells))
        self.rows.append((what, unit, *cells, budget))
        print("|", " | ".join(self.rows[-1]), "|", flush=True)

    def compared(self, what, unit, found, digits=0, budget=""):
        cells = [Spread(found["bare"]).text(digits)]
        for name in ("nop", "none", "otlp", "supervised"):
            cells.append(added(found, name).text(digits) if name in found else "")
        self.row(what, unit, *cells, budget=budget)

    def head(self):
        for row in self.rows[:2]:
            print("|", " | ".join(row), "|", flush=True)
