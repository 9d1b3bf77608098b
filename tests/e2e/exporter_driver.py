# SPDX-License-Identifier: Apache-2.0
"""The exporter alone, led line by line: tests/e2e/drivers/exporter_driver.c."""
import json
import subprocess

from harness import paths
from harness.run import clean_environment
from harness.wait import wait_for

PROGRAM = paths.BUILD / "drivers/exporter_driver"
LOST = ("rejected", "response", "retries", "exit", "undeliverable", "file", "memory")


def build():
    if not PROGRAM.exists() or not (PROGRAM.parent / "curl_driver").exists():
        subprocess.run(["make", "-s", "-C", paths.ROOT, "drivers"], check=True)


class Driver:
    def __init__(self, tmp, env):
        e = clean_environment()
        e.update(OTEL_BSP_SCHEDULE_DELAY="20", OTEL_SERVICE_NAME="driver",
                 TAGALONG_LOG=str(tmp / "driver.log"))
        e.update({k: str(v) for k, v in env.items()})
        self.log_path = tmp / "driver.log"
        self.p = subprocess.Popen([PROGRAM], env=e, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.started = int(self.p.stdout.readline())

    def ask(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def commit(self, n, name=""):
        return int(self.ask(f"commit {n} {name}"))

    def counters(self):
        return json.loads(self.ask("counters"))

    def settled(self, timeout=20):
        """The counters when nothing waits any more; they add up."""
        def empty():
            c = self.counters()
            return c if c["waiting"] == 0 else None
        c = wait_for(empty, timeout, "the spans to leave")
        return add_up(c)

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def close(self):
        if self.p.poll() is None:
            self.p.stdin.close()
            self.p.wait(10)
        self.p.stdout.close()


def add_up(c):
    lost = sum(c[f"spans_dropped_{cause}"] for cause in LOST)
    assert c["spans_committed"] == c["spans_exported"] + lost + c["waiting"], c
    return c
