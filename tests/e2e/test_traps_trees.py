# SPDX-License-Identifier: Apache-2.0
"""One build of the library in other Debian releases, entered by chroot, and in setuid programs there.

The trees are made by debootstrap in the cache folder the first time; that takes root, minutes, and a Debian
mirror (TAGALONG_DEBIAN_MIRROR when the default is not to be asked).
"""
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import paths
from harness.spans import CLIENT, SERVER, SpanFile

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tagalong"
RELEASES = {"bullseye": "2.31", "trixie": "2.41"}
NOBODY = "65534:65534"

# A server and a client in one process, a child made by fork, and one by subprocess (vfork or fork, exec).
PROGRAM = r"""
import http.server, os, subprocess, sys, threading, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = repr(sorted(k.lower() for k in self.headers.keys())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%d/" % server.server_port
print(urllib.request.urlopen(url + "own").read().decode(), flush=True)
pid = os.fork()
if pid == 0:
    print(urllib.request.urlopen(url + "fork").read().decode(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(subprocess.run(["curl", "-s", url + "curl"], capture_output=True, text=True).stdout)
print("maps" if any("libtagalong" in line for line in open("/proc/self/maps")) else "no maps")
"""


def tree_of(release):
    """The tree, made when it is missing."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    tree = CACHE / release
    if not tree.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        half = CACHE / f"{release}.{os.getpid()}"
        mirror = os.environ.get("TAGALONG_DEBIAN_MIRROR")
        done = subprocess.run(["debootstrap", "--variant=minbase", "--include=python3,curl", release, str(half),
                               *([mirror] if mirror else [])], capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(half, ignore_errors=True)
            pytest.skip(f"debootstrap {release}: {done.stdout[-500:]}{done.stderr[-500:]}")
        half.rename(tree)
    return tree


class Tree:
    """A folder inside a tree for one test, with the library in it."""

    def __init__(self, release):
        self.root = tree_of(release)
        self.inside = f"/tagalong-{os.getpid()}"
        self.dir = self.root / self.inside[1:]
        self.dir.mkdir()
        self.dir.chmod(0o777)
        shutil.copy(paths.LIBRARY, self.dir)
        (self.dir / "program.py").write_text(PROGRAM)
        self.spans = SpanFile(self.dir / "traces.jsonl")
        self.made = []
        proc = self.root / "proc"
        if not (proc / "self").exists():
            subprocess.run(["mount", "-t", "proc", "proc", str(proc)], check=False)
            self.made.append(proc)

    def run(self, *command, user="0:0", system_name=False, traced=True):
        env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        if traced:
            env.update(LD_PRELOAD="libtagalong.so" if system_name else f"{self.inside}/libtagalong.so",
                       TAGALONG_TRACES_FILE=f"{self.inside}/traces.jsonl", OTEL_SERVICE_NAME="tree")
        pairs = [f"{k}={v}" for k, v in env.items()]
        # env comes from inside: the chroot program itself belongs to this system.
        done = subprocess.run(["chroot", f"--userspec={user}", str(self.root), "/usr/bin/env", "-i", *pairs,
                               *command], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def close(self):
        for proc in self.made:
            subprocess.run(["umount", "-l", str(proc)], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(params=RELEASES)
def tree(request):
    t = Tree(request.param)
    t.release = request.param
    yield t
    t.close()


def test_the_same_library_works_in_other_releases(tree):
    version = tree.run("ldd", "--version", traced=False)[1].splitlines()[0]
    assert version.rstrip().endswith(RELEASES[tree.release])
    bare = tree.run("python3", "-Wignore", f"{tree.inside}/program.py", traced=False)
    status, out, err = tree.run("python3", "-Wignore", f"{tree.inside}/program.py")
    assert (bare[0], status, err) == (0, 0, bare[2])
    # The three requests carry our header, and but for that it is the same.
    assert out.count("'traceparent'") == 3
    assert out.replace(", 'traceparent'", "").replace("\nmaps", "\nno maps") == bare[1]
    for path in ("/own", "/fork", "/curl"):
        client = tree.spans.select(kind=CLIENT, path=path)
        server = tree.spans.select(kind=SERVER, path=path)
        assert len(client) == len(server) == 1, tree.spans.all
        assert server[0].parent_id == client[0].span_id


def test_small_programs_of_other_releases_do_as_before(tree):
    for command in (["ls", "/"], ["sh", "-c", "echo a | cat; (exit 3)"], ["perl", "-e", "print `echo b`"],
                    ["bash", "-c", "exec 3<>/dev/null; echo x >&3; ls / | wc -l"], ["true"], ["apt", "--version"]):
        assert tree.run(*command) == tree.run(*command, traced=False)


def test_a_setuid_program_is_left_alone(tree):
    system = tree.root / "usr/lib/x86_64-linux-gnu/libtagalong.so"
    python = tree.dir / "python-setuid"
    try:
        # What the loader asks for before it preloads into such a program: a plain name, in a system
        # folder, itself setuid.
        shutil.copy(paths.LIBRARY, system)
        system.chmod(0o4755)
        shutil.copy((tree.root / "usr/bin/python3").resolve(), python)
        for mode, headers in ((0o755, 2), (0o4755, 0)):
            python.chmod(mode)
            status, out, err = tree.run(f"{tree.inside}/python-setuid", "-Wignore", f"{tree.inside}/program.py", user=NOBODY,
                                        system_name=True)
            assert status == 0, err
            assert "\nmaps" in out, "the loader did not take it"
            got = out.splitlines()
            assert sum("'traceparent'" in line for line in got[:2]) == headers
    finally:
        system.unlink(missing_ok=True)
