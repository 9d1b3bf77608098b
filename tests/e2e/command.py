# SPDX-License-Identifier: Apache-2.0
"""Runs the `tagalong` command and shows what it said."""
import os
import shutil
import subprocess
from typing import NamedTuple

from harness import paths

# Nothing of the tester's own environment may decide a test.
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp",
         "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "100"}
if "ASAN_OPTIONS" in os.environ:  # for a sanitized command
    CLEAN["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]


class Result(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def text(self):
        return self.out + self.err


def tagalong(*words, env=None, program=paths.COMMAND, stdin="", timeout=60, **more):
    done = subprocess.run([str(program), *map(str, words)], env={**CLEAN, **(env or {})},
                          input=stdin, capture_output=True, text=True, timeout=timeout,
                          encoding="utf-8", **more)
    return Result(done.returncode, done.stdout, done.stderr)


def start(*words, env=None, **more):
    return subprocess.Popen([str(paths.COMMAND), *map(str, words)], env={**CLEAN, **(env or {})},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            encoding="utf-8", **more)


def install(folder, library=True, layout="."):
    """A copy of the command in a folder of its own, with or without the library."""
    program = folder / "bin" / "tagalong"
    program.parent.mkdir(parents=True)
    shutil.copy(paths.COMMAND, program)
    if library:
        at = (program.parent / layout).resolve()
        at.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths.LIBRARY, at / "libtagalong.so")
    return program


def as_nobody():
    """For preexec_fn: another user than root."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def open_to_all(folder):
    """pytest's folders are their user's own: lets others pass."""
    for one in [folder, *folder.parents]:
        if one.name.startswith("pytest-"):
            one.chmod(0o755)
    folder.chmod(0o755)


def idle(pid):
    """Whether it waits for signals, and none waits for it."""
    with open(f"/proc/{pid}/status") as f:
        lines = dict(line.split(":", 1) for line in f)
    with open(f"/proc/{pid}/wchan") as f:
        return "sigtimedwait" in f.read() and int(lines["ShdPnd"], 16) == 0
