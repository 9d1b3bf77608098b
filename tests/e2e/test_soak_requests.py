# SPDX-License-Identifier: Apache-2.0
"""The short form of scripts/soak-requests."""
import os

import pytest

from soak_requests import PROGRAMS, soak

REQUESTS = int(os.environ.get("SOAK_REQUESTS", 40000))
CONNECTIONS = int(os.environ.get("SOAK_CONNECTIONS", 400))


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_server_holds_does_not_grow(run, program):
    s = soak(run, program, True, REQUESTS, CONNECTIONS)
    assert not s.wrong()
    spans = REQUESTS * (2 if "proxy" in program else 1)
    assert s.stats["spans_committed"] + s.stats.not_committed() == spans, s.stats
    assert not any(v for k, v in s.stats.items() if k.startswith(("opaque_", "untracked_"))), s.stats
