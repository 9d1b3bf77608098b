# SPDX-License-Identifier: Apache-2.0
"""What the trap tests share: a victim runs bare and under the library, and only the header may differ."""
import os
import subprocess

from harness import paths

NOT_HERE = 77    # the victim says that this libc has no such name


def build(name, source=None, flags=(), cc="cc", libs=("-lpthread",)):
    """A victim, compiled once a change of its source or of trap.h."""
    source = paths.VICTIMS / f"{source or name}.c"
    out = paths.BUILD / "victims" / name
    newest = max(source.stat().st_mtime, (paths.VICTIMS / "trap.h").stat().st_mtime,
                 (paths.VICTIMS / "trap_threads.c").stat().st_mtime)
    if not out.exists() or out.stat().st_mtime < newest:
        out.parent.mkdir(parents=True, exist_ok=True)
        tmp = out.with_name(f"{out.name}.{os.getpid()}")
        subprocess.run([cc, "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", *flags, "-o", str(tmp), str(source),
                        *libs], check=True)
        tmp.rename(out)
    return out


class Trapped:
    """How a victim fared: its transcript bare and traced, and the spans of the traced run."""

    def __init__(self, run, command, env=None, preload=None, bare_preload=None, timeout=120, lines=None):
        env = dict(env or {})
        # Spans leave when the program says so by ending, or not at all: the schedule is far off.
        env.setdefault("OTEL_BSP_SCHEDULE_DELAY", "60000")
        bare = run.bare_environment(env)
        if bare_preload:
            bare["LD_PRELOAD"] = str(bare_preload)
        traced = run.environment("victim", env, library=preload)
        self.bare = self.run(command, bare, run.tmp, timeout)
        self.traced = self.run(command, traced, run.tmp, timeout)
        self.headers = [line for line in self.traced[1].splitlines() if line.startswith("traceparent:")]
        self.spans = run.spans.read()

    @staticmethod
    def run(command, env, cwd, timeout):
        done = subprocess.run([str(c) for c in command], env=env, cwd=cwd, timeout=timeout, stdin=subprocess.DEVNULL,
                              capture_output=True)
        out = done.stdout.replace(b"\r", b"").decode("utf-8", "replace")
        return done.returncode, out, done.stderr.decode("utf-8", "replace")

    def same(self):
        """Asserts that nothing but our header differs. Returns self."""
        status, out, err = self.traced
        plain = "".join(line for line in out.splitlines(True) if not line.startswith("traceparent:"))
        assert self.bare[0] != 99, f"the victim fails without us too: {self.bare[2]}"
        assert (status, plain, err) == self.bare
        return self

    @property
    def paths(self):
        return sorted(s.path for s in self.spans)

    @property
    def not_here(self):
        return self.bare[0] == NOT_HERE
