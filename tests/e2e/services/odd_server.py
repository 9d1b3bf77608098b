# SPDX-License-Identifier: Apache-2.0
"""The upstream that answers well or badly, as a program of its own: odd_server.py PORT."""
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness.odd_upstream import OddUpstream    # noqa: E402

OddUpstream(port=int(sys.argv[1]))
threading.Event().wait()
