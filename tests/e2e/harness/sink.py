# SPDX-License-Identifier: Apache-2.0
"""A collector that accepts all it is sent and keeps nothing, for those who send too much for otlp_receiver.py."""
import subprocess

from . import paths


class Sink:
    def __init__(self):
        program = paths.BUILD / "bench" / "sink"
        subprocess.run(["make", "-s", "-C", str(paths.ROOT), f"B={paths.BUILD}", str(program)], check=True)
        # It ends with its standard input.
        self.p = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline())

    def close(self):
        self.p.stdin.close()
        self.p.wait()
        self.p.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
