# SPDX-License-Identifier: Apache-2.0
"""Node's own tests end and say the same with and without the library. TAGALONG_LONG=1 runs those of
HTTP, HTTP/2 and sockets as well. By hand, of any: scripts/node-tests."""
import os

import pytest

from harness import node_suite

GROUPS = {
    "https": ["parallel/test-https-*.js", "sequential/test-https-*.js"],
    "tls": ["parallel/test-tls-*.js", "sequential/test-tls-*.js"],
    "permission": ["parallel/test-permission-*.js"],
    "async_hooks": ["async-hooks/test-*.js", "parallel/test-async-*.js"],
    "cluster": ["parallel/test-cluster-*.js"],
}
if os.environ.get("TAGALONG_LONG"):
    GROUPS |= {
        "http": ["parallel/test-http-*.js", "sequential/test-http-*.js"],
        "http2": ["parallel/test-http2-*.js", "sequential/test-http2-*.js"],
        "net": ["parallel/test-net-*.js", "sequential/test-net-*.js"],
    }

# A program that may read some files only has the script by another way (hooks/node.c): in the stack
# traces of two tests that fail for root, bare as well, the main file is called by another function.
ANOTHER_STACK = {"parallel/test-permission-fs-symlink.js",
                 "parallel/test-permission-fs-symlink-target-write.js"}


@pytest.mark.parametrize("group", GROUPS)
def test_they_say_the_same(group):
    names = set(node_suite.select(*GROUPS[group]))
    # Servers that look at each header they are sent, in one program with the client.
    sees = names & node_suite.SEES_THE_HEADER
    different, _ = node_suite.compare(names - sees - ANOTHER_STACK, node_suite.TRACED)
    different += node_suite.compare(sees, node_suite.WITHOUT_HEADERS)[0]
    different += [d for d in node_suite.compare(names & ANOTHER_STACK, node_suite.TRACED)[0]
                  if not d.same_status()]
    assert not different, "\n".join(map(str, different))


def test_a_difference_would_be_seen():
    """The comparison itself: a preloaded file that is no library makes the dynamic loader talk; and
    a header of ours is one more."""
    one = ["parallel/test-https-simple.js"]
    assert node_suite.compare(one, {"LD_PRELOAD": "/proc/version"}, times=1)[0]
    assert node_suite.compare(["parallel/test-https-max-headers-count.js"], node_suite.TRACED, times=1)[0]
