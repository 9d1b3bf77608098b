# SPDX-License-Identifier: Apache-2.0
"""The libcurl transport alone, led line by line: tests/e2e/drivers/curl_driver.c."""
import json
import subprocess

from harness import paths
from harness.run import clean_environment

PROGRAM = paths.BUILD / "drivers/curl_driver"


class CurlDriver:
    def __init__(self, tmp, env, signal="traces"):
        e = clean_environment()
        e.update(OTEL_SERVICE_NAME="driver", TAGALONG_LOG=str(tmp / "driver.log"))
        e.update({k: str(v) for k, v in env.items()})
        self.log_path, self.warned_path = tmp / "driver.log", tmp / "driver.warnings"
        with open(self.warned_path, "a", encoding="utf-8") as warnings:
            self.p = subprocess.Popen([PROGRAM, signal], env=e, text=True, stderr=warnings,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.p.stdout.readline() == "0\n"

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def answer(self):
        return self.p.stdout.readline().strip()

    def ask(self, line):
        self.tell(line)
        return self.answer()

    def send(self, n=3, name=""):
        """With retries, within OTEL_EXPORTER_OTLP_TIMEOUT."""
        return json.loads(self.ask(f"send {n} {name}"))

    def attempt(self, n=3):
        return json.loads(self.ask(f"attempt {n}"))

    def post(self, body, items=1, seconds=10):
        return json.loads(self.ask(f"post {seconds} {items} {body.hex()}"))

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def warned(self):
        return self.warned_path.read_text()

    def close(self):
        if self.p.poll() is None:
            self.p.stdin.close()
            assert self.p.wait(10) == 0, self.warned()
        self.p.stdout.close()
