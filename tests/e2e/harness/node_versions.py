# SPDX-License-Identifier: Apache-2.0
"""Node of other versions than the system's, as npm has them: for the long form of tests."""
import os
import re
import subprocess

from . import paths

OTHERS = ["18.20", "22", "24"] if os.environ.get("TAGALONG_LONG") else []
TOO_OLD = ["16", "18.17"] if os.environ.get("TAGALONG_LONG") else []


def node(version):
    """The program; "system": the one that is installed."""
    if version == "system":
        return "node"
    folder = paths.BUILD / "nodes" / f"n{version}"
    program = folder / "node_modules/node/bin/node"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", f"node@{version}"],
                       cwd=folder, check=True)
    return str(program)


def version_of(program):
    out = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return [int(n) for n in re.findall(r"\d+", out)]
