# SPDX-License-Identifier: Apache-2.0
"""Every name a program may call, one by one: what it sends, what it reads, and where descriptors come from and go."""
import pytest

from harness.paths import scale
from harness.spans import CLIENT
from traps import Trapped, build

WRITES = ["write", "__write", "send", "__send", "writev", "pwritev2", "pwritev64v2", "sendto", "sendmsg", "sendmmsg",
          "fastopen"]
READS = ["read", "__read", "__read_chk", "recv", "__recv", "__recv_chk", "recvfrom", "__recvfrom_chk", "readv",
         "preadv2", "preadv64v2", "recvmsg", "recvmmsg"]
WAYS = ["socket", "socketpair", "exec", "dup", "dup2", "__dup2", "dup3", "fcntl", "__fcntl", "fcntl64",
        "fcntl_cloexec", "recvmsg", "recvmmsg", "pidfd_getfd"]
CLOSES = ["close", "__close", "__close_nocancel", "close_range", "close_range_unshare", "closefrom", "fclose",
          "freopen", "freopen64", "dup2", "__dup2", "dup3", "syscall", "syscall_close_range", "syscall_dup2"]


@pytest.fixture(scope="module")
def calls():
    return build("trap_calls")


@pytest.fixture(scope="module")
def reuse():
    return build("trap_reuse")


@pytest.mark.parametrize("call", WRITES)
def test_a_request_sent_by_any_call_carries_one_header(run, calls, call):
    t = Trapped(run, [calls, "write", call]).same()
    assert len(t.headers) == 1
    assert t.paths == ["/" + call]


@pytest.mark.parametrize("call", READS)
def test_a_request_read_by_any_call_is_a_server_span(run, calls, call):
    t = Trapped(run, [calls, "read", call], env={"TAGALONG_INBOUND_HEADER": "off"}).same()
    assert t.headers == []
    assert t.paths == ["/" + call]


def test_peeked_discarded_and_urgent_bytes_leave_the_framing_whole(run, calls):
    t = Trapped(run, [calls, "read", "peek"]).same()
    assert t.paths == ["/after", "/peek"]


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_come_by_in_any_way_is_looked_at(run, calls, way):
    t = Trapped(run, [calls, "get", way]).same()
    assert len(t.headers) == 1
    assert t.paths == ["/" + way]


@pytest.mark.parametrize("way", CLOSES)
def test_a_number_that_was_a_connection_is_a_file_afterwards(run, reuse, way):
    t = Trapped(run, [reuse, way]).same()
    assert t.paths == sorted(["/" + way, "/again"])
    assert "in-a-file" in t.traced[1]


def test_two_threads_use_a_connection_that_a_third_closes(run, reuse):
    t = Trapped(run, [reuse, "threads", scale(500, 20000)]).same()
    assert t.headers == []


@pytest.mark.parametrize("call", ["sendfile", "sendfile64", "splice", "splice_in"])
def test_bodies_that_stay_in_the_kernel_are_counted(run, calls, call):
    t = Trapped(run, [calls, "body", call]).same()
    assert t.paths == sorted(["/" + call, "/after"])
    assert sorted(s["http.response.status_code"] for s in t.spans) == [200, 404]


@pytest.mark.parametrize("how", ["alone", "together"])
@pytest.mark.parametrize("call", ["poll", "__poll", "__poll_chk", "ppoll", "__ppoll_chk", "select", "__select",
                                  "pselect", "epoll_wait", "epoll_pwait", "epoll_pwait2"])
def test_waits_tell_an_event_loop_from_a_thread_of_its_own(run, call, how):
    t = Trapped(run, [build("trap_waits"), call, how], env={"TAGALONG_INBOUND_HEADER": "off"}).same()
    links = {s.get("tagalong.link") for s in t.spans if s.kind == CLIENT}
    # An epoll set is never one connection alone: it may grow at any time.
    assert links == ({"thread"} if how == "alone" and not call.startswith("epoll") else {"none"})
