# SPDX-License-Identifier: Apache-2.0
"""One job, done in three ways at the same time: bare, under `tagalong run`, and with LD_PRELOAD alone. What can be
seen of it (statuses, outputs, files, descriptors, threads, children) must be the same."""
import concurrent.futures
import contextlib
import difflib
import hashlib
import os
import pathlib
import pprint
import re
import shutil
import stat
import subprocess
import tempfile
import time

from harness import paths
from harness.ports import free_port
from harness.process import Process
from harness.run import clean_environment
from harness.terminal import Terminal
from harness.wait import wait_for
from otlp_receiver import OtlpReceiver

BARE, RUN, PRELOAD = SIDES = ("bare", "run", "preload")
TIMEOUT = 60


class Done:
    """How a program ended. Two are equal when status and outputs are."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __eq__(self, other):
        return isinstance(other, Done) and vars(self) == vars(other)

    def __repr__(self):
        return f"status {self.status}\n-- out\n{self.out}-- err\n{self.err}"

    def ok(self):
        assert self.status == 0, self
        return self


class Side:
    """One of the ways, with a folder of its own whose name is as long as the others'."""

    def __init__(self, how, where, kit):
        self.how, self.kit, self.dir = how, kit, where / how[:3]
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.names = [(str(self.dir), "DIR")]       # what differs, and what is said instead
        self.processes = []

    @property
    def traced(self):
        return self.how != BARE

    # -- what differs by itself --
    def port(self, name="PORT"):
        """A free port; in outputs it is called `name`."""
        port = free_port()
        self.names.append((str(port), name))
        return port

    def scrub(self, text):
        if isinstance(text, bytes):
            text = text.decode("utf-8", "backslashreplace")
        for value, name in self.names:
            text = text.replace(value, name)
        return text

    # -- running --
    def command(self, words):
        words = [str(w) for w in words]
        return [str(self.kit.command), "run", "--quiet", "--", *words] if self.how == RUN else words

    def environment(self, env=None):
        e = clean_environment()
        for name in ("SSH_AUTH_SOCK", "TMUX", "MAKEFLAGS", "JAVA_HOME", "DISPLAY"):
            e.pop(name, None)
        e.update(HOME=str(self.dir), TMPDIR=str(self.dir), LC_ALL="C.UTF-8", TZ="UTC", TERM="xterm", SHELL="/bin/bash")
        if self.traced:
            e.update(OTEL_SERVICE_NAME=self.how, OTEL_EXPORTER_OTLP_ENDPOINT=self.kit.receiver.url,
                     OTEL_BSP_SCHEDULE_DELAY="100")
        if self.how == PRELOAD:
            e["LD_PRELOAD"] = str(self.kit.library)
        e.update({k: str(v) for k, v in (env or {}).items()})
        return e

    def run(self, *words, env=None, cwd=None, input=None, timeout=TIMEOUT, **popen):
        """Runs a program to its end."""
        done = subprocess.run(self.command(words), env=self.environment(env), cwd=cwd or self.dir, timeout=timeout,
                              input=input.encode() if input is not None else None,
                              stdin=None if input is not None else subprocess.DEVNULL, capture_output=True, **popen)
        return Done(done.returncode, self.scrub(done.stdout), self.scrub(done.stderr))

    def start(self, *words, env=None, cwd=None, **popen):
        """Starts a program that is ended with the test."""
        log = self.dir.parent / f"{self.dir.name}-{len(self.processes)}.log"
        p = Process(self.command(words), self.environment(env), log, cwd=cwd or self.dir, name=str(words[0]), **popen)
        self.processes.append(p)
        return p

    def terminal(self, *words, env=None):
        return Terminal(self.command(words), self.environment(env), self.dir)

    def close(self):
        for p in reversed(self.processes):
            p.stop()

    # -- looking --
    def write(self, name, text, mode=0o644):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def files(self, top="."):
        """All below a folder: name, mode, and what it holds or points to."""
        top = self.dir / top
        return {str(p.relative_to(top)): (oct(p.lstat().st_mode), p.lstat().st_uid, self.content(p))
                for p in sorted(top.rglob("*"))}

    def content(self, path):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return self.scrub(os.readlink(path))
        if stat.S_ISREG(mode):
            data = path.read_bytes()
            return hashlib.sha1(self.scrub(data.decode("latin-1")).encode()).hexdigest() if data else ""
        return None

    def program(self, p):
        """The process id of a program that was started: `tagalong run` is its parent."""
        def child():
            p.check_alive()
            with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
                found = [c for c in f.read().split() if self.named(c) != "tagalong"]
            return found[-1] if found else None
        return int(wait_for(child, 20, f"the program of {p.name}")) if self.how == RUN else p.pid

    @staticmethod
    def named(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return None

    def census(self, pid, until=lambda c: True, timeout=30):
        """What a process at rest holds: its name, threads, descriptors, and the same of its children. It is taken
        when all of them sleep, nothing has changed for a moment, and until(census)."""
        def settled():
            first = self.look(pid)
            time.sleep(0.05)
            return first if first and first == self.look(pid) and until(first) else None
        return wait_for(settled, timeout, f"process {pid} to come to rest")

    def look(self, pid, at_rest=True):
        """The same now; None when it ends, or when one of them runs and should not."""
        proc = pathlib.Path(f"/proc/{pid}")
        try:
            tasks = list((proc / "task").iterdir())
            if at_rest and any((t / "stat").read_text().rpartition(")")[2].split()[0] != "S" for t in tasks):
                return None
            children = [self.look(p, at_rest) for t in tasks for p in (t / "children").read_text().split()]
            return None if None in children else {
                "name": (proc / "comm").read_text().strip(),
                "threads": sorted((t / "comm").read_text().strip() for t in tasks),
                "descriptors": {int(f.name): self.scrub(re.sub(r":\[\d+\]|(?<=^/dev/pts/)\d+", "", os.readlink(f)))
                                for f in (proc / "fd").iterdir()},
                "children": sorted(children, key=repr),
            }
        except OSError:
            return None

    def look_whole(self, pid):
        """Of a process that is never at rest."""
        return wait_for(lambda: self.look(pid, at_rest=False), 20, f"process {pid}")

    def spans(self, n=1, **which):
        """At least n spans of this side with these attributes, once they have come."""
        return self.kit.spans(self.how, n, which)


class Kit:
    """What the traced sides need: the library and the command where everybody may read them, and a receiver."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-"))
        self.dir.chmod(0o755)
        self.library, self.command = (pathlib.Path(shutil.copy(f, self.dir)) for f in (paths.LIBRARY, paths.COMMAND))
        self.receiver = OtlpReceiver()

    def spans(self, how, n, which):
        def found():
            return [s for s in self.receiver.spans if service(s) == how and matches(s, which)]
        return wait_for(lambda: (lambda got: got if len(got) >= n else None)(found()), 15,
                        f"{n} spans {which} of {how}")

    @contextlib.contextmanager
    def sides(self, hows=SIDES):
        where = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-"))
        where.chmod(0o755)
        sides = [Side(how, where, self) for how in hows]
        try:
            yield sides
        finally:
            for side in sides:
                side.close()
            if not os.environ.get("TAGALONG_KEEP"):
                shutil.rmtree(where, ignore_errors=True)

    def same(self, job, hows=SIDES):
        """Does the job on each side; returns what came out of the bare one."""
        with self.sides(hows) as sides:
            return same(sides, job)

    def close(self):
        self.receiver.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not self.receiver.errors


def unnumbered(census):
    """Where it is a matter of speed which number was free."""
    return census | {"descriptors": sorted(census["descriptors"].values()),
                     "children": [unnumbered(c) for c in census["children"]]}


def attribute(span, key, of="attributes"):
    for a in span.get(of, []):
        if a["key"] == key:
            return next(iter(a["value"].values()))
    return None


def service(span):
    return attribute(span, "service.name", "resource")


def matches(span, which):
    return all(attribute(span, k.replace("_", ".")) == v for k, v in which.items())


def difference(expected, found):
    lines = [pprint.pformat(r, width=110).replace("\\n", "\n").splitlines() for r in (expected, found)]
    return "\n".join(difflib.unified_diff(*lines, BARE, "traced", lineterm=""))


def same(sides, job):
    """job(side) gives what was seen; it must be equal for all. A job that fails bare fails as itself."""
    with concurrent.futures.ThreadPoolExecutor(len(sides)) as pool:
        begun = [pool.submit(job, side) for side in sides]
        concurrent.futures.wait(begun)
    results = [b.result() for b in begun]
    for side, result in zip(sides[1:], results[1:]):
        assert result == results[0], f"{side.how} is not as {sides[0].how}:\n" + difference(results[0], result)
    return results[0]
