# SPDX-License-Identifier: Apache-2.0
"""Programs under `tagalong run`, and what is beside them."""
import os
import pathlib
import socket

from . import paths
from .wait import wait_for

SHM = pathlib.Path("/dev/shm")


def own_environment(receiver=None, env=None):
    """For Run.start(): nothing is preloaded by hand, and spans go to the receiver by OTLP."""
    e = {"LD_PRELOAD": None, "TAGALONG_TRACES_FILE": None, "TAGALONG_STATS": "true",
         "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url if receiver else None}
    e.update(env or {})
    return e


def start(run, receiver, cmd, service="svc", env=None, options=(), **more):
    """`tagalong run -- cmd`: the front's Process."""
    return run.start([paths.COMMAND, "run", "--quiet", *options, "--", *cmd], service,
                     env=own_environment(receiver, env), **more)


def call(run, receiver, cmd, service="svc", env=None, options=(), **more):
    return run.call([paths.COMMAND, "run", "--quiet", *options, "--", *cmd], service,
                    env=own_environment(receiver, env), **more)


def agent(run, receiver, directory, service="agent", env=None):
    p = run.start([paths.COMMAND, "agent", "-d", directory], service, env=own_environment(receiver, env))
    return p.wait_log("serving")


def environ_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def is_command(pid):
    try:
        return os.path.samefile(f"/proc/{pid}/exe", paths.COMMAND)
    except OSError:
        return False


def children(pid):
    try:
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def program(front):
    """The program's process id, once it is the program."""
    def find():
        return next((c for c in children(front.pid) if not is_gone(c) and not is_command(c)), 0)
    return wait_for(find, 10, "the program")


def companion(front):
    """The process that exports."""
    def find():
        return next((c for c in children(front.pid)
                     if pathlib.Path(f"/proc/{c}/comm").read_text().strip() == "tagalong-export"), 0)
    return wait_for(find, 10, "the companion")


def directory(pid):
    """What a process of the tree has been given."""
    def find():
        for v in environ_of(pid):
            if v.startswith(b"TAGALONG_SHARED_DIR="):
                return pathlib.Path(os.fsdecode(v.split(b"=", 1)[1]))
        return None
    return wait_for(find, 10, "TAGALONG_SHARED_DIR")


def directory_of(front):
    """The one that `tagalong run` made."""
    def find():
        for fd in os.listdir(f"/proc/{front.pid}/fd"):
            try:
                to = os.readlink(f"/proc/{front.pid}/fd/{fd}")
            except OSError:
                continue
            if os.path.basename(to).startswith("tagalong-"):
                return pathlib.Path(to)
        return None
    return wait_for(find, 10, "the directory")


def files(where):
    return sorted(f.name for f in where.glob("spans-*"))


def state(pid):
    """Of /proc/PID/stat; X: there is none."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_gone(pid):
    return state(pid) in "ZX"


def path_of(span):
    for a in span.get("attributes", ()):
        if a["key"] == "url.path":
            return a["value"]["stringValue"]
        if a["key"] == "url.full":
            return "/" + a["value"]["stringValue"].split("/", 3)[3]
    return None


def delivered(receiver, kind=2):
    """Paths of the server spans that the receiver has acknowledged, as often as they came."""
    return [path_of(s) for s in receiver.spans if s["kind"] == kind]


def get(port, path, timeout=10):
    """The answer, whole, or b"" when the server went away."""
    got = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            while True:
                data = s.recv(65536)
                if not data:
                    return got
                got += data
    except OSError:
        return b""
