# SPDX-License-Identifier: Apache-2.0
"""Packages of npm's, exactly those of the lock file in tests/e2e/node, installed once."""
import shutil
import subprocess

from . import paths

SOURCE = paths.E2E / "node"
FOLDER = paths.BUILD / "node"


def install():
    lock = FOLDER / "package-lock.json"
    if not lock.exists() or lock.read_bytes() != (SOURCE / lock.name).read_bytes():
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(SOURCE / name, FOLDER / name)
        try:
            subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"],
                           cwd=FOLDER, check=True)
        except BaseException:
            lock.unlink()
            raise
    return FOLDER
