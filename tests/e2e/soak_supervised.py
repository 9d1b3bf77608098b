# SPDX-License-Identifier: Apache-2.0
"""Everything at once under `tagalong run`: servers, forks, execs, kills, and a receiver that comes and goes; what is
held is looked at on the way, and every span is accounted for at the end."""
import contextlib
import random
import signal
import threading
import time

from harness import paths, supervised
from harness.ports import free_port
from harness.usage import descriptors, resident, threads
from harness.wait import Timeout, port_open, wait_for
from otlp_receiver import OtlpReceiver
from storms import build

WARM = 0.3          # of the time, until everything that is kept is there
SLACK = 6 << 20     # a queue that is full now and then, of 32 MiB at most, mostly empty; malloc's habits
ROUND = 12          # seconds from one outage to the next


class Counting(OtlpReceiver):
    """Keeps the ids only, and which answers are known to have arrived: a client asks again on a connection whose
    answer it has read whole, and gives the connection up otherwise. What comes twice was in doubt the first time."""

    def __init__(self):
        self.came_in, self.again = {}, []       # span id: its request's number; requests with spans that came again
        self.last, self.certain = {}, set()     # connection: its last request; requests whose answer arrived
        self.counted = 0
        super().__init__()

    def _answer(self, s, request, words):
        with self.lock:
            before = self.last.pop(request.connection, None)
            if before is not None:
                self.certain.add(before)
        return super()._answer(s, request, words)

    def _keep(self, request, ok):
        super()._keep(request, ok)
        with self.lock:
            self.counted += 1
            for span in request.spans:
                first = self.came_in.setdefault(span["spanId"], self.counted)
                if first != self.counted:
                    self.again.append(first)
                    self.came_in[span["spanId"]] = self.counted
            if request.spans:
                self.last[request.connection] = self.counted

    @property
    def ids(self):
        return self.came_in.keys()

    @property
    def twice(self):
        return len(self.again)

    @property
    def twice_without_doubt(self):
        with self.lock:
            return sum(first in self.certain for first in self.again)

    def forget(self):
        with self.lock:
            self.requests.clear()


class Sample:
    def __init__(self, seconds, what):
        self.seconds = seconds
        self.held = {name: (resident(pid), descriptors(pid), threads(pid)) for name, pid in what.items()}

    def __str__(self):
        return f"{self.seconds:8.0f}" + "".join(f"  {name} {r // 1024} KiB, {d} descriptors, {t} threads"
                                                for name, (r, d, t) in self.held.items())


class Soak:
    def __init__(self, run, seconds, each=None):
        self.run, self.seconds, self.each = run, seconds, each
        self.samples, self.wrong = [], []
        self.over = threading.Event()
        self.sent = 0

    def load(self, port, pause):
        while not self.over.is_set():
            if supervised.get(port, "/hello.txt"):
                self.sent += 1
            time.sleep(pause)

    def disturb(self, receiver):
        """One outage; each way to be away in turn."""
        how = random.choice(["closed", "hang", "status:503", "reset", "slow:0.2", "ok"])
        if how == "closed":
            receiver.close()
            self.over.wait(3)
            receiver.start()
        else:
            receiver.behave(how)
            self.over.wait(3)
            receiver.behave("ok")
        receiver.forget()

    def environment(self):
        return {"TAGALONG_SPILL_DIR": self.run.tmp / "spill", "OTEL_BSP_SCHEDULE_DELAY": "500",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "1000", "OTEL_BSP_MAX_QUEUE_SIZE": None}

    def go(self):
        receiver = self.run.add(Counting())
        ports = [free_port() for _ in range(3)]
        front = supervised.start(self.run, receiver, [paths.PYTHON, paths.SERVICES / "soak_tree.py", build("soak_server"),
                                                      *ports], env=self.environment())
        for port in ports:
            wait_for(lambda p=port: port_open(p), 20, "the servers", front.check_alive)
        tree = supervised.program(front)
        what = {"front": front.pid, "companion": supervised.companion(front),
                "server": next(c for c in supervised.children(tree)
                               if "soak_server" in open(f"/proc/{c}/cmdline").read())}
        loads = [threading.Thread(target=self.load, args=(p, 0.002)) for p in (*ports, ports[0])]
        for t in loads:
            t.start()
        begin = time.monotonic()
        while time.monotonic() - begin < self.seconds:
            self.disturb(receiver)
            self.over.wait(min(ROUND - 3, self.seconds / 8))
            self.samples.append(Sample(time.monotonic() - begin, what))
            if self.each:
                self.each(self.samples[-1])
        self.over.set()
        for t in loads:
            t.join()
        where = supervised.directory_of(front)
        self.most_files = len(supervised.files(where))
        front.stop(signal.SIGTERM, timeout=30)
        self.look_at_growth()
        self.look_at_accounts(receiver, where)
        return self

    def look_at_growth(self):
        warm = [s for s in self.samples if s.seconds >= self.seconds * WARM]
        for name in warm[0].held:
            half = len(warm) // 2
            for i, kind in enumerate(("memory", "descriptors", "threads")):
                first, last = (max(s.held[name][i] for s in part) for part in (warm[:half], warm[half:]))
                if last > first + (SLACK if kind == "memory" else 4 if kind == "descriptors" else 0):
                    self.wrong.append(f"{kind} of the {name} grew: {first}, then {last}")
        if self.most_files > 40:
            self.wrong.append(f"{self.most_files} files for some ten processes")

    def look_at_accounts(self, receiver, where):
        if where.exists():
            self.wrong.append("the directory is left")
        # What was still on disk.
        receiver.behave("ok")
        with contextlib.suppress(Timeout):
            wait_for(lambda: self.drained(receiver), 60)
        stats = self.stats = self.run.stats("svc")
        delivered = len(receiver.ids)
        if stats["spans_committed"] != delivered + stats.dropped():
            self.wrong.append(f"{stats['spans_committed']} committed, {delivered} delivered, {stats.dropped()} dropped")
        if stats.dropped() or stats.not_committed():
            self.wrong.append(f"lost, with a place to wait: {dict(stats)}")
        if not delivered:
            self.wrong.append("nothing was delivered")
        if receiver.twice_without_doubt:
            self.wrong.append(f"{receiver.twice_without_doubt} delivered again whose acknowledgement had arrived")
        self.delivered, self.twice = delivered, receiver.twice

    def drained(self, receiver):
        supervised.call(self.run, receiver, ["sleep", "0.5"], env=self.environment())
        return not any(f.stat().st_size for f in (self.run.tmp / "spill").rglob("*") if f.is_file()) \
            or self.run.stats("svc")["spans_committed"] == len(receiver.ids)
