# SPDX-License-Identifier: Apache-2.0
"""Programs built once from pinned Go modules."""
import json
import os
import platform
import re
import shutil
import subprocess

from . import paths

GO = (1, 26)
PROCESSOR = {"aarch64": "arm64"}.get(platform.machine(), "amd64")
TOOLCHAIN = f"golang.org/toolchain@v0.0.1-go1.26.0.linux-{PROCESSOR}"


def _version(go):
    out = subprocess.run([go, "version"], capture_output=True, text=True, cwd="/", check=True).stdout
    return tuple(int(n) for n in re.search(r"go(\d+)\.(\d+)", out).groups())


def _go():
    """A Go that is new enough: Debian's fetches a newer one from the module proxy, as newer ones
    would do by themselves."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if _version(go) >= GO:
        return go
    copy = paths.BUILD / "go"
    if not (copy / "bin/go").exists():
        out = subprocess.run([go, "mod", "download", "-json", TOOLCHAIN], cwd="/", check=True,
                             capture_output=True, text=True, env=dict(os.environ, GOFLAGS="-mod=mod"))
        shutil.copytree(json.loads(out.stdout)["Dir"], copy, copy_function=shutil.copyfile)
        for path in copy.rglob("*"):            # of the module cache, where nothing can be run
            path.chmod(0o755)
    return str(copy / "bin/go")


def go_build(source, program, package="."):
    """The first time it may take minutes, which is when nothing of it is in Go's caches."""
    if not program.exists() or any(program.stat().st_mtime <= f.stat().st_mtime
                                   for f in source.iterdir()):
        subprocess.run(["nice", "-n", "10", _go(), "build", "-mod=readonly", "-trimpath",
                        "-ldflags=-s -w", "-o", str(program), package], cwd=source, check=True,
                       env=dict(os.environ, GOFLAGS="", CGO_ENABLED="0"))
        os.utime(program)
    return program
