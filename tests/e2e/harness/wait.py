# SPDX-License-Identifier: Apache-2.0
"""Waiting for something to be true, with an end."""
import socket
import time


class Timeout(AssertionError):
    pass


def wait_for(condition, timeout=15.0, what="the condition", alive=None):
    """Returns the first true value of condition(). `alive` is called too and may raise."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if alive:
            alive()
        if time.monotonic() > end:
            raise Timeout(f"waited {timeout} s for {what}")
        time.sleep(0.01)


def port_open(port, host="127.0.0.1"):
    """Whether something listens; the kernel's table is read, so the server sees no connection."""
    want = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as f:
                next(f)
                for line in f:
                    field = line.split()
                    if field[3] == "0A" and field[1].endswith(want):
                        return True
        except FileNotFoundError:
            pass
    return False


def can_connect(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False
