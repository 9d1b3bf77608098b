# SPDX-License-Identifier: Apache-2.0
"""Packages of PyPI's, exactly those of tests/e2e/python/requirements.txt, installed once, apart from the system's."""
import shutil
import subprocess

from . import paths

SOURCE = paths.E2E / "python"
FOLDER = paths.BUILD / "python"


def install():
    """The interpreter that has them."""
    wanted, done = SOURCE / "requirements.txt", FOLDER / "requirements.txt"
    python = FOLDER / "bin" / "python3"
    if not done.exists() or done.read_bytes() != wanted.read_bytes():
        shutil.rmtree(FOLDER, ignore_errors=True)
        subprocess.run([paths.PYTHON, "-m", "venv", FOLDER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:",
                        "--disable-pip-version-check", "-r", wanted], check=True)
        shutil.copyfile(wanted, done)
    return python
