# SPDX-License-Identifier: Apache-2.0
"""The short form of scripts/soak; TAGALONG_LONG=1 takes ten minutes."""
from harness.paths import scale
from soak_supervised import Soak


def test_nothing_grows_and_nothing_is_lost_while_everything_happens(run):
    soak = Soak(run, scale(30, 600)).go()
    print(f"{soak.sent} requests, {soak.delivered} spans, {soak.twice} of them twice")
    assert not soak.wrong, "\n".join([*soak.wrong, *map(str, soak.samples)])
