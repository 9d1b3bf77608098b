# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of its own: it leads the session, as from ssh or in a window."""
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

from .wait import Timeout


class Terminal:
    def __init__(self, command, env, cwd="/tmp"):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                # A key that makes a signal would throw away what the program says to it.
                modes = termios.tcgetattr(0)
                modes[3] |= termios.NOFLSH
                termios.tcsetattr(0, termios.TCSANOW, modes)
                os.execvpe(str(command[0]), [str(word) for word in command], env)
            finally:
                os._exit(127)
        self.text = ""      # all that was shown
        self.read_to = 0    # what was expected so far
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def type(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:     # nobody has it open any more
            data = b""
        self.text += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def expect(self, what, timeout=15):
        """Waits until it is shown, after what was expected before. Returns what came up to it."""
        end = time.monotonic() + timeout
        while what not in self.text[self.read_to:]:
            left = end - time.monotonic()
            if left <= 0 or not self._read(left) and what not in self.text[self.read_to:]:
                raise Timeout(f"waited for {what!r}, and had {self.text[self.read_to:]!r}")
        at = self.text.index(what, self.read_to) + len(what)
        came, self.read_to = self.text[self.read_to:at], at
        return came

    def wait(self, timeout=15):
        """Its end: an exit status, or minus the signal."""
        end = time.monotonic() + timeout
        while self.status is None:
            self._read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise Timeout(f"it does not end, and has said {self.text[self.read_to:]!r}")
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = -signal.SIGKILL
        os.close(self.fd)
