# SPDX-License-Identifier: Apache-2.0
"""Servers in Java, Ruby, PHP and C, of which no runtime is asked: what they ask for is linked rightly, or to
nothing. The bounded form of tests/bench/links."""
import sys

import pytest

from harness import paths
from harness.paths import scale

sys.path.insert(0, str(paths.ROOT / "tests" / "bench"))

import link_bench                                       # noqa: E402
from link_runtimes import RUNTIMES                      # noqa: E402

N = scale(25, 400)


def verdicts(run, upstreams, name, shapes, in_flight):
    """Beside a job of the program's own, that belongs to no request."""
    up = upstreams(link_bench.answered)
    program = RUNTIMES[name]
    port = program.start(run, up.port, BACKGROUND=1)
    return {(shape, n): link_bench.cell(run, up, port, shape, N, n, program.judged)
            for shape in shapes for n in in_flight}


@pytest.mark.parametrize("name, shapes", [
    ("Tomcat, HttpURLConnection", ("before", "after", "async", "shared")),
    ("com.sun.net.httpserver, HttpURLConnection", ("before", "shared", "async")),
    ("Puma, Net::HTTP", ("before", "lost", "after")),
    ("Puma without its queue, Net::HTTP", ("before", "lost", "after")),
    ("PHP-FPM behind nginx, streams", ("before",)),
    ("libevent", ("before", "gather", "after")),
])
def test_no_parent_is_wrong(run, upstreams, name, shapes):
    for cell, v in verdicts(run, upstreams, name, shapes, (1, 16)).items():
        assert v.wrong == 0, (cell, v)


def test_threads_that_serve_and_do_other_jobs_are_not_taken_for_those_that_answer(run, upstreams):
    """A request is handed over, and its reader is at another job while it is the only one open."""
    found = verdicts(run, upstreams, "com.sun.net.httpserver, other jobs on its threads, HttpURLConnection",
                     ("async", "shared"), (1, 1, 4))
    for cell, v in found.items():
        assert (v.right, v.wrong) == (0, 0), (cell, v)


def test_a_thread_for_each_connection_is_taken_when_it_has_shown_that_it_answers(run, upstreams):
    found = verdicts(run, upstreams, "Java, a thread a connection, HttpURLConnection",
                     ("before", "fresh"), (1, 4))
    for cell, v in found.items():
        assert v.wrong == 0, (cell, v)
    assert found["before", 1].orphan <= 8, found        # the first four requests
    assert found["fresh", 4].orphan == 0, found


def test_php_that_passes_its_traceparent_on_is_linked_to_nginx(run, upstreams):
    found = verdicts(run, upstreams, "PHP-FPM passing its traceparent on, curl", ("before", "after"), (1, 8))
    for cell, v in found.items():
        assert (v.wrong, v.orphan) == (0, 0), (cell, v)
