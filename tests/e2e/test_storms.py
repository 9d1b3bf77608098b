# SPDX-License-Identifier: Apache-2.0
"""The short form of scripts/storms: each storm a few times."""
import os

import pytest

from storms import STORMS, Weather

TRIES = int(os.environ.get("STORM_TRIES", 12))      # each destination and setting once


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("storms")
    tmp.chmod(0o777)
    with Weather(tmp) as w:
        yield w


@pytest.mark.parametrize("storm", STORMS, ids=lambda s: s.name)
def test_a_storm_ends_as_it_does_without_us(weather, storm):
    if storm.beside and not storm.beside.exists():
        pytest.skip(f"{storm.beside.name} is not installed")
    outcome = weather.run(storm, TRIES)
    assert not outcome.differences and not outcome.untraced, outcome.describe()
