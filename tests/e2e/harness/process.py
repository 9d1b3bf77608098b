# SPDX-License-Identifier: Apache-2.0
"""One started program: its output in a file, ended by its process id."""
import os
import signal
import subprocess

from .wait import port_open, wait_for


class Process:
    def __init__(self, cmd, env, log, cwd=None, name=None, stdin=subprocess.DEVNULL, **popen):
        self.name = name or os.path.basename(str(cmd[0]))
        self.cmd = [str(c) for c in cmd]
        self.log_path = log
        self.usage = None
        with open(log, "wb") as f:
            self.p = subprocess.Popen(self.cmd, env=env, cwd=cwd, stdin=stdin, stdout=f,
                                      stderr=subprocess.STDOUT, start_new_session=True, **popen)

    @property
    def pid(self):
        return self.p.pid

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def check_alive(self):
        if self.p.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.p.returncode}:\n{self.log()[-4000:]}")

    def wait_port(self, port, timeout=20):
        wait_for(lambda: port_open(port), timeout, f"{self.name} to listen on {port}",
                 self.check_alive)
        return self

    def wait_log(self, text, timeout=20):
        wait_for(lambda: text in self.log(), timeout, f"{text!r} in the log of {self.name}",
                 self.check_alive)
        return self

    def wait(self, timeout=60):
        """The exit status."""
        try:
            return self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {timeout} s:\n{self.log()[-4000:]}")

    def stop(self, sig=signal.SIGTERM, timeout=10):
        """Ends the program and whatever it left in its session. Returns its status."""
        if self.p.poll() is None:
            self.p.send_signal(sig)
            try:
                self.p.wait(timeout)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        try:
            os.killpg(self.p.pid, signal.SIGKILL)    # the session is ours alone
        except ProcessLookupError:
            pass
        return self.p.returncode

    def children(self):
        """Process ids of the whole tree, the program's own first."""
        found, todo = [], [self.p.pid]
        while todo:
            pid = todo.pop(0)
            found.append(pid)
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    todo += [int(c) for c in f.read().split()]
            except OSError:
                pass
        return found
