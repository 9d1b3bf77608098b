# SPDX-License-Identifier: Apache-2.0
"""Where the things under test are."""
import os
import pathlib

E2E = pathlib.Path(__file__).resolve().parent.parent
ROOT = E2E.parent.parent
BUILD = pathlib.Path(os.environ.get("TAGALONG_BUILD", ROOT / "build")).resolve()
LIBRARY = BUILD / "libtagalong.so"
NOP_LIBRARY = BUILD / "libtagalong-nop.so"
COMMAND = BUILD / "tagalong"
SERVICES = E2E / "services"
VICTIMS = E2E / "victims"
PYTHON = "/usr/bin/python3"


def scale(short, long):
    """A count: the short form, or the long one with TAGALONG_LONG=1."""
    return long if os.environ.get("TAGALONG_LONG") else short
