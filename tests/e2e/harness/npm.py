# SPDX-License-Identifier: Apache-2.0
"""Packages of npm's, exactly those of the lock file in tests/e2e/node (or another folder beside it),
installed once."""
import shutil
import subprocess

from . import paths


def install(which="node"):
    source, folder = paths.E2E / which, paths.BUILD / which
    lock = folder / "package-lock.json"
    if not lock.exists() or lock.read_bytes() != (source / lock.name).read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(source / name, folder / name)
        try:
            subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"],
                           cwd=folder, check=True)
        except BaseException:
            lock.unlink()
            raise
    return folder
