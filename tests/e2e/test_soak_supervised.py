# SPDX-License-Identifier: Apache-2.0
"""The short form of scripts/soak; TAGALONG_LONG=1 takes ten minutes."""
import http.client

from harness.paths import scale
from otlp_receiver import _message
from soak_supervised import Counting, Soak


def test_nothing_grows_and_nothing_is_lost_while_everything_happens(run):
    soak = Soak(run, scale(30, 600)).go()
    print(f"{soak.sent} requests, {soak.delivered} spans, {soak.twice} of them twice")
    assert not soak.wrong, "\n".join([*soak.wrong, *map(str, soak.samples)])


def export(connection, span):
    """Posts one span, its id `span` eight times, and reads the answer."""
    whole = _message((2, bytes([span] * 8)), (5, b"x"))
    connection.request("POST", "/v1/traces", _message((1, _message((2, _message((2, whole)))))),
                       {"Content-Type": "application/x-protobuf"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")


def test_what_comes_again_is_in_doubt_unless_its_connection_went_on(run):
    receiver = run.add(Counting())
    first, second = (http.client.HTTPConnection("127.0.0.1", receiver.port) for _ in range(2))
    export(first, 1)
    export(second, 1)
    assert (receiver.twice, receiver.twice_without_doubt) == (1, 0)
    export(second, 2)
    export(second, 1)
    assert (receiver.twice, receiver.twice_without_doubt) == (2, 1)
    assert len(receiver.ids) == 2
    first.close()
    second.close()
